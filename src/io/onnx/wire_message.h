#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace nibble::io::onnx {

/// A protobuf message under construction, as a list of pieces: bytes of its own, and tensors that are only referred to,
/// so that a network is never in memory twice. Fields come out in the order of the calls.
class WireMessage {
 public:
  struct Piece {
    std::string own;   ///< written first
    base::Bytes view;  ///< written after; the caller keeps it alive
  };

  void integer(uint32_t field, int64_t value);
  void real(uint32_t field, float value);
  void text(uint32_t field, std::string_view value);
  void message(uint32_t field, WireMessage inner);
  /// A bytes field that refers to `bytes`.
  void view(uint32_t field, base::Bytes bytes);

  /// Bytes of the whole message.
  uint64_t size() const { return size_; }
  const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  void tag(uint32_t field, uint32_t wire_type);
  void varint(uint64_t value);
  std::string& own();

  std::vector<Piece> pieces_;
  uint64_t size_ = 0;
};

}  // namespace nibble::io::onnx
