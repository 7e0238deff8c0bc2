#include "io/zip/gunzip.h"

#include <zlib.h>

#include <algorithm>

#include "base/error.h"

namespace nibble::io {
namespace {

constexpr int64_t kHarmlessBytes = 1 << 20;
constexpr size_t kChunkBytes = 1 << 20;
constexpr int kGzipOnly = 16 + MAX_WBITS;

struct Inflater {
  z_stream stream{};
  Inflater() {
    if (inflateInit2(&stream, kGzipOnly) != Z_OK) base::fail_limit("", "no memory for a gzip decoder");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

}  // namespace

bool is_gzip(base::Bytes bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1F} && bytes[1] == std::byte{0x8B};
}

std::vector<std::byte> gunzip(base::Bytes bytes, const std::string& place, const base::Limits& limits) {
  Inflater inflater;
  z_stream& stream = inflater.stream;
  std::vector<std::byte> out;
  size_t fed = 0;
  while (true) {
    if (stream.avail_in == 0 && fed < bytes.size()) {
      const size_t chunk = std::min(bytes.size() - fed, kChunkBytes);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data() + fed));
      stream.avail_in = static_cast<uInt>(chunk);
      fed += chunk;
    }
    const size_t have = out.size();
    out.resize(have + kChunkBytes);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + have);
    stream.avail_out = static_cast<uInt>(kChunkBytes);
    const int status = inflate(&stream, Z_NO_FLUSH);
    out.resize(have + kChunkBytes - stream.avail_out);
    const auto size = static_cast<int64_t>(out.size());
    base::check_limit(size, limits.zip_bytes, "zip-bytes", place, "its expanded size");
    if (size > kHarmlessBytes)
      base::check_limit((size - 1) / static_cast<int64_t>(bytes.size()) + 1, limits.zip_ratio, "zip-ratio", place,
                        "its expanded over compressed size");
    if (status == Z_STREAM_END) break;
    if (status == Z_BUF_ERROR ||
        (status == Z_OK && stream.avail_in == 0 && fed == bytes.size() && stream.avail_out > 0))
      base::fail_malformed(place, "the gzip file is truncated", "copy or download it again");
    if (status != Z_OK)
      base::fail_malformed(place, std::string("the gzip file is damaged") +
                                      (stream.msg ? ": " + base::printable(stream.msg) : std::string()));
  }
  if (stream.avail_in > 0 || fed < bytes.size())
    base::fail_malformed(place, "more bytes follow the end of the gzip data");
  return out;
}

}  // namespace nibble::io
