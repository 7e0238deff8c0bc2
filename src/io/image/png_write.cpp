#include <png.h>

#include "base/error.h"
#include "io/image/image.h"

namespace nibble::io {

std::vector<uint8_t> encode_png(const Image& image) {
  NIBBLE_INVARIANT(image.channels == 1 || image.channels == 3);
  NIBBLE_INVARIANT(image.pixels.size() == static_cast<size_t>(image.width * image.height * image.channels));
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(image.width);
  header.height = static_cast<png_uint_32>(image.height);
  header.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::vector<uint8_t> bytes(size);
  if (!png_image_write_to_memory(&header, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr))
    base::fail_limit("", "an image cannot be encoded: " + base::printable(header.message));
  bytes.resize(size);
  return bytes;
}

}  // namespace nibble::io
