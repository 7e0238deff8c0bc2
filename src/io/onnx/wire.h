#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace nibble::io::onnx {

/// What an ONNX message looks like once the bytes of its tensors are taken out.
struct Stripped {
  /// The same message for protobuf to parse: only fields of our schema, and in place of every TensorProto.raw_data the
  /// number of its span (8 bytes, little-endian). Protobuf never sees, copies or trusts a weight.
  std::string message;
  /// Where the bytes of each raw_data lie in the input.
  std::vector<base::Bytes> raw;
  /// Fields that the schema does not know; they are left out.
  int64_t unknown_fields = 0;
};

/// The message that a file holds.
enum class WireRoot : uint8_t { kModel, kTensor };

/// One pass over the wire format of `bytes`, which need not be trusted: varints have at most 10 bytes, lengths fit what
/// remains, messages nest at most `limits.proto_depth` deep, groups are refused, and messages, nodes and tensors are
/// counted against their limits before anything is allocated for them. Throws Error(kMalformed) or Error(kLimit) naming
/// `place` and the byte.
Stripped strip_raw_data(base::Bytes bytes, WireRoot root, const base::Limits& limits, const std::string& place);

/// Which span stands for a raw_data field of Stripped::message.
uint64_t raw_index(const std::string& raw_data);

}  // namespace nibble::io::onnx
