#include "io/image/image.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "io/image/codecs.h"

namespace nibble::io {
namespace {

bool begins_with(base::Bytes bytes, std::string_view magic, size_t offset = 0) {
  return bytes.size() >= offset + magic.size() && base::as_text(bytes.subspan(offset, magic.size())) == magic;
}

/// Formats that people have and nibble does not read, so that the refusal can name them.
std::string_view other_format(base::Bytes bytes) {
  if (begins_with(bytes, "GIF8")) return "a GIF";
  if (begins_with(bytes, "BM")) return "a BMP";
  if (begins_with(bytes, "RIFF") && begins_with(bytes, "WEBP", 8)) return "a WebP";
  if (begins_with(bytes, {"II*\0", 4}) || begins_with(bytes, {"MM\0*", 4})) return "a TIFF";
  if (begins_with(bytes, "ftyp", 4)) return "an AVIF, HEIF or video";
  if (begins_with(bytes, {"\0\0\0\x0CjP", 6}) || begins_with(bytes, "\xFF\x4F\xFF\x51")) return "a JPEG 2000";
  return "no JPEG or PNG";
}

[[noreturn]] void refuse_format(base::Bytes bytes, const std::string& place) {
  if (bytes.empty()) base::fail_malformed(place, "the image is empty");
  base::fail_unsupported(place, "is " + std::string(other_format(bytes)) + " image; nibble reads JPEG and PNG",
                         "convert it to one of these");
}

}  // namespace

bool is_jpeg(base::Bytes bytes) { return begins_with(bytes, "\xFF\xD8\xFF"); }
bool is_png(base::Bytes bytes) { return begins_with(bytes, "\x89PNG\r\n\x1A\n"); }

bool has_image_extension(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  std::string extension(name.substr(dot + 1));
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == "jpg" || extension == "jpeg" || extension == "png";
}

Image decode_image(base::Bytes bytes, const std::string& place, const base::Limits& limits, Orientation orientation) {
  if (is_png(bytes)) return image::decode_png(bytes, place, limits);
  if (!is_jpeg(bytes)) refuse_format(bytes, place);
  Image decoded = image::decode_jpeg(bytes, place, limits);
  if (orientation == Orientation::kAsStored) return decoded;
  const int turned = image::exif_orientation(bytes);
  return turned == 1 ? decoded : image::upright(decoded, turned);
}

ImageSize image_size(base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  if (is_png(bytes)) return image::png_size(bytes, place, limits);
  if (!is_jpeg(bytes)) refuse_format(bytes, place);
  return image::jpeg_size(bytes, place, limits);
}

void image::check_size(int64_t width, int64_t height, const std::string& place, const base::Limits& limits) {
  if (width <= 0 || height <= 0)
    base::fail_malformed(place, "its size is " + std::to_string(width) + "x" + std::to_string(height));
  base::check_limit(std::max(width, height), limits.image_side, "image-side", place, "its longer side");
  base::check_limit(width * height, limits.image_pixels, "image-pixels", place, "its number of pixels");
}

}  // namespace nibble::io
