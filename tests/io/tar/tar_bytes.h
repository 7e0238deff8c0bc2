#pragma once
#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

/// Tar archives put together block by block, so that every field can lie.
namespace nibble::test {

struct TarEntrySpec {
  std::string name;
  std::string data;
  char type = '0';                    ///< '0' a file, '1' a hard link, '2' a symbolic link, '5' a folder
  std::optional<uint64_t> size = {};  ///< instead of the true one
  std::string link = {};
};

inline std::string tar_header(const TarEntrySpec& e) {
  std::string block(512, '\0');
  const auto put = [&](size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  const auto octal = [](uint64_t value, int digits) {
    char text[24];
    std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
    return std::string(text);
  };
  put(0, e.name);
  put(100, octal(0644, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(e.size.value_or(e.data.size()), 11));
  put(136, octal(0, 11));
  put(148, "        ");
  block[156] = e.type;
  put(157, e.link);
  put(257, std::string("ustar\0", 6) + "00");
  uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6) + std::string("\0 ", 2));
  return block;
}

inline std::string tar_bytes(const std::vector<TarEntrySpec>& entries) {
  std::string file;
  for (const TarEntrySpec& e : entries) {
    file += tar_header(e) + e.data;
    file.resize((file.size() + 511) / 512 * 512);
  }
  return file + std::string(1024, '\0');
}

inline std::string gzipped(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(static_cast<uLong>(text.size())) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace nibble::test
