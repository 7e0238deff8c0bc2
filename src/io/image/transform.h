#pragma once
#include "io/image/image.h"

namespace nibble::io {

/// How new pixels come from old ones; the names are Pillow's.
enum class Filter { kNearest, kBilinear, kBicubic };

/// `image` at width x height. Bilinear and bicubic are antialiased (the filter widens with the reduction), in fixed
/// point, one pass along rows and one along columns, bit for bit as `Image.resize(size, BILINEAR | BICUBIC)` of Pillow
/// 13 (which from Pillow 12 differs in the last bit where the height shrinks much more than the width); nearest is as
/// its NEAREST. width and height are positive.
Image resize(const Image& image, int64_t width, int64_t height, Filter filter);

/// The part of width x height whose upper left corner is (left, top); it lies within the image.
Image crop(const Image& image, int64_t left, int64_t top, int64_t width, int64_t height);
/// The middle part, at left = floor((image.width - width) / 2), top likewise. The image is at least that large.
Image crop_centre(const Image& image, int64_t width, int64_t height);

/// The image in the middle of a larger one, the rest filled with `value`; its corner is at floor((width - image.width)
/// / 2), likewise down. Sides that are larger already stay.
Image pad_centre(const Image& image, int64_t width, int64_t height, uint8_t value);

/// One channel as Pillow's `convert("L")`: (19595 R + 38470 G + 7471 B + 32768) / 65536, rounded down.
Image to_grey(const Image& image);
/// Three equal channels from one.
Image to_rgb(const Image& image);

}  // namespace nibble::io
