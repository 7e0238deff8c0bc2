#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.h"

namespace nibble::base {

static_assert(std::endian::native == std::endian::little, "nibble runs on little-endian machines only");

using Bytes = std::span<const std::byte>;

inline Bytes as_bytes(std::string_view text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }
inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Reads little-endian values from untrusted bytes, front to back. Every read is checked against what remains; a read
/// past the end throws Error(kMalformed) that names `place` and the offset. The only way in which a parser of ours
/// touches a file's bytes.
class Cursor {
 public:
  Cursor(Bytes bytes, std::string place) : bytes_(bytes), place_(std::move(place)) {}

  size_t offset() const { return at_; }
  size_t remaining() const { return bytes_.size() - at_; }
  bool done() const { return remaining() == 0; }

  /// Throws unless `n` more bytes are there.
  void need(uint64_t n, std::string_view what) const {
    if (n > remaining())
      fail_malformed(place_, std::string(what) + " at byte " + std::to_string(at_) + " needs " + std::to_string(n) +
                                 " bytes, " + std::to_string(remaining()) +
                                 " remain; the file is truncated or damaged");
  }

  template <typename T>
  requires std::is_trivially_copyable_v<T> T read(std::string_view what) {
    need(sizeof(T), what);
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  Bytes take(uint64_t n, std::string_view what) {
    need(n, what);
    const Bytes part = bytes_.subspan(at_, n);
    at_ += n;
    return part;
  }

  void seek(uint64_t offset, std::string_view what) {
    if (offset > bytes_.size())
      fail_malformed(place_,
                     std::string(what) + " lies at byte " + std::to_string(offset) + ", past the end of the file");
    at_ = offset;
  }

  const std::string& place() const { return place_; }

 private:
  Bytes bytes_;
  size_t at_ = 0;
  std::string place_;
};

}  // namespace nibble::base
