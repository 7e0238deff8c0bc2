// Augmentation of images: shift and flip as in He et al., "Deep Residual Learning for Image Recognition" (2016, section
// 4.2: four pixels of padding, a random crop, its mirror image), with reflected edges instead of zeros, because a pixel
// of zero is no neutral grey once means were taken off. Colours as in Krizhevsky et al. (2012) by torchvision's
// factors.
#include "train/augment.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace nibble::train {
namespace {

using tensor::Tensor;

constexpr std::string_view kForms = "write none, or some of crop=PIXELS, flip and colour=STRENGTH, as in crop=4,flip";

/// One image in memory: element (channel, y, x) is data[channel * channel_stride + (y * width + x) * pixel_stride].
struct Image {
  float* data = nullptr;
  int64_t channels = 0, height = 0, width = 0;
  int64_t channel_stride = 0, pixel_stride = 0;

  float& at(int64_t channel, int64_t pixel) const { return data[channel * channel_stride + pixel * pixel_stride]; }
};

/// What becomes of one image. All numbers are drawn, whether they are used or not.
struct Draw {
  int64_t dx, dy;
  bool flip;
  double brightness, contrast, saturation;

  Draw(const Augmentation& a, uint64_t seed, int64_t sample, int64_t epoch) {
    base::Random random(base::Random(seed, static_cast<uint64_t>(epoch)).bits(0), static_cast<uint64_t>(sample));
    const auto shift = [&] {
      return static_cast<int64_t>(random.below(static_cast<uint64_t>(2 * a.crop + 1))) - a.crop;
    };
    const auto factor = [&] { return 1.0 + a.colour * (2.0 * random.uniform() - 1.0); };
    dx = shift();
    dy = shift();
    flip = random.below(2) == 1 && a.flip;
    brightness = factor();
    contrast = factor();
    saturation = factor();
  }
};

int64_t reflected(int64_t i, int64_t size) {
  if (i < 0) return -i;
  return i < size ? i : 2 * (size - 1) - i;
}

void move_pixels(const Image& image, const Draw& draw, std::vector<float>& copy) {
  if (draw.dx == 0 && draw.dy == 0 && !draw.flip) return;
  const int64_t count = image.channels * image.height * image.width;
  copy.assign(image.data, image.data + count);
  const Image from{copy.data(), image.channels, image.height, image.width, image.channel_stride, image.pixel_stride};
  for (int64_t y = 0; y < image.height; ++y) {
    const int64_t from_y = reflected(y + draw.dy, image.height);
    for (int64_t x = 0; x < image.width; ++x) {
      const int64_t from_x = reflected((draw.flip ? image.width - 1 - x : x) + draw.dx, image.width);
      for (int64_t c = 0; c < image.channels; ++c)
        image.at(c, y * image.width + x) = from.at(c, from_y * image.width + from_x);
    }
  }
}

/// The colours of one image as numbers between 0 and 1, changed step by step.
class Colours {
 public:
  Colours(const Image& image, const PixelForm& form) : image_(image), form_(form) {
    if (form.order == data::ChannelOrder::kBgr) std::swap(grey_.front(), grey_.back());
    if (image.channels == 1) grey_ = {1, 0, 0};
  }

  void change(const Draw& draw) const {
    double sum = 0;
    for (int64_t i = 0; i < pixels(); ++i) {
      Pixel p = get(i);
      for (double& v : p) v = clipped(draw.brightness * v);
      put(i, p);
      sum += grey(p);
    }
    const double mean = sum / static_cast<double>(pixels());
    for (int64_t i = 0; i < pixels(); ++i) {
      Pixel p = get(i);
      for (double& v : p) v = clipped(mean + draw.contrast * (v - mean));
      if (image_.channels == 3) {
        const double g = grey(p);
        for (double& v : p) v = clipped(g + draw.saturation * (v - g));
      }
      put(i, p);
    }
  }

 private:
  using Pixel = std::array<double, 3>;

  int64_t pixels() const { return image_.height * image_.width; }
  double clipped(double v) const { return form_.range_known ? std::clamp(v, 0.0, 1.0) : v; }
  double grey(const Pixel& p) const { return grey_[0] * p[0] + grey_[1] * p[1] + grey_[2] * p[2]; }
  Pixel get(int64_t i) const {
    Pixel p{};
    for (size_t c = 0; c < static_cast<size_t>(image_.channels); ++c)
      p[c] = (image_.at(static_cast<int64_t>(c), i) - form_.black[c]) / (form_.white[c] - form_.black[c]);
    return p;
  }
  void put(int64_t i, const Pixel& p) const {
    for (size_t c = 0; c < static_cast<size_t>(image_.channels); ++c)
      image_.at(static_cast<int64_t>(c), i) =
          static_cast<float>(form_.black[c] + p[c] * (form_.white[c] - form_.black[c]));
  }

  const Image& image_;
  const PixelForm& form_;
  Pixel grey_{0.299, 0.587, 0.114};
};

[[noreturn]] void no_images(const Tensor& batch, const std::string& why) {
  base::fail_usage("augmentation", "the data are no images: samples " + tensor::to_string(batch.shape()) + " " + why,
                   "images are f32 with 1 or 3 channels; --augment none trains on the samples as they are");
}

}  // namespace

Augmentation parse_augmentation(std::string_view text) {
  const auto fail = [&](std::string_view part, const std::string& sentence) {
    base::fail_usage("augmentation " + base::in_quotes(text), base::in_quotes(part) + " " + sentence,
                     std::string(kForms));
  };
  Augmentation a;
  if (text.empty() || text == "none") return a;
  std::vector<std::string_view> seen;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    const char* end = value.data() + value.size();
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) fail(key, "is given twice");
    seen.push_back(key);
    if (key == "crop") {
      const auto [stop, status] = std::from_chars(value.data(), end, a.crop);
      if (value.empty() || status != std::errc{} || stop != end || a.crop < 0 || a.crop > 4096)
        fail(part, "is no number of pixels from 0 to 4096");
    } else if (part == "flip") {
      a.flip = true;
    } else if (key == "colour") {
      const auto [stop, status] = std::from_chars(value.data(), end, a.colour);
      if (value.empty() || status != std::errc{} || stop != end || !(a.colour >= 0 && a.colour <= 1))
        fail(part, "is no strength from 0 to 1");
    } else {
      fail(part, "is not understood");
    }
    if (comma == std::string_view::npos) return a;
    text.remove_prefix(comma + 1);
  }
}

std::string to_text(const Augmentation& a) {
  std::string text;
  if (a.crop > 0) text += "crop=" + std::to_string(a.crop);
  if (a.flip) text += std::string(text.empty() ? "" : ",") + "flip";
  if (a.colour > 0) {
    char digits[32];
    text += std::string(text.empty() ? "" : ",") + "colour=";
    text.append(digits, std::to_chars(digits, digits + sizeof digits, a.colour).ptr);
  }
  return text.empty() ? "none" : text;
}

PixelForm pixel_form(const data::Preprocessing& p) {
  PixelForm form;
  form.layout = p.layout;
  form.order = p.order;
  form.range_known = true;
  const auto of_channel = [](const std::vector<double>& list, size_t c, double fallback) {
    return list.empty() ? fallback : list.size() == 1 ? list[0] : list[c];
  };
  for (size_t c = 0; c < static_cast<size_t>(p.channels()); ++c) {
    const double mean = of_channel(p.mean, c, 0), deviation = of_channel(p.std, c, 1);
    form.black[c] = (p.offset - mean) / deviation;
    form.white[c] = (255 * p.scale + p.offset - mean) / deviation;
  }
  return form;
}

void augment(Tensor& batch, const PixelForm& form, const Augmentation& a, uint64_t seed,
             std::span<const int64_t> sample_indices, int64_t epoch, base::ThreadPool& pool) {
  if (a == Augmentation{}) return;
  const tensor::Shape& shape = batch.shape();
  if (batch.dtype() != tensor::DType::f32 || batch.quantization()) no_images(batch, "are no 32-bit floats");
  if (shape.size() != 4) no_images(batch, "with their batch have not 4 dimensions");
  const bool first = form.layout == data::Layout::kNchw;
  Image image;
  image.channels = shape[first ? 1 : 3];
  image.height = shape[first ? 2 : 1];
  image.width = shape[first ? 3 : 2];
  if (image.channels != 1 && image.channels != 3)
    no_images(batch, "have " + std::to_string(image.channels) + " channels");
  NIBBLE_INVARIANT(static_cast<int64_t>(sample_indices.size()) == shape[0]);
  if (a.crop >= std::min(image.height, image.width))
    base::fail_usage("augmentation " + base::in_quotes(to_text(a)),
                     "shifts images of " + std::to_string(image.width) + "x" + std::to_string(image.height) +
                         " by more than they are wide or high",
                     "crop is in pixels, 4 for images of 32x32");
  const int64_t pixels = image.height * image.width;
  image.channel_stride = first ? pixels : 1;
  image.pixel_stride = first ? 1 : image.channels;
  float* const values = batch.mutable_values<float>().data();
  std::vector<std::vector<float>> copies(static_cast<size_t>(pool.threads()));
  pool.for_each(shape[0], [&](int64_t i, int worker) {
    Image mine = image;
    mine.data = values + i * image.channels * pixels;
    const Draw draw(a, seed, sample_indices[static_cast<size_t>(i)], epoch);
    move_pixels(mine, draw, copies[static_cast<size_t>(worker)]);
    if (a.colour > 0) Colours(mine, form).change(draw);
  });
}

}  // namespace nibble::train
