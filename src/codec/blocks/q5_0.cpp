#include <algorithm>

#include "codec/blocks/bytes.h"

namespace nibble::codec {
namespace {

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 22, values += 32) {
    const float d = read_f16(bytes);
    for (int i = 0; i < 32; ++i) {
      const int low = bytes[6 + i % 16] >> (i / 16 * 4) & 15, high = bytes[2 + i / 8] >> (i % 8) & 1;
      values[i] = d * static_cast<float>((low | high << 4) - 16);
    }
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 22, values += 32) {
    const float d = largest_of(values, 32) / -16.0f, inverse = inverse_or_zero(d);
    write_f16(bytes, d);
    uint8_t codes[32];
    for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(std::min(31, truncated(values[i] * inverse + 16.5f)));
    write_fifth_bits(bytes + 2, codes);
    write_halves(bytes + 6, codes);
  }
}

}  // namespace

/// ggml Q5_0: 32 values in 22 bytes: f16 d, 4 bytes of fifth bits (bit i of the little-endian number is value i's),
/// then 16 bytes of which byte j holds the low four bits of value j in its low half and of value j + 16 in its high
/// half. value = d * (code - 16). The plain encoder takes d = m / -16, m the value of largest magnitude; codes are
/// min(31, trunc(x / d + 16.5)).
const BlockFormat& q5_0_blocks() {
  static constexpr BlockFormat kFormat{
      DType::q5_0, "Q5_0",         "5-bit codes around 16 in blocks of 32, one scale a block", 32, 22, decode,
      encode,      kMostByF16Scale};
  return kFormat;
}

}  // namespace nibble::codec
