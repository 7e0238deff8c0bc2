#include <algorithm>

#include "codec/blocks/bytes.h"

namespace nibble::codec {
namespace {

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 24, values += 32) {
    const float d = read_f16(bytes), m = read_f16(bytes + 2);
    for (int i = 0; i < 32; ++i) {
      const int low = bytes[8 + i % 16] >> (i / 16 * 4) & 15, high = bytes[4 + i / 8] >> (i % 8) & 1;
      values[i] = d * static_cast<float>(low | high << 4) + m;
    }
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 24, values += 32) {
    const float m = *std::min_element(values, values + 32), d = (*std::max_element(values, values + 32) - m) / 31.0f,
                inverse = inverse_or_zero(d);
    write_f16(bytes, d);
    write_f16(bytes + 2, m);
    uint8_t codes[32];
    for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(truncated((values[i] - m) * inverse + 0.5f));
    write_fifth_bits(bytes + 4, codes);
    write_halves(bytes + 8, codes);
  }
}

}  // namespace

/// ggml Q5_1: 32 values in 24 bytes: f16 d, f16 m, 4 bytes of fifth bits (bit i of the little-endian number is value
/// i's), then 16 bytes of which byte j holds the low four bits of value j in its low half and of value j + 16 in its
/// high half. value = d * code + m. The plain encoder takes m = the least value and d = (greatest - least) / 31; codes
/// are trunc((x - m) / d + 0.5).
const BlockFormat& q5_1_blocks() {
  static constexpr BlockFormat kFormat{
      DType::q5_1, "Q5_1",         "5-bit codes in blocks of 32, one scale and one minimum a block", 32, 24, decode,
      encode,      kMostByF16Scale};
  return kFormat;
}

}  // namespace nibble::codec
