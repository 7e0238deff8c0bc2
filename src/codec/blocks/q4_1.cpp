#include <algorithm>

#include "codec/blocks/bytes.h"

namespace nibble::codec {
namespace {

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 20, values += 32) {
    const float d = read_f16(bytes), m = read_f16(bytes + 2);
    for (int j = 0; j < 16; ++j) {
      values[j] = d * static_cast<float>(bytes[4 + j] & 15) + m;
      values[j + 16] = d * static_cast<float>(bytes[4 + j] >> 4) + m;
    }
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 20, values += 32) {
    const float m = *std::min_element(values, values + 32), d = (*std::max_element(values, values + 32) - m) / 15.0f,
                inverse = inverse_or_zero(d);
    write_f16(bytes, d);
    write_f16(bytes + 2, m);
    uint8_t codes[32];
    for (int i = 0; i < 32; ++i)
      codes[i] = static_cast<uint8_t>(std::min(15, truncated((values[i] - m) * inverse + 0.5f)));
    write_halves(bytes + 4, codes);
  }
}

}  // namespace

/// ggml Q4_1: 32 values in 20 bytes: f16 d, f16 m, then 16 bytes of which byte j holds the code of value j in its low
/// half and of value j + 16 in its high half. value = d * code + m. The plain encoder takes m = the least value and
/// d = (greatest - least) / 15; codes are min(15, trunc((x - m) / d + 0.5)).
const BlockFormat& q4_1_blocks() {
  static constexpr BlockFormat kFormat{
      DType::q4_1, "Q4_1",         "4-bit codes in blocks of 32, one scale and one minimum a block", 32, 20, decode,
      encode,      kMostByF16Scale};
  return kFormat;
}

}  // namespace nibble::codec
