#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "io/image/transform.h"

namespace nibble::io {

Image crop(const Image& image, int64_t left, int64_t top, int64_t width, int64_t height) {
  NIBBLE_INVARIANT(left >= 0 && top >= 0 && width > 0 && height > 0);
  NIBBLE_INVARIANT(width <= image.width - left && height <= image.height - top);
  Image out(width, height, image.channels);
  for (int64_t y = 0; y < height; ++y)
    std::memcpy(out.row(y), image.row(top + y) + left * image.channels, static_cast<size_t>(width * image.channels));
  return out;
}

Image crop_centre(const Image& image, int64_t width, int64_t height) {
  return crop(image, (image.width - width) / 2, (image.height - height) / 2, width, height);
}

Image pad_centre(const Image& image, int64_t width, int64_t height, uint8_t value) {
  width = std::max(width, image.width);
  height = std::max(height, image.height);
  Image out(width, height, image.channels);
  std::fill(out.pixels.begin(), out.pixels.end(), value);
  const int64_t left = (width - image.width) / 2, top = (height - image.height) / 2;
  for (int64_t y = 0; y < image.height; ++y)
    std::memcpy(out.row(top + y) + left * image.channels, image.row(y),
                static_cast<size_t>(image.width * image.channels));
  return out;
}

Image to_grey(const Image& image) {
  if (image.channels == 1) return image;
  Image out(image.width, image.height, 1);
  for (size_t i = 0; i < out.pixels.size(); ++i) {
    const uint8_t* p = &image.pixels[3 * i];
    out.pixels[i] = static_cast<uint8_t>((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16);
  }
  return out;
}

Image to_rgb(const Image& image) {
  if (image.channels == 3) return image;
  Image out(image.width, image.height, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    std::fill_n(out.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, image.pixels[i]);
  return out;
}

}  // namespace nibble::io
