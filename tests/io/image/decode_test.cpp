#include "data/expected_files.h"
#include "io/image/image.h"
#include "io/image/transform.h"

namespace nibble::io {
namespace {

using base::ErrorKind;
using test::expect_error;
using test::expected_array;
using test::expected_file;

Image decode(const std::string& name, const base::Limits& limits = {}) {
  return decode_image(expected_file(name)->bytes(), name, limits);
}

class PillowImage : public testing::TestWithParam<const char*> {};

TEST_P(PillowImage, DecodesToPillowsPixels) {
  const Image image = decode(GetParam());
  const tensor::Tensor pixels = expected_array(std::string(GetParam()) + ".npy");
  tensor::Shape shape = {image.height, image.width};
  if (image.channels == 3) shape.push_back(3);
  ASSERT_EQ(shape, pixels.shape());
  const auto expected = pixels.values<uint8_t>();
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(image.pixels[i], expected[i]) << "byte " << i;
}

TEST_P(PillowImage, HeaderTellsTheDecodedSize) {
  const Image image = decode(GetParam());
  const ImageSize size = image_size(expected_file(GetParam())->bytes(), GetParam(), {});
  EXPECT_EQ(size.width, image.width);
  EXPECT_EQ(size.height, image.height);
}

TEST_P(PillowImage, EveryPrefixIsRefused) {
  test::expect_prefixes_refused(expected_file(GetParam())->bytes(),
                                [](base::Bytes part) { decode_image(part, "part", {}); });
}

TEST_P(PillowImage, LimitsAreCheckedFromTheHeader) {
  if (std::string(GetParam()) == "tiny.jpg") return;  // one pixel is below every limit
  base::Limits limits;
  limits.image_side = 8;
  expect_error(ErrorKind::kLimit, "--limit image-side=", [&] { decode(GetParam(), limits); });
  limits = {};
  limits.image_pixels = 80;
  expect_error(ErrorKind::kLimit, "--limit image-pixels=", [&] { decode(GetParam(), limits); });
}

INSTANTIATE_TEST_SUITE_P(Files, PillowImage,
                         testing::Values("s420.jpg", "s422.jpg", "s444.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg",
                                         "exif6.jpg", "tiny.jpg", "rgb.png", "grey.png", "rgba.png", "la.png",
                                         "palette.png", "palette_alpha.png", "grey1.png", "grey2.png", "grey4.png",
                                         "rgb16.png", "interlaced.png"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(DecodeImage, AppliesTheExifOrientationOnlyWhenAsked) {
  const auto file = expected_file("exif6.jpg");
  const Image stored = decode_image(file->bytes(), "exif6.jpg", {});
  const Image upright = decode_image(file->bytes(), "exif6.jpg", {}, Orientation::kUpright);
  ASSERT_EQ(stored.width, upright.height);
  ASSERT_EQ(stored.height, upright.width);
  // Orientation 6: the stored image is turned a quarter clockwise, so its lower left corner comes to the upper left.
  for (int64_t y = 0; y < upright.height; ++y)
    for (int64_t x = 0; x < upright.width; ++x)
      for (int64_t c = 0; c < 3; ++c)
        ASSERT_EQ(upright.row(y)[x * 3 + c], stored.row(stored.height - 1 - x)[y * 3 + c]);
}

std::vector<std::byte> copy_of(const std::string& name) {
  const auto file = expected_file(name);
  return {file->bytes().begin(), file->bytes().end()};
}

/// Sets the CRC of the chunk that starts at `chunk` (its length field) right again.
void fix_crc(std::vector<std::byte>& png, size_t chunk) {
  const size_t length = std::to_integer<size_t>(png[chunk + 2]) * 256 + std::to_integer<size_t>(png[chunk + 3]);
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = chunk + 4; i < chunk + 8 + length; ++i) {
    crc ^= std::to_integer<uint32_t>(png[i]);
    for (int k = 0; k < 8; ++k) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  crc = ~crc;
  for (size_t i = 0; i < 4; ++i) png[chunk + 8 + length + i] = static_cast<std::byte>(crc >> (24 - 8 * i));
}

constexpr size_t kHeaderChunk = 8;

TEST(DecodeImage, RefusesAPngThatAnnouncesMoreThanItsBytesCanHold) {
  auto png = copy_of("grey.png");
  png[18] = std::byte{0x20};  // width 8192 + 37, height 8192 + 29
  png[22] = std::byte{0x20};
  fix_crc(png, kHeaderChunk);
  base::Limits limits;
  limits.image_pixels = int64_t{1} << 40;
  expect_error(ErrorKind::kMalformed, "but the file has only", [&] { decode_image(png, "bomb", limits); });
}

TEST(DecodeImage, RefusesAJpegThatAnnouncesMoreThanItsBytesCanHold) {
  auto jpeg = copy_of("grey.jpg");
  for (size_t i = 0; i + 8 < jpeg.size(); ++i)
    if (jpeg[i] == std::byte{0xFF} && jpeg[i + 1] == std::byte{0xC0}) {
      jpeg[i + 5] = std::byte{0x1F};  // the upper bytes of height and width
      jpeg[i + 7] = std::byte{0x1F};
      break;
    }
  expect_error(ErrorKind::kMalformed, "but the file has only", [&] { decode_image(jpeg, "bomb", {}); });
}

TEST(DecodeImage, CountsThePixelsOfEveryScan) {
  const auto file = expected_file("progressive.jpg");
  base::Limits limits;
  limits.image_pixels = 37 * 29;  // the size itself passes
  std::vector<std::byte> jpeg(file->bytes().begin(), file->bytes().end());
  decode_image(jpeg, "progressive", limits);
  // Ten more start-of-scan markers, as a bomb has; whether they decode is not waited for.
  for (int i = 0; i < 10; ++i) jpeg.insert(jpeg.end() - 2, {std::byte{0xFF}, std::byte{0xDA}});
  expect_error(ErrorKind::kLimit, "times scans", [&] { decode_image(jpeg, "scans", limits); });
}

TEST(DecodeImage, RefusesADamagedJpeg) {
  auto jpeg = copy_of("s420.jpg");
  // Two end-of-image markers in the middle of the entropy-coded data.
  for (size_t i = jpeg.size() - 60; i < jpeg.size() - 56; i += 2) {
    jpeg[i] = std::byte{0xFF};
    jpeg[i + 1] = std::byte{0xD9};
  }
  EXPECT_THROW(decode_image(jpeg, "damaged", {}), base::Error);
}

TEST(DecodeImage, RefusesAPngWithAWrongCrc) {
  auto png = copy_of("rgb.png");
  png[png.size() - 30] ^= std::byte{1};
  expect_error(ErrorKind::kMalformed, "the PNG is damaged", [&] { decode_image(png, "crc", {}); });
}

TEST(DecodeImage, RefusesAPaletteIndexOutsideThePalette) {
  // The palette is cut down to one colour; the pixels use more.
  auto png = copy_of("palette.png");
  size_t at = kHeaderChunk + 25;
  ASSERT_EQ(base::as_text(base::Bytes(png).subspan(at + 4, 4)), "PLTE");
  const auto length = std::to_integer<int>(png[at + 3]);
  png.erase(png.begin() + static_cast<std::ptrdiff_t>(at) + 11,
            png.begin() + static_cast<std::ptrdiff_t>(at) + 8 + length);
  png[at + 3] = std::byte{3};
  fix_crc(png, at);
  expect_error(ErrorKind::kMalformed, "of a palette of 1", [&] { decode_image(png, "palette", {}); });
}

TEST(DecodeImage, RefusesSixteenBitGrey) {
  auto png = copy_of("rgb16.png");
  png[25] = std::byte{0};  // colour type grey: the rows no longer fit, but the header is judged first
  fix_crc(png, kHeaderChunk);
  expect_error(ErrorKind::kUnsupported, "16-bit grey", [&] { decode_image(png, "grey16", {}); });
}

TEST(DecodeImage, NamesOtherFormats) {
  const std::pair<std::string_view, const char*> rows[] = {{"GIF89a......", "a GIF image"},
                                                           {"BM..........", "a BMP image"},
                                                           {"RIFF....WEBPVP8 ", "a WebP image"},
                                                           {{"II*\0....", 8}, "a TIFF image"},
                                                           {{"\0\0\0\x1C"
                                                             "ftypavif",
                                                             12},
                                                            "an AVIF"},
                                                           {"hello, world", "no JPEG or PNG"}};
  for (const auto& [bytes, part] : rows)
    expect_error(ErrorKind::kUnsupported, part, [&] { decode_image(base::as_bytes(bytes), "other", {}); });
  expect_error(ErrorKind::kMalformed, "empty", [&] { decode_image({}, "none", {}); });
}

TEST(EncodePng, DecodesToTheSamePixels) {
  for (const char* name : {"s420.jpg", "grey.jpg"}) {
    const Image image = decode(name);
    const std::vector<uint8_t> png = encode_png(image);
    const Image again = decode_image(std::as_bytes(std::span(png)), "again", {});
    EXPECT_EQ(again.channels, image.channels);
    EXPECT_EQ(again.pixels, image.pixels);
  }
}

TEST(HasImageExtension, LooksAtTheEndOfTheName) {
  EXPECT_TRUE(has_image_extension("a/b.JPG"));
  EXPECT_TRUE(has_image_extension("b.jpeg"));
  EXPECT_TRUE(has_image_extension(".png"));
  EXPECT_FALSE(has_image_extension("png"));
  EXPECT_FALSE(has_image_extension("a.png.txt"));
}

}  // namespace
}  // namespace nibble::io
