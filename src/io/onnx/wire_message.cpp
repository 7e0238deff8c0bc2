#include "io/onnx/wire_message.h"

#include <iterator>

namespace nibble::io::onnx {

std::string& WireMessage::own() {
  if (pieces_.empty() || !pieces_.back().view.empty()) pieces_.emplace_back();
  return pieces_.back().own;
}

void WireMessage::varint(uint64_t value) {
  std::string& out = own();
  for (; value >= 0x80; value >>= 7, ++size_) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
  ++size_;
}

void WireMessage::tag(uint32_t field, uint32_t wire_type) { varint(field << 3 | wire_type); }

void WireMessage::integer(uint32_t field, int64_t value) {
  tag(field, 0);
  varint(static_cast<uint64_t>(value));
}

void WireMessage::real(uint32_t field, float value) {
  tag(field, 5);
  own().append(reinterpret_cast<const char*>(&value), sizeof value);
  size_ += sizeof value;
}

void WireMessage::text(uint32_t field, std::string_view value) {
  tag(field, 2);
  varint(value.size());
  own().append(value);
  size_ += value.size();
}

void WireMessage::view(uint32_t field, base::Bytes bytes) {
  tag(field, 2);
  varint(bytes.size());
  pieces_.back().view = bytes;
  size_ += bytes.size();
}

void WireMessage::message(uint32_t field, WireMessage inner) {
  tag(field, 2);
  varint(inner.size_);
  size_ += inner.size_;
  if (inner.pieces_.empty()) return;
  // The tag is at the end of a piece without a view: the first inner piece continues it.
  pieces_.back().own += inner.pieces_.front().own;
  pieces_.back().view = inner.pieces_.front().view;
  pieces_.insert(pieces_.end(), std::make_move_iterator(inner.pieces_.begin() + 1),
                 std::make_move_iterator(inner.pieces_.end()));
}

}  // namespace nibble::io::onnx
