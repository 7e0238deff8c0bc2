#include "io/image/transform.h"

#include "data/expected_files.h"
#include "io/image/image.h"

namespace nibble::io {
namespace {

Image decode(const std::string& name) { return decode_image(test::expected_file(name)->bytes(), name, {}); }

/// The sizes of make_expected.py, in its order.
constexpr std::pair<int64_t, int64_t> kSizes[] = {{16, 16}, {37, 13}, {9, 29},  {80, 60},
                                                  {5, 3},   {1, 1},   {38, 28}, {36, 30}};

void expect_pillows_resize(const std::string& file, Filter filter, const std::string& label) {
  const Image image = decode(file);
  const tensor::Tensor array = test::expected_array("resized_" + file + "_" + label + ".npy");
  const auto expected = array.values<uint8_t>();
  size_t at = 0;
  for (const auto& [width, height] : kSizes) {
    const Image out = resize(image, width, height, filter);
    ASSERT_EQ(out.width, width);
    ASSERT_EQ(out.height, height);
    ASSERT_LE(at + out.pixels.size(), expected.size());
    for (size_t i = 0; i < out.pixels.size(); ++i)
      ASSERT_EQ(out.pixels[i], expected[at + i]) << width << "x" << height << " byte " << i;
    at += out.pixels.size();
  }
  EXPECT_EQ(at, expected.size());
}

TEST(Resize, BilinearEqualsPillow) {
  expect_pillows_resize("rgb.png", Filter::kBilinear, "bilinear");
  expect_pillows_resize("grey.png", Filter::kBilinear, "bilinear");
}
TEST(Resize, BicubicEqualsPillow) {
  expect_pillows_resize("rgb.png", Filter::kBicubic, "bicubic");
  expect_pillows_resize("grey.png", Filter::kBicubic, "bicubic");
}
TEST(Resize, NearestEqualsPillow) {
  expect_pillows_resize("rgb.png", Filter::kNearest, "nearest");
  expect_pillows_resize("grey.png", Filter::kNearest, "nearest");
}

TEST(Resize, KeepsAConstantImage) {
  Image image(50, 40, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{255});
  for (const Filter filter : {Filter::kNearest, Filter::kBilinear, Filter::kBicubic}) {
    const Image out = resize(image, 7, 93, filter);
    for (const uint8_t v : out.pixels) ASSERT_EQ(v, 255);
  }
}

/// Every pixel tells where it is: red = x, green = y.
Image coordinates(int64_t width, int64_t height) {
  Image image(width, height, 3);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      image.row(y)[3 * x] = static_cast<uint8_t>(x);
      image.row(y)[3 * x + 1] = static_cast<uint8_t>(y);
    }
  return image;
}

TEST(Crop, TakesThePartAskedFor) {
  const Image out = crop(coordinates(10, 8), 3, 2, 4, 5);
  EXPECT_EQ(out.width, 4);
  EXPECT_EQ(out.height, 5);
  EXPECT_EQ(out.row(0)[0], 3);
  EXPECT_EQ(out.row(0)[1], 2);
  EXPECT_EQ(out.row(4)[3 * 3], 6);
  EXPECT_EQ(out.row(4)[3 * 3 + 1], 6);
}

TEST(CropCentre, RoundsTheCornerDown) {
  const Image out = crop_centre(coordinates(11, 8), 4, 4);  // (11 - 4) / 2 = 3.5
  EXPECT_EQ(out.row(0)[0], 3);
  EXPECT_EQ(out.row(0)[1], 2);
}

TEST(Crop, BeyondTheImageIsABrokenInvariant) {
  test::expect_error(base::ErrorKind::kInternal, "broken invariant", [] { crop(coordinates(4, 4), 1, 0, 4, 4); });
}

TEST(PadCentre, FillsAroundAndKeepsLargerSides) {
  const Image out = pad_centre(coordinates(3, 6), 6, 5, 99);
  EXPECT_EQ(out.width, 6);
  EXPECT_EQ(out.height, 6);
  EXPECT_EQ(out.row(0)[0], 99);
  EXPECT_EQ(out.row(0)[3 * 1], 0);  // (6 - 3) / 2 = 1
  EXPECT_EQ(out.row(5)[3 * 3], 2);
  EXPECT_EQ(out.row(5)[3 * 3 + 1], 5);
  EXPECT_EQ(out.row(5)[3 * 4], 99);
}

TEST(ToGrey, EqualsPillow) {
  const Image grey = to_grey(decode("rgb.png"));
  const tensor::Tensor array = test::expected_array("grey_of_rgb.npy");
  const auto expected = array.values<uint8_t>();
  ASSERT_EQ(grey.pixels.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(grey.pixels[i], expected[i]);
}

TEST(ToRgb, RepeatsGreyAndIsUndoneByToGrey) {
  const Image grey = decode("grey.png");
  const Image rgb = to_rgb(grey);
  EXPECT_EQ(rgb.channels, 3);
  EXPECT_EQ(to_grey(rgb).pixels, grey.pixels);
}

}  // namespace
}  // namespace nibble::io
