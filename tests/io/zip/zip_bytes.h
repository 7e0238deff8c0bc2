#pragma once
#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// Zip archives put together byte by byte, so that every field can lie.
namespace nibble::test {

struct ZipEntrySpec {
  std::string name;
  std::string data;
  bool deflate = false;
  std::optional<uint16_t> method = {};  ///< instead of the true one
  uint16_t flags = 0;
  std::optional<uint32_t> crc = {}, size = {};  ///< instead of the true ones, in both headers
  std::string local_name = {};                  ///< instead of `name`, in the local header
};

/// Raw deflate.
inline std::string deflated(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(static_cast<uLong>(text.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string zip_bytes(const std::vector<ZipEntrySpec>& entries) {
  const auto number = [](uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  std::string file, directory;
  for (const ZipEntrySpec& e : entries) {
    const std::string packed = e.deflate ? deflated(e.data) : e.data;
    const auto true_crc = crc32(0, reinterpret_cast<const Bytef*>(e.data.data()), static_cast<uInt>(e.data.size()));
    const std::string described =
        number(20, 2) + number(e.flags, 2) + number(e.method.value_or(e.deflate ? 8 : 0), 2) + number(0, 2) +
        number(0x21, 2) + number(e.crc.value_or(static_cast<uint32_t>(true_crc)), 4) + number(packed.size(), 4) +
        number(e.size.value_or(static_cast<uint32_t>(e.data.size())), 4);
    const std::string local_name = e.local_name.empty() ? e.name : e.local_name;
    directory += "PK\1\2" + number(20, 2) + described + number(e.name.size(), 2) + number(0, 2) + number(0, 2) +
                 number(0, 2) + number(0, 2) + number(0, 4) + number(file.size(), 4) + e.name;
    file += "PK\3\4" + described + number(local_name.size(), 2) + number(0, 2) + local_name + packed;
  }
  const size_t start = file.size();
  return file + directory + "PK\5\6" + number(0, 4) + number(entries.size(), 2) + number(entries.size(), 2) +
         number(directory.size(), 4) + number(start, 4) + number(0, 2);
}

}  // namespace nibble::test
