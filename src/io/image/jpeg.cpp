// JPEG through TurboJPEG. The pixels equal Pillow's, which drives the same library with its defaults: the accurate
// integer inverse DCT (JDCT_ISLOW) and "fancy" (triangle-filter) chroma upsampling. TurboJPEG's defaults for
// decompression are the same two; no flag may ask for the faster variants.
#include <turbojpeg.h>

#include <memory>

#include "base/error.h"
#include "io/image/codecs.h"

namespace nibble::io::image {
namespace {

struct Decompressor {
  tjhandle handle = tjInitDecompress();
  Decompressor() {
    if (!handle) base::fail_limit("", "no memory for a JPEG decoder");
  }
  ~Decompressor() { tjDestroy(handle); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
};

struct Header {
  int width = 0, height = 0, subsampling = 0, colour_space = 0;
};

const unsigned char* data_of(base::Bytes bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

[[noreturn]] void refuse(const Decompressor& decompressor, const std::string& place) {
  const std::string said = tjGetErrorStr2(decompressor.handle);
  if (said.find("Premature end") != std::string::npos || said.find("premature end") != std::string::npos ||
      said.find("empty input") != std::string::npos)
    base::fail_malformed(place, "the JPEG is truncated", "copy or download it again");
  if (said.find("Unsupported") != std::string::npos || said.find("unsupported") != std::string::npos ||
      said.find("not implemented") != std::string::npos)
    base::fail_unsupported(place, "cannot be decoded: " + base::printable(said), "save it as a baseline 8-bit JPEG");
  base::fail_malformed(place, "the JPEG is damaged: " + base::printable(said), "re-encode it");
}

/// How many scans the file holds: start-of-scan markers outside of segments are certain scans; one inside a segment
/// (a thumbnail) is counted too, which is harmless. Entropy-coded data cannot hold the marker.
int64_t count_scans(base::Bytes bytes) {
  int64_t scans = 0;
  for (size_t i = 0; i + 1 < bytes.size(); ++i) scans += bytes[i] == std::byte{0xFF} && bytes[i + 1] == std::byte{0xDA};
  return scans;
}

Header read_header(const Decompressor& decompressor, base::Bytes bytes, const std::string& place,
                   const base::Limits& limits) {
  Header h;
  if (tjDecompressHeader3(decompressor.handle, data_of(bytes), bytes.size(), &h.width, &h.height, &h.subsampling,
                          &h.colour_space) != 0)
    refuse(decompressor, place);
  check_size(h.width, h.height, place, limits);
  const int64_t pixels = int64_t{h.width} * h.height;
  // A grey block of 8x8 pixels costs a bit at the very least, so fewer bytes than this cannot be the whole image.
  if (pixels / 1024 > static_cast<int64_t>(bytes.size()))
    base::fail_malformed(place, "its header announces " + std::to_string(h.width) + "x" + std::to_string(h.height) +
                                    " pixels, but the file has only " + std::to_string(bytes.size()) + " bytes");
  // Every scan of a progressive JPEG walks over all blocks, whatever few bytes it has itself.
  base::check_limit(count_scans(bytes) * pixels, 16 * limits.image_pixels, "image-pixels", place,
                    "its number of pixels times scans");
  return h;
}

/// Pillow's conversion: the decoder's CMYK is inverted (as Adobe writes it), and RGB = white minus ink minus black.
void cmyk_to_rgb(const std::vector<uint8_t>& cmyk, Image& out) {
  const size_t pixels = out.pixels.size() / 3;
  for (size_t i = 0; i < pixels; ++i) {
    const int white = cmyk[4 * i + 3];  // 255 - K, as stored
    for (size_t c = 0; c < 3; ++c) {
      const int ink = 255 - cmyk[4 * i + c];
      const int scaled = ink * white + 128;  // rounded division by 255, exact for all bytes
      const int value = white - (((scaled >> 8) + scaled) >> 8);
      out.pixels[3 * i + c] = static_cast<uint8_t>(value < 0 ? 0 : value);
    }
  }
}

}  // namespace

ImageSize jpeg_size(base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  const Decompressor decompressor;
  const Header h = read_header(decompressor, bytes, place, limits);
  return {h.width, h.height};
}

Image decode_jpeg(base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  const Decompressor decompressor;
  const Header h = read_header(decompressor, bytes, place, limits);
  const bool grey = h.colour_space == TJCS_GRAY;
  const bool cmyk = h.colour_space == TJCS_CMYK || h.colour_space == TJCS_YCCK;
  Image image(h.width, h.height, grey ? 1 : 3);
  std::vector<uint8_t> inks(cmyk ? static_cast<size_t>(h.width) * h.height * 4 : 0);
  const int format = grey ? TJPF_GRAY : cmyk ? TJPF_CMYK : TJPF_RGB;
  // The first warning ends the decoding: after it the pixels would be the decoder's guess.
  const int flags = TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS;
  if (tjDecompress2(decompressor.handle, data_of(bytes), bytes.size(), cmyk ? inks.data() : image.pixels.data(),
                    h.width, 0, h.height, format, flags) != 0)
    refuse(decompressor, place);
  if (cmyk) cmyk_to_rgb(inks, image);
  return image;
}

}  // namespace nibble::io::image
