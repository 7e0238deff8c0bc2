// PNG through libpng. libpng leaves by longjmp, so the functions that call it own nothing: buffers belong to the
// callers and every local of theirs is plain data set before setjmp.
#include <png.h>

#include <cstring>

#include "base/error.h"
#include "io/image/codecs.h"

namespace nibble::io::image {
namespace {

constexpr size_t kMessageBytes = 160;

struct Reading {
  const std::byte* data = nullptr;
  size_t size = 0, at = 0;
  bool ran_out = false;
  char message[kMessageBytes] = {};
  png_structp png = nullptr;
  png_infop info = nullptr;

  Reading() = default;
  ~Reading() {
    if (png) png_destroy_read_struct(&png, &info, nullptr);
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
};

struct Header {
  int64_t width = 0, height = 0;
  int depth = 0, colour = 0, channels = 0;
};

void on_read(png_structp png, png_bytep out, size_t n) {
  auto* reading = static_cast<Reading*>(png_get_io_ptr(png));
  if (n > reading->size - reading->at) {
    reading->ran_out = true;
    png_error(png, "truncated");
  }
  std::memcpy(out, reading->data + reading->at, n);
  reading->at += n;
}

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* reading = static_cast<Reading*>(png_get_error_ptr(png));
  std::strncpy(reading->message, message, kMessageBytes - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}  // about chunks that we ignore

/// Reads the header and sets the conversions. False after an error.
bool begin(Reading& reading, Header& header, png_uint_32 side_limit) {
  if (setjmp(png_jmpbuf(reading.png))) return false;
  png_set_read_fn(reading.png, &reading, on_read);
  png_set_user_limits(reading.png, side_limit, side_limit);
  png_set_chunk_cache_max(reading.png, 128);
  png_set_chunk_malloc_max(reading.png, 4 << 20);
  png_set_crc_action(reading.png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
  png_set_keep_unknown_chunks(reading.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);  // texts, profiles, gamma, ...
  png_read_info(reading.png, reading.info);
  header.width = png_get_image_width(reading.png, reading.info);
  header.height = png_get_image_height(reading.png, reading.info);
  header.depth = png_get_bit_depth(reading.png, reading.info);
  header.colour = png_get_color_type(reading.png, reading.info);
  header.channels = png_get_channels(reading.png, reading.info);
  return true;
}

/// Decodes into `rows`: samples of 8 bits without alpha, palette indices as they are. False after an error.
bool decode_rows(Reading& reading, const Header& header, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reading.png))) return false;
  if (header.colour == PNG_COLOR_TYPE_PALETTE) png_set_packing(reading.png);
  if (header.colour == PNG_COLOR_TYPE_GRAY && header.depth < 8) png_set_expand_gray_1_2_4_to_8(reading.png);
  if (header.depth == 16) png_set_strip_16(reading.png);
  if (header.colour & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(reading.png);
  png_set_interlace_handling(reading.png);
  png_read_update_info(reading.png, reading.info);
  png_read_image(reading.png, rows);
  png_read_end(reading.png, nullptr);
  return true;
}

/// The colours of palette indices; libpng's own expansion does not check them.
Image looked_up(const Image& indices, const Reading& reading, const std::string& place) {
  png_colorp palette = nullptr;
  int colours = 0;
  png_get_PLTE(reading.png, reading.info, &palette, &colours);
  Image image(indices.width, indices.height, 3);
  for (size_t i = 0; i < indices.pixels.size(); ++i) {
    const int index = indices.pixels[i];
    if (index >= colours)
      base::fail_malformed(
          place, "a pixel uses colour " + std::to_string(index) + " of a palette of " + std::to_string(colours));
    const png_color& colour = palette[index];
    image.pixels[3 * i] = colour.red;
    image.pixels[3 * i + 1] = colour.green;
    image.pixels[3 * i + 2] = colour.blue;
  }
  return image;
}

[[noreturn]] void refuse(const Reading& reading, const std::string& place) {
  if (reading.ran_out) base::fail_malformed(place, "the PNG is truncated", "copy or download it again");
  base::fail_malformed(place, "the PNG is damaged: " + base::printable(reading.message), "re-encode it");
}

Header open(Reading& reading, base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  // The size stands at a fixed place; libpng's own refusal of it would not name our flag.
  base::Cursor cursor(bytes, place);
  cursor.seek(8, "the PNG header");
  cursor.take(8, "the PNG header");
  const auto big_endian = [&] { return int64_t{__builtin_bswap32(cursor.read<uint32_t>("the PNG header"))}; };
  const int64_t width = big_endian(), height = big_endian();
  check_size(width, height, place, limits);

  reading.data = bytes.data();
  reading.size = bytes.size();
  reading.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reading, on_error, on_warning);
  if (reading.png) reading.info = png_create_info_struct(reading.png);
  if (!reading.info) base::fail_limit(place, "no memory for a PNG decoder");
  Header header;
  if (!begin(reading, header, static_cast<png_uint_32>(limits.image_side))) refuse(reading, place);
  // Deflate expands at most 1032 times; a file shorter than this cannot hold the whole image.
  const int64_t bits = header.width * header.height * header.channels * header.depth;
  if (bits / 8 / 1032 > static_cast<int64_t>(bytes.size()))
    base::fail_malformed(place, "its header announces " + std::to_string(header.width) + "x" +
                                    std::to_string(header.height) + " pixels, but the file has only " +
                                    std::to_string(bytes.size()) + " bytes");
  return header;
}

}  // namespace

ImageSize png_size(base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  Reading reading;
  const Header header = open(reading, bytes, place, limits);
  return {header.width, header.height};
}

Image decode_png(base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  Reading reading;
  const Header header = open(reading, bytes, place, limits);
  const bool colour = (header.colour & PNG_COLOR_MASK_COLOR) != 0;
  if (header.depth == 16 && !colour)
    base::fail_unsupported(place, "is a 16-bit grey PNG; there is no agreed way down to 8 bits (Pillow clips at 255)",
                           "save it with 8 bits, or give the values as .npy");
  const bool palette = header.colour == PNG_COLOR_TYPE_PALETTE;
  Image image(header.width, header.height, colour && !palette ? 3 : 1);
  std::vector<png_bytep> rows(static_cast<size_t>(header.height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = image.row(static_cast<int64_t>(y));
  if (!decode_rows(reading, header, rows.data())) refuse(reading, place);
  return palette ? looked_up(image, reading, place) : image;
}

}  // namespace nibble::io::image
