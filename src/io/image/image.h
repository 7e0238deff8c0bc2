#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace nibble::io {

/// A decoded picture: rows from top to bottom, pixels from left to right, channels interleaved, one byte each.
/// channels is 1 (grey) or 3 (red, green, blue).
struct Image {
  int64_t width = 0, height = 0, channels = 0;
  std::vector<uint8_t> pixels;  ///< height * width * channels bytes

  Image() = default;
  Image(int64_t w, int64_t h, int64_t c) : width(w), height(h), channels(c), pixels(static_cast<size_t>(w * h * c)) {}

  const uint8_t* row(int64_t y) const { return pixels.data() + y * width * channels; }
  uint8_t* row(int64_t y) { return pixels.data() + y * width * channels; }
};

/// What Exif says about how the camera was held.
enum class Orientation {
  kAsStored,  ///< pixels as the file holds them, whatever Exif says (the default, as Pillow's Image.open)
  kUpright,   ///< turned and mirrored as the Exif orientation of a JPEG asks
};

/// The JPEG and PNG magic.
bool is_jpeg(base::Bytes bytes);
bool is_png(base::Bytes bytes);
inline bool is_image(base::Bytes bytes) { return is_jpeg(bytes) || is_png(bytes); }
/// True for file names that end as images do (.jpg .jpeg .png, any case).
bool has_image_extension(std::string_view name);

/// Decodes a JPEG or PNG held in memory. The pixels are those that Pillow's `Image.open` gives, after
/// `convert("RGB")` where they are neither grey nor RGB: JPEG with the accurate integer DCT and smooth chroma
/// upsampling; CMYK turned into RGB by Pillow's plain formula; palettes looked up; 1, 2 and 4 bits stretched to 0..255;
/// alpha dropped (not blended); 16-bit RGB cut to its upper byte; colour profiles and gamma ignored.
///
/// Width, height and pixels are checked against `limits` (image-side, image-pixels) and against the length of the file
/// before anything is allocated. Throws Error: kMalformed (truncated, damaged: any warning of the decoder counts),
/// kUnsupported (other formats, 12-bit JPEG, 16-bit grey, which Pillow clips), kLimit. `place` names the image.
Image decode_image(base::Bytes bytes, const std::string& place, const base::Limits& limits,
                   Orientation orientation = Orientation::kAsStored);

/// Width and height from the header alone, as decode_image(kAsStored) will give them. Throws as it does.
struct ImageSize {
  int64_t width = 0, height = 0;
};
ImageSize image_size(base::Bytes bytes, const std::string& place, const base::Limits& limits);

/// Encodes as PNG, 8 bits, deflate level 6. For reports and made-up test data.
std::vector<uint8_t> encode_png(const Image& image);

}  // namespace nibble::io
