#pragma once
#include <string>

#include "io/image/image.h"

/// The decoders behind decode_image; each is told that the magic is right.
namespace nibble::io::image {

Image decode_jpeg(base::Bytes bytes, const std::string& place, const base::Limits& limits);
ImageSize jpeg_size(base::Bytes bytes, const std::string& place, const base::Limits& limits);
/// The Exif orientation, 1 to 8; 1 where there is none or it cannot be read.
int exif_orientation(base::Bytes jpeg);
/// `image` as a viewer shows it under an Exif orientation (1 to 8).
Image upright(const Image& image, int orientation);

Image decode_png(base::Bytes bytes, const std::string& place, const base::Limits& limits);
ImageSize png_size(base::Bytes bytes, const std::string& place, const base::Limits& limits);

/// Throws unless both sides are positive and within image-side, and their product within image-pixels.
void check_size(int64_t width, int64_t height, const std::string& place, const base::Limits& limits);

}  // namespace nibble::io::image
