#include "data/preprocessing.h"

#include <cmath>

#include "data/expected_files.h"
#include "io/json/json.h"

namespace nibble::data {
namespace {

using base::ErrorKind;
using tensor::Shape;
using test::expect_error;

io::Image made_image(int64_t width, int64_t height, int64_t channels) {
  io::Image image(width, height, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 37 % 256);
  return image;
}

TEST(ParsePreprocessing, ReadsEveryKey) {
  const Preprocessing p = parse_preprocessing(
      "orientation=upright,order=bgr,resize=320x240,filter=bicubic,pad=330x250,pad-value=7,crop=224,scale=1/255,"
      "offset=-0.5,mean=0.1:0.2:0.3,std=2,layout=nhwc");
  EXPECT_EQ(p.orientation, io::Orientation::kUpright);
  EXPECT_EQ(p.order, ChannelOrder::kBgr);
  EXPECT_EQ(p.resize, (Size{320, 240}));
  EXPECT_EQ(p.shorter_side, 0);
  EXPECT_EQ(p.filter, io::Filter::kBicubic);
  EXPECT_EQ(p.pad, (Size{330, 250}));
  EXPECT_EQ(p.pad_value, 7);
  EXPECT_EQ(p.crop, (Size{224, 224}));
  EXPECT_EQ(p.scale, 1.0 / 255.0);
  EXPECT_EQ(p.offset, -0.5);
  EXPECT_EQ(p.mean, (std::vector<double>{0.1, 0.2, 0.3}));
  EXPECT_EQ(p.std, std::vector<double>{2.0});
  EXPECT_EQ(p.layout, Layout::kNhwc);
  EXPECT_EQ(parse_preprocessing("resize=256").shorter_side, 256);
  EXPECT_EQ(parse_preprocessing(""), Preprocessing{});
}

TEST(ToText, ReadsBackEqual) {
  for (const char* text :
       {"order=rgb,layout=nchw", "order=bgr,crop=224,mean=104:117:123,layout=nchw",
        "order=rgb,resize=256,crop=224,scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225,layout=nchw",
        "order=grey,resize=320x240,filter=nearest,pad=330x250,pad-value=7,scale=0.1,offset=-1,layout=nhwc",
        "orientation=upright,order=rgb,filter=bicubic,crop=5x7,std=3,layout=nchw"}) {
    const Preprocessing p = parse_preprocessing(text);
    EXPECT_EQ(to_text(p), text);
    EXPECT_EQ(parse_preprocessing(to_text(p)), p);
    EXPECT_EQ(preprocessing_from_json(to_json(p), "json"), p);
  }
  // A number that only its shortest digits give back.
  const Preprocessing p = parse_preprocessing("scale=1/3");
  EXPECT_EQ(parse_preprocessing(to_text(p)), p);
}

TEST(ParsePreprocessing, NamesWhatIsWrong) {
  const std::pair<const char*, const char*> rows[] = {
      {"size=3", "there is no key \"size\""},
      {"resize", "has no value"},
      {"resize=", "is no whole number"},
      {"resize=2x3x4", "is no whole number"},
      {"resize=0", "is a size of zero"},
      {"crop=-3", "is no whole number"},
      {"crop=5y", "is no whole number"},
      {"order=rgba", "one of rgb, bgr, grey"},
      {"layout=chw", "one of nchw, nhwc"},
      {"filter=cubic", "one of nearest"},
      {"scale=1/0", "is no finite number"},
      {"scale=x", "is no finite number"},
      {"scale=1/2/3", "is no finite number"},
      {"scale=inf", "is no finite number"},
      {"mean=1:x", "is no finite number"},
      {"mean=1:2", "mean has 2 values for 3 channels"},
      {"order=grey,std=1:2:3", "std has 3 values for 1 channels"},
      {"std=0", "std holds a 0"},
      {"pad-value=256", "is no byte"},
      {"crop=3,crop=4", "the key comes twice"},
      {"resize=10x10,crop=11", "crop 11x11 is larger"},
      {"orientation=left", "one of stored, upright"},
      {"a=1,,b=2", "there is no key"},
  };
  for (const auto& [text, part] : rows) expect_error(ErrorKind::kUsage, part, [&] { parse_preprocessing(text); });
  expect_error(ErrorKind::kLimit, "--limit image-side=", [] { parse_preprocessing("resize=20000"); });
  base::Limits limits;
  limits.image_side = 20000;
  limits.image_pixels = int64_t{1} << 30;
  EXPECT_EQ(parse_preprocessing("resize=20000", limits).shorter_side, 20000);
}

TEST(PreprocessingFromJson, NamesWhatIsWrong) {
  const auto from = [](std::string_view text) {
    return preprocessing_from_json(io::parse_json(text, "f.json", {}), "f.json");
  };
  EXPECT_EQ(from(R"({"resize": [320, 240], "crop": 96, "scale": "1/255", "mean": 3})"),
            parse_preprocessing("resize=320x240,crop=96,scale=1/255,mean=3"));
  const std::pair<const char*, const char*> rows[] = {{R"({"size": 3})", "\"size\": there is no such key"},
                                                      {R"({"resize": "3"})", "\"resize\": is a string"},
                                                      {R"({"resize": [1, 2, 3]})", "is no N or [width, height]"},
                                                      {R"({"crop": 0})", "a size is not positive"},
                                                      {R"({"order": "xyz"})", "must be one of rgb, bgr, grey"},
                                                      {R"({"scale": "1/0"})", "is no finite number"},
                                                      {R"({"scale": [1]})", "is an array, a number was expected"},
                                                      {R"({"pad-value": -1})", "is no byte"},
                                                      {R"([])", "is an array, an object was expected"},
                                                      {R"({"mean": [1, "x"]})", "is no finite number"}};
  for (const auto& [text, part] : rows) expect_error(ErrorKind::kMalformed, part, [&] { from(text); });
}

TEST(Apply, ComputesEveryByteAsDocumented) {
  // One row that holds every byte in each channel.
  io::Image image(256, 1, 3);
  for (size_t x = 0; x < 256; ++x)
    for (size_t c = 0; c < 3; ++c) image.pixels[3 * x + c] = static_cast<uint8_t>(x + 80 * c);
  const Preprocessing p = parse_preprocessing("order=bgr,scale=1/255,offset=0.25,mean=0.5:0.4:0.3,std=0.1:0.2:0.3");
  const tensor::Tensor out = apply(p, image, "image");
  ASSERT_EQ(out.shape(), (Shape{3, 1, 256}));
  const double mean[] = {0.5, 0.4, 0.3}, std[] = {0.1, 0.2, 0.3};
  for (size_t c = 0; c < 3; ++c)
    for (size_t x = 0; x < 256; ++x) {
      const double byte = static_cast<uint8_t>(x + 80 * (2 - c));  // blue comes first
      EXPECT_EQ(out.values<float>()[c * 256 + x], static_cast<float>((byte * (1.0 / 255.0) + 0.25 - mean[c]) / std[c]));
    }
}

TEST(Apply, DividesBy255AsFloat32Does) {
  io::Image image(256, 1, 1);
  for (size_t x = 0; x < 256; ++x) image.pixels[x] = static_cast<uint8_t>(x);
  const tensor::Tensor out = apply(parse_preprocessing("order=grey,scale=1/255"), image, "image");
  for (size_t x = 0; x < 256; ++x) EXPECT_EQ(out.values<float>()[x], static_cast<float>(x) / 255.0f);
}

TEST(Apply, LaysOutPlanesAndPixels) {
  const io::Image image = made_image(4, 2, 3);
  const tensor::Tensor planes = apply(parse_preprocessing("layout=nchw"), image, "image");
  const tensor::Tensor pixels = apply(parse_preprocessing("layout=nhwc"), image, "image");
  ASSERT_EQ(planes.shape(), (Shape{3, 2, 4}));
  ASSERT_EQ(pixels.shape(), (Shape{2, 4, 3}));
  for (size_t c = 0; c < 3; ++c)
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(planes.values<float>()[c * 8 + i], static_cast<float>(image.pixels[3 * i + c]));
      EXPECT_EQ(pixels.values<float>()[3 * i + c], static_cast<float>(image.pixels[3 * i + c]));
    }
}

TEST(Apply, TakesTheStepsInOrder) {
  const io::Image image = made_image(40, 20, 3);
  // Shorter side 10: 20x10; padded to 24x12; cropped to 12x12.
  const tensor::Tensor out = apply(parse_preprocessing("resize=10,pad=24x12,pad-value=9,crop=12"), image, "image");
  const io::Image expected =
      io::crop_centre(io::pad_centre(io::resize(image, 20, 10, io::Filter::kBilinear), 24, 12, 9), 12, 12);
  ASSERT_EQ(out.shape(), (Shape{3, 12, 12}));
  for (size_t i = 0; i < 144; ++i) ASSERT_EQ(out.values<float>()[i], static_cast<float>(expected.pixels[3 * i]));
}

TEST(Apply, RoundsTheLongerSideDown) {
  EXPECT_EQ(apply(parse_preprocessing("resize=10"), made_image(31, 20, 1), "i").shape(), (Shape{3, 10, 15}));
  EXPECT_EQ(apply(parse_preprocessing("resize=10"), made_image(20, 31, 1), "i").shape(), (Shape{3, 15, 10}));
  EXPECT_EQ(apply(parse_preprocessing("resize=10"), made_image(20, 20, 1), "i").shape(), (Shape{3, 10, 10}));
}

TEST(Apply, TurnsGreyIntoColourAndBack) {
  const io::Image grey = made_image(3, 2, 1);
  const tensor::Tensor rgb = apply(parse_preprocessing("order=rgb"), grey, "image");
  for (size_t i = 0; i < 18; ++i) ASSERT_EQ(rgb.values<float>()[i], static_cast<float>(grey.pixels[i % 6]));
  const io::Image colour = made_image(3, 2, 3);
  const tensor::Tensor back = apply(parse_preprocessing("order=grey"), colour, "image");
  ASSERT_EQ(back.shape(), (Shape{1, 2, 3}));
  for (size_t i = 0; i < 6; ++i) ASSERT_EQ(back.values<float>()[i], static_cast<float>(io::to_grey(colour).pixels[i]));
}

TEST(Apply, RefusesAnImageSmallerThanTheCrop) {
  expect_error(ErrorKind::kUnsupported, "the image is 40x20, smaller than the crop 24x24",
               [] { apply(parse_preprocessing("crop=24"), made_image(40, 20, 3), "image"); });
}

TEST(Apply, ChecksTheResizedSize) {
  // 1 x 16384 with its shorter side at 2 would be 32768 high.
  expect_error(ErrorKind::kLimit, "--limit image-side=32768",
               [] { apply(parse_preprocessing("resize=2"), made_image(1, 16384, 1), "image"); });
}

TEST(OutputShape, IsKnownWhereNoImageDecides) {
  EXPECT_EQ(output_shape(parse_preprocessing("crop=5x7")), (Shape{3, 7, 5}));
  EXPECT_EQ(output_shape(parse_preprocessing("resize=5x7,layout=nhwc,order=grey")), (Shape{7, 5, 1}));
  EXPECT_EQ(output_shape(parse_preprocessing("resize=5")), (Shape{3, tensor::kUnknown, tensor::kUnknown}));
}

}  // namespace
}  // namespace nibble::data
