#include "train/augment.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <set>

#include "base/error.h"

namespace nibble::train {
namespace {

using data::Layout;
using tensor::Tensor;

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), base::ErrorKind::kUsage) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

/// Images whose values all differ: value = ((sample * channels + channel) * height + y) * width + x.
Tensor numbered(int64_t n, int64_t channels, int64_t height, int64_t width) {
  Tensor t(tensor::DType::f32, {n, channels, height, width}, true);
  auto values = t.mutable_values<float>();
  std::iota(values.begin(), values.end(), 0.0f);
  return t;
}

std::vector<float> augmented(Tensor batch, const Augmentation& a, std::vector<int64_t> samples, int64_t epoch = 0,
                             int threads = 1, PixelForm form = {}, uint64_t seed = 1) {
  base::ThreadPool pool(threads);
  augment(batch, form, a, seed, samples, epoch, pool);
  const auto v = batch.values<float>();
  return {v.begin(), v.end()};
}

std::vector<float> values_of(const Tensor& t) { return {t.values<float>().begin(), t.values<float>().end()}; }

TEST(AugmentationText, IsReadBack) {
  for (const char* text : {"none", "crop=4", "flip", "colour=0.2", "crop=4,flip", "crop=1,flip,colour=1"}) {
    EXPECT_EQ(to_text(parse_augmentation(text)), text);
    EXPECT_EQ(parse_augmentation(to_text(parse_augmentation(text))), parse_augmentation(text));
  }
  EXPECT_EQ(parse_augmentation("colour=0.2,flip,crop=4"), (Augmentation{4, true, 0.2}));
  EXPECT_EQ(parse_augmentation(""), Augmentation{});
}

TEST(AugmentationText, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"crop", "crop=", "crop=x", "crop=-1", "crop=2.5", "flip=1", "colour=1.5", "colour=nan",
                           "color=0.2", "crop=4,,flip", "flip,", "crop=1,crop=2", "none,flip"})
    EXPECT_NE(refusal([&] { parse_augmentation(text); }).find("crop=PIXELS"), std::string::npos) << text;
}

TEST(Augment, WithoutAnythingToDoLeavesEveryBit) {
  const Tensor t = numbered(2, 5, 3, 3);
  EXPECT_EQ(augmented(numbered(2, 5, 3, 3), {}, {0, 1}), values_of(t));
}

/// Every image that comes out is one of the windows on numpy.pad(mode="reflect"), and in 400 draws all 9 appear.
TEST(Augment, ShiftsReflectTheEdges) {
  // One channel, 3x4, shifted by at most 1: index -1 is 1, index 3 of 3 is 1, index 4 of 4 is 2.
  const auto value = [](int64_t y, int64_t x) { return static_cast<float>(y * 4 + x); };
  std::set<std::vector<float>> windows, seen;
  const int64_t rows[5] = {1, 0, 1, 2, 1}, columns[6] = {1, 0, 1, 2, 3, 2};
  for (int64_t dy = 0; dy < 3; ++dy)
    for (int64_t dx = 0; dx < 3; ++dx) {
      std::vector<float> window;
      for (int64_t y = 0; y < 3; ++y)
        for (int64_t x = 0; x < 4; ++x) window.push_back(value(rows[y + dy], columns[x + dx]));
      windows.insert(window);
    }
  ASSERT_EQ(windows.size(), 9u);
  for (int64_t sample = 0; sample < 400; ++sample)
    seen.insert(augmented(numbered(1, 1, 3, 4), {1, false, 0}, {sample}));
  EXPECT_EQ(seen, windows);
}

TEST(Augment, FlipsAboutEveryOtherImage) {
  int flipped = 0;
  for (int64_t sample = 0; sample < 1000; ++sample) {
    const auto out = augmented(numbered(1, 3, 1, 2), {0, true, 0}, {sample});
    if (out == std::vector<float>{1, 0, 3, 2, 5, 4})
      ++flipped;
    else
      EXPECT_EQ(out, (std::vector<float>{0, 1, 2, 3, 4, 5}));
  }
  EXPECT_NEAR(flipped, 500, 63);  // four standard deviations of a fair coin
}

TEST(Augment, DependsOnSeedEpochAndSampleAlone) {
  const Augmentation a{2, true, 0.3};
  const Tensor one = numbered(1, 3, 8, 8);
  Tensor batch(tensor::DType::f32, {4, 3, 8, 8}, true);
  for (size_t i = 0; i < 4; ++i)
    std::copy(one.values<float>().begin(), one.values<float>().end(),
              batch.mutable_values<float>().begin() + static_cast<int64_t>(i) * 192);
  const auto copy = [&] { return Tensor::of<float>(batch.shape(), batch.values<float>()); };
  const auto all = augmented(copy(), a, {7, 8, 9, 10}, 3);
  EXPECT_EQ(all, augmented(copy(), a, {7, 8, 9, 10}, 3, 4)) << "threads";
  const auto image = [](const std::vector<float>& v, int64_t i) {
    return std::vector<float>(v.begin() + i * 192, v.begin() + (i + 1) * 192);
  };
  EXPECT_EQ(image(all, 2), augmented(numbered(1, 3, 8, 8), a, {9}, 3)) << "another batch";
  EXPECT_NE(image(all, 2), image(all, 1)) << "sample";
  EXPECT_NE(image(all, 2), augmented(numbered(1, 3, 8, 8), a, {9}, 4)) << "epoch";
  EXPECT_NE(image(all, 2), augmented(numbered(1, 3, 8, 8), a, {9}, 3, 1, {}, 2)) << "seed";
}

TEST(Augment, ShiftsAreTheSameWithAndWithoutColour) {
  PixelForm form;
  for (int64_t sample = 0; sample < 20; ++sample) {
    const auto plain = augmented(numbered(1, 1, 4, 4), {1, false, 0}, {sample});
    const auto coloured = augmented(numbered(1, 1, 4, 4), {1, false, 0.1}, {sample}, 0, 1, form);
    // A linear map with a positive factor keeps the order of the pixels.
    for (size_t i = 0; i < plain.size(); ++i)
      for (size_t k = 0; k < plain.size(); ++k) EXPECT_EQ(plain[i] < plain[k], coloured[i] < coloured[k]);
  }
}

TEST(Augment, ChannelsLastIsTheSameImage) {
  const int64_t h = 5, w = 4;
  const Tensor first = numbered(1, 3, h, w);
  Tensor last(tensor::DType::f32, {1, h, w, 3}, true);
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t i = 0; i < h * w; ++i)
      last.mutable_values<float>()[static_cast<size_t>(i * 3 + c)] =
          first.values<float>()[static_cast<size_t>(c * h * w + i)];
  PixelForm form;
  form.white = {80, 80, 80};
  form.range_known = true;
  const auto a = augmented(numbered(1, 3, h, w), {2, true, 0.4}, {5}, 0, 1, form);
  form.layout = Layout::kNhwc;
  const auto b = augmented(last, {2, true, 0.4}, {5}, 0, 1, form);
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t i = 0; i < h * w; ++i)
      EXPECT_EQ(a[static_cast<size_t>(c * h * w + i)], b[static_cast<size_t>(i * 3 + c)]);
}

TEST(Augment, ColoursStayBetweenBlackAndWhiteOfThePreprocessing) {
  const PixelForm form =
      pixel_form(data::parse_preprocessing("scale=1/255,mean=0.5:0.4:0.3,std=0.25:0.5:0.2,order=rgb,layout=nchw"));
  EXPECT_EQ(form.black, (std::array<double, 3>{-0.5 / 0.25, -0.4 / 0.5, -0.3 / 0.2}));
  EXPECT_NEAR(form.white[1], 0.6 / 0.5, 1e-15);
  // One black and one white pixel: under every draw they stay within the range, and some draws move white.
  int moved = 0;
  for (int64_t sample = 0; sample < 50; ++sample) {
    std::vector<float> image;
    for (size_t c = 0; c < 3; ++c) {
      image.push_back(static_cast<float>(form.black[c]));
      image.push_back(static_cast<float>(form.white[c]));
    }
    const auto out = augmented(Tensor::of<float>({1, 3, 1, 2}, image), {0, false, 0.5}, {sample}, 0, 1, form);
    for (size_t c = 0; c < 3; ++c)
      for (size_t i = 0; i < 2; ++i) {
        EXPECT_GE(out[c * 2 + i], static_cast<float>(form.black[c]));
        EXPECT_LE(out[c * 2 + i], static_cast<float>(form.white[c]));
      }
    moved += out[1] < image[1];
  }
  EXPECT_GT(moved, 10);
}

/// A grey image stays grey: brightness and contrast move all channels alike and saturation does nothing to it.
TEST(Augment, GreyPixelsStayGrey) {
  const auto out = augmented(Tensor::of<float>({1, 3, 1, 2}, std::vector<float>{.2f, .7f, .2f, .7f, .2f, .7f}),
                             {0, false, 0.5}, {3}, 0, 1, {});
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(out[i], out[2 + i], 1e-6);
    EXPECT_NEAR(out[i], out[4 + i], 1e-6);
  }
  EXPECT_NE(out[0], .2f);
}

TEST(Augment, RefusesWhatAreNoImages) {
  const auto shape = [](tensor::Shape s) {
    return refusal([&] {
      Tensor t(tensor::DType::f32, s);
      base::ThreadPool pool(1);
      const std::vector<int64_t> samples(static_cast<size_t>(s[0]), 0);
      augment(t, {}, {1, false, 0}, 0, samples, 0, pool);
    });
  };
  EXPECT_NE(shape({2, 4, 8, 8}).find("no images"), std::string::npos);
  EXPECT_NE(shape({2, 8}).find("no images"), std::string::npos);
  EXPECT_NE(shape({2, 3, 1, 8}).find("wide or high"), std::string::npos);
  EXPECT_NE(refusal([] {
              Tensor t(tensor::DType::u8, {1, 3, 8, 8});
              base::ThreadPool pool(1);
              const std::vector<int64_t> samples{0};
              augment(t, {}, {1, false, 0}, 0, samples, 0, pool);
            }).find("floats"),
            std::string::npos);
}

}  // namespace
}  // namespace nibble::train
