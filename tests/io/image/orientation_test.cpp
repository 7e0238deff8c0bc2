#include "data/expected_files.h"
#include "io/image/codecs.h"

namespace nibble::io::image {
namespace {

/// 3x2: the pixel at (x, y) is 10 y + x.
Image numbered() {
  Image image(3, 2, 1);
  image.pixels = {0, 1, 2, 10, 11, 12};
  return image;
}

TEST(Upright, UndoesEachOfTheEightOrientations) {
  using Pixels = std::vector<uint8_t>;
  const Pixels expected[] = {
      {0, 1, 2, 10, 11, 12},  // 1 as it is
      {2, 1, 0, 12, 11, 10},  // 2 mirrored left to right
      {12, 11, 10, 2, 1, 0},  // 3 turned by half
      {10, 11, 12, 0, 1, 2},  // 4 mirrored top to bottom
      {0, 10, 1, 11, 2, 12},  // 5 transposed
      {10, 0, 11, 1, 12, 2},  // 6 turned a quarter clockwise
      {12, 2, 11, 1, 10, 0},  // 7 transposed along the other diagonal
      {2, 12, 1, 11, 0, 10},  // 8 turned a quarter counter-clockwise
  };
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image out = upright(numbered(), orientation);
    EXPECT_EQ(out.width, orientation < 5 ? 3 : 2);
    EXPECT_EQ(out.pixels, expected[orientation - 1]) << "orientation " << orientation;
  }
}

TEST(ExifOrientation, ReadsBothByteOrders) {
  const auto jpeg_with = [](std::string_view tiff) {
    std::string jpeg = "\xFF\xD8\xFF\xE1";
    jpeg += '\0';
    jpeg += static_cast<char>(2 + 6 + tiff.size());
    jpeg += std::string("Exif\0\0", 6);
    return jpeg.append(tiff) + "\xFF\xD9";
  };
  const std::string little = jpeg_with({"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\7\0\0\0", 22});
  EXPECT_EQ(exif_orientation(base::as_bytes(little)), 7);
  const std::string big = jpeg_with({"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\5\0\0", 22});
  EXPECT_EQ(exif_orientation(base::as_bytes(big)), 5);
  // Damaged in any way: as stored.
  for (size_t n = 0; n < little.size(); ++n) EXPECT_NO_THROW(exif_orientation(base::as_bytes(little).first(n)));
  EXPECT_EQ(exif_orientation(base::as_bytes(little).first(20)), 1);
  EXPECT_EQ(exif_orientation(base::as_bytes(jpeg_with({"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\11\0\0\0", 22}))), 1);
}

}  // namespace
}  // namespace nibble::io::image
