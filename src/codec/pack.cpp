#include <cstring>

#include "base/error.h"
#include "codec/format.h"

namespace nibble::codec {
namespace {

bool is_signed(DType dtype) { return dtype == DType::int4 || dtype == DType::int2; }

}  // namespace

Tensor pack(DType dtype, tensor::Shape shape, std::span<const int8_t> codes) {
  const int bits = tensor::bits_of(dtype);
  NIBBLE_INVARIANT(bits <= 8);
  Tensor t(dtype, std::move(shape));
  NIBBLE_INVARIANT(static_cast<size_t>(t.elements()) == codes.size());
  auto* out = reinterpret_cast<uint8_t*>(t.mutable_bytes().data());
  if (bits == 8) {
    if (!codes.empty()) std::memcpy(out, codes.data(), codes.size());
  } else if (bits == 4) {
    size_t i = 0;
    for (; i + 2 <= codes.size(); i += 2)
      out[i / 2] = static_cast<uint8_t>((codes[i] & 15) | ((codes[i + 1] & 15) << 4));
    if (i < codes.size()) out[i / 2] = static_cast<uint8_t>(codes[i] & 15);
  } else {
    for (size_t i = 0; i < codes.size(); ++i)
      out[i / 4] = static_cast<uint8_t>(out[i / 4] | ((codes[i] & 3) << (2 * (i % 4))));
  }
  return t;
}

std::vector<int8_t> unpack(const Tensor& codes) {
  const int bits = tensor::bits_of(codes.dtype());
  NIBBLE_INVARIANT(bits <= 8);
  const auto bytes = codes.values<uint8_t>();
  std::vector<int8_t> out(static_cast<size_t>(codes.elements()));
  const int mask = (1 << bits) - 1, per_byte = 8 / bits;
  const int sign = is_signed(codes.dtype()) ? 1 << (bits - 1) : 0;  // (v ^ sign) - sign extends the sign
  if (bits == 8) {
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size());
    return out;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t at = i / static_cast<size_t>(per_byte), shift = i % static_cast<size_t>(per_byte);
    const int value = (bytes[at] >> (static_cast<int>(shift) * bits)) & mask;
    out[i] = static_cast<int8_t>((value ^ sign) - sign);
  }
  return out;
}

}  // namespace nibble::codec
