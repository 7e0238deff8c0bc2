#include "data/preprocessing.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace nibble::data {
namespace {

std::string to_string(Size size) { return std::to_string(size.width) + "x" + std::to_string(size.height); }

Size resized(const Preprocessing& p, Size image) {
  if (p.resize.width > 0) return p.resize;
  if (p.shorter_side == 0) return image;
  const int64_t n = p.shorter_side;
  return image.width <= image.height ? Size{n, n * image.height / image.width}
                                     : Size{n * image.width / image.height, n};
}

double value_at(const std::vector<double>& list, size_t channel, double absent) {
  if (list.empty()) return absent;
  return list.size() == 1 ? list[0] : list[channel];
}

/// The value of every byte in one output channel.
std::array<float, 256> table_of(const Preprocessing& p, size_t channel) {
  std::array<float, 256> table;
  const double mean = value_at(p.mean, channel, 0.0), std = value_at(p.std, channel, 1.0);
  for (size_t x = 0; x < table.size(); ++x)
    table[x] = static_cast<float>((static_cast<double>(x) * p.scale + p.offset - mean) / std);
  return table;
}

void check_list(const std::vector<double>& list, std::string_view name, const Preprocessing& p,
                const std::string& place) {
  if (list.size() > 1 && static_cast<int64_t>(list.size()) != p.channels())
    base::fail_usage(place,
                     std::string(name) + " has " + std::to_string(list.size()) + " values for " +
                         std::to_string(p.channels()) + " channels",
                     "give one value for all or one for each");
  for (const double v : list)
    if (!std::isfinite(v)) base::fail_usage(place, std::string(name) + " holds a value that is not finite");
}

}  // namespace

void check(const Preprocessing& p, const std::string& place, const base::Limits& limits) {
  check_list(p.mean, "mean", p, place);
  check_list(p.std, "std", p, place);
  if (std::find(p.std.begin(), p.std.end(), 0.0) != p.std.end()) base::fail_usage(place, "std holds a 0");
  if (!std::isfinite(p.scale) || !std::isfinite(p.offset)) base::fail_usage(place, "scale and offset must be finite");
  if (p.shorter_side != 0 && p.resize != Size{}) base::fail_usage(place, "resize asks for two sizes");
  for (const Size size : {p.resize, p.pad, p.crop, Size{p.shorter_side, p.shorter_side}}) {
    if (size == Size{}) continue;
    if (size.width < 1 || size.height < 1) base::fail_usage(place, "a size of " + to_string(size) + " is not positive");
    base::check_limit(std::max(size.width, size.height), limits.image_side, "image-side", place, "a side");
    base::check_limit(size.width * size.height, limits.image_pixels, "image-pixels", place, "the number of pixels");
  }
  if (p.crop == Size{}) return;
  // What is left to crop from, as far as it is known before an image is seen.
  const Size least = {std::max(p.resize.width, p.pad.width), std::max(p.resize.height, p.pad.height)};
  if (p.resize != Size{} && (least.width < p.crop.width || least.height < p.crop.height))
    base::fail_usage(place, "crop " + to_string(p.crop) + " is larger than the image of " + to_string(least) +
                                " that it is taken from");
}

tensor::Tensor apply(const Preprocessing& p, const io::Image& image, const std::string& place,
                     const base::Limits& limits) {
  io::Image work = p.order == ChannelOrder::kGrey ? io::to_grey(image) : io::to_rgb(image);
  const Size size = resized(p, {work.width, work.height});
  base::check_limit(std::max(size.width, size.height), limits.image_side, "image-side", place, "its resized side");
  base::check_limit(size.width * size.height, limits.image_pixels, "image-pixels", place,
                    "its number of pixels when resized");
  work = io::resize(work, size.width, size.height, p.filter);
  if (p.pad.width > 0) work = io::pad_centre(work, p.pad.width, p.pad.height, p.pad_value);
  if (p.crop.width > 0) {
    if (work.width < p.crop.width || work.height < p.crop.height)
      base::fail_unsupported(
          place,
          "the image is " + to_string({work.width, work.height}) + ", smaller than the crop " + to_string(p.crop),
          "resize or pad it first: resize=" + std::to_string(std::max(p.crop.width, p.crop.height)));
    work = io::crop_centre(work, p.crop.width, p.crop.height);
  }

  const int64_t channels = p.channels(), height = work.height, width = work.width;
  const bool planes = p.layout == Layout::kNchw;
  tensor::Tensor out(tensor::DType::f32,
                     planes ? tensor::Shape{channels, height, width} : tensor::Shape{height, width, channels}, true);
  const auto values = out.mutable_values<float>();
  const auto pixels = static_cast<size_t>(height * width), c_count = static_cast<size_t>(channels);
  for (size_t c = 0; c < c_count; ++c) {
    const std::array<float, 256> table = table_of(p, c);
    const size_t from = p.order == ChannelOrder::kBgr ? 2 - c : c;
    for (size_t i = 0; i < pixels; ++i)
      values[planes ? c * pixels + i : i * c_count + c] = table[work.pixels[i * c_count + from]];
  }
  return out;
}

tensor::Shape output_shape(const Preprocessing& p) {
  Size size = p.crop;
  if (size == Size{}) size = {std::max(p.resize.width, p.pad.width), std::max(p.resize.height, p.pad.height)};
  const bool known = p.crop != Size{} || p.resize != Size{};
  const int64_t height = known ? size.height : tensor::kUnknown, width = known ? size.width : tensor::kUnknown;
  if (p.layout == Layout::kNchw) return {p.channels(), height, width};
  return {height, width, p.channels()};
}

}  // namespace nibble::data
