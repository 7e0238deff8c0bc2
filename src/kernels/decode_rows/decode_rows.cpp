#include "kernels/decode_rows/decode_rows.h"

#include "codec/blocks.h"

namespace nibble::kernels {

#define NIBBLE_DECODE_ROWS(isa) const DecodeRows& decode_rows_##isa();
#include "kernels/kernels.def"

std::span<const DecodeRows* const> all_decode_rows() {
  static const DecodeRows* const table[] = {
#define NIBBLE_DECODE_ROWS(isa) &decode_rows_##isa(),
#include "kernels/kernels.def"
  };
  return table;
}

const DecodeRows& decode_rows() {
  static const DecodeRows* const chosen = [] {
    for (const DecodeRows* kernel : all_decode_rows())
      if (kernel->available()) return kernel;
    return all_decode_rows().back();
  }();
  return *chosen;
}

void decode_values(const tensor::Tensor& t, int64_t start, int64_t count, float* values) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(t.bytes().data());
  if (!t.quantization() &&
      decode_rows().decode(t.dtype(), bytes + tensor::packed_bytes(t.dtype(), start), count, values))
    return;
  codec::decode_range(t, start, count, values);
}

}  // namespace nibble::kernels
