// The Exif orientation tag (EXIF 2.3, tag 0x0112) of a JPEG, and the eight turns and mirrors that it stands for.
#include "base/error.h"
#include "io/image/codecs.h"

namespace nibble::io::image {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;
constexpr uint16_t kShort = 3;

/// Exif holds a TIFF file, whose numbers are in either byte order.
struct TiffCursor {
  base::Cursor cursor;
  bool big_endian = false;
  uint16_t u16() {
    const auto v = cursor.read<uint16_t>("Exif");
    return big_endian ? __builtin_bswap16(v) : v;
  }
  uint32_t u32() {
    const auto v = cursor.read<uint32_t>("Exif");
    return big_endian ? __builtin_bswap32(v) : v;
  }
};

int orientation_of_tiff(base::Bytes tiff) {
  TiffCursor c{base::Cursor(tiff, "Exif"), false};
  const std::string_view order = base::as_text(c.cursor.take(2, "Exif"));
  if (order != "II" && order != "MM") return 1;
  c.big_endian = order == "MM";
  if (c.u16() != 42) return 1;
  c.cursor.seek(c.u32(), "Exif");
  const uint16_t entries = c.u16();
  for (uint16_t i = 0; i < entries; ++i) {
    const uint16_t tag = c.u16(), type = c.u16();
    const uint32_t count = c.u32();
    const uint16_t value = c.u16();
    c.u16();
    if (tag == kOrientationTag) return type == kShort && count == 1 && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

}  // namespace

int exif_orientation(base::Bytes jpeg) {
  // Damage here is no reason to refuse an image whose pixels are fine: it is shown as stored.
  try {
    base::Cursor c(jpeg, "JPEG");
    c.take(2, "SOI");
    while (true) {
      if (c.read<uint8_t>("marker") != 0xFF) return 1;
      const auto marker = c.read<uint8_t>("marker");
      if (marker == 0xDA || marker == 0xD9) return 1;
      const uint16_t length = __builtin_bswap16(c.read<uint16_t>("segment"));
      if (length < 2) return 1;
      const base::Bytes segment = c.take(length - 2u, "segment");
      const std::string_view exif("Exif\0\0", 6);
      if (marker == 0xE1 && segment.size() > exif.size() && base::as_text(segment.first(exif.size())) == exif)
        return orientation_of_tiff(segment.subspan(exif.size()));
    }
  } catch (const base::Error&) {
    return 1;
  }
}

Image upright(const Image& image, int orientation) {
  NIBBLE_INVARIANT(orientation >= 1 && orientation <= 8);
  const bool swaps_axes = orientation >= 5;
  const int64_t w = image.width, h = image.height, c = image.channels;
  Image out(swaps_axes ? h : w, swaps_axes ? w : h, c);
  for (int64_t y = 0; y < out.height; ++y)
    for (int64_t x = 0; x < out.width; ++x) {
      int64_t from_x = x, from_y = y;
      switch (orientation) {
        case 2:
          from_x = w - 1 - x;
          break;
        case 3:
          from_x = w - 1 - x, from_y = h - 1 - y;
          break;
        case 4:
          from_y = h - 1 - y;
          break;
        case 5:
          from_x = y, from_y = x;
          break;
        case 6:
          from_x = y, from_y = h - 1 - x;
          break;
        case 7:
          from_x = w - 1 - y, from_y = h - 1 - x;
          break;
        case 8:
          from_x = w - 1 - y, from_y = x;
          break;
        default:
          break;
      }
      for (int64_t k = 0; k < c; ++k) out.row(y)[x * c + k] = image.row(from_y)[from_x * c + k];
    }
  return out;
}

}  // namespace nibble::io::image
