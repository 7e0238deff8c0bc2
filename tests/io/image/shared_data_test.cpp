// Pillow's pixels over whole archives of the shared data, by checksums that tests/data/make_expected.py made.
#include <zlib.h>

#include "data/expected_files.h"
#include "io/image/image.h"
#include "io/image/transform.h"
#include "io/json/json.h"
#include "io/zip/zip.h"
#include "support/shared_data.h"

namespace nibble::io {
namespace {

class PillowArchive : public testing::TestWithParam<const char*> {};

TEST_P(PillowArchive, HasTheSamePixelsDecodedAndResized) {
  NIBBLE_REQUIRE_SHARED_DATA();
  const auto json_file = test::expected_file("checksums.json");
  const Json json = parse_json(base::as_text(json_file->bytes()), "checksums.json", {});
  const Json* expected = json.find(GetParam());
  ASSERT_NE(expected, nullptr);

  const auto path = test::shared_data() / GetParam();
  const auto file = base::MappedFile::open(path);
  const ZipFile zip(file->bytes(), file, path.string(), {});
  uLong pixels = 0, bilinear = 0, bicubic = 0;
  const auto add = [](uLong crc, const Image& image) {
    return crc32(crc, image.pixels.data(), static_cast<uInt>(image.pixels.size()));
  };
  int64_t count = 0;
  for (size_t i = 0; i < zip.entries().size(); ++i) {
    if (!has_image_extension(zip.entries()[i].name)) continue;
    const Image image = decode_image(zip.read(i), zip.place_of(i), {});
    pixels = add(pixels, image);
    if (++count > 800) continue;
    bilinear = add(bilinear, resize(image, 96, 80, Filter::kBilinear));
    bicubic = add(bicubic, resize(image, 300, 320, Filter::kBicubic));
  }
  EXPECT_EQ(count, expected->find("count")->integer(""));
  EXPECT_EQ(static_cast<int64_t>(pixels), expected->find("pixels")->integer(""));
  EXPECT_EQ(static_cast<int64_t>(bilinear), expected->find("bilinear_96x80")->integer(""));
  EXPECT_EQ(static_cast<int64_t>(bicubic), expected->find("bicubic_300x320")->integer(""));
}

INSTANTIATE_TEST_SUITE_P(Archives, PillowArchive,
                         testing::Values("imagenet/imagenet_800.zip", "cifar10/test_jpeg_9700.zip",
                                         "superres/superres_5.zip", "ocr/ocr_lines_240.zip"),
                         [](const auto& row) {
                           std::string name = row.param;
                           for (char& c : name)
                             if (c == '/' || c == '.') c = '_';
                           return name;
                         });

}  // namespace
}  // namespace nibble::io
