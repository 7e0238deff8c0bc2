#include <algorithm>

#include "codec/blocks/bytes.h"

namespace nibble::codec {
namespace {

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 18, values += 32) {
    const float d = read_f16(bytes);
    for (int j = 0; j < 16; ++j) {
      values[j] = d * static_cast<float>((bytes[2 + j] & 15) - 8);
      values[j + 16] = d * static_cast<float>((bytes[2 + j] >> 4) - 8);
    }
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 18, values += 32) {
    const float d = largest_of(values, 32) / -8.0f, inverse = inverse_or_zero(d);
    write_f16(bytes, d);
    uint8_t codes[32];
    for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(std::min(15, truncated(values[i] * inverse + 8.5f)));
    write_halves(bytes + 2, codes);
  }
}

}  // namespace

/// ggml Q4_0: 32 values in 18 bytes: f16 d, then 16 bytes of which byte j holds the code of value j in its low half and
/// of value j + 16 in its high half. value = d * (code - 8). The plain encoder takes d = m / -8, m the value of largest
/// magnitude, so that m is exact and d has the sign opposite to m; codes are min(15, trunc(x / d + 8.5)).
const BlockFormat& q4_0_blocks() {
  static constexpr BlockFormat kFormat{
      DType::q4_0, "Q4_0",         "4-bit codes around 8 in blocks of 32, one scale a block", 32, 18, decode,
      encode,      kMostByF16Scale};
  return kFormat;
}

}  // namespace nibble::codec
