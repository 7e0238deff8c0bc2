#include <algorithm>
#include <cmath>

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
    float largest = 0.0f;  // with its sign; of equal magnitudes the first
    for (int i = 0; i < 32; ++i)
      if (std::fabs(values[i]) > std::fabs(largest)) largest = values[i];
    const float d = largest / -8.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    write_f16(bytes, d);
    const auto code = [&](float x) { return std::min(15, static_cast<int>(x * inverse + 8.5f)); };
    for (int j = 0; j < 16; ++j) bytes[2 + j] = static_cast<uint8_t>(code(values[j]) | (code(values[j + 16]) << 4));
  }
}

}  // namespace

/// ggml Q4_0: 32 values in 18 bytes: f16 d, then 16 bytes of which byte j holds the code of value j in its low half and
/// of value j + 16 in its high half. value = d * (code - 8). The plain encoder takes d = m / -8, m the value of largest
/// magnitude, so that m is exact and d has the sign opposite to m; codes are min(15, trunc(x / d + 8.5)).
const BlockFormat& q4_0_blocks() {
  static constexpr BlockFormat kFormat{
      DType::q4_0, "Q4_0", "4-bit codes around 8 in blocks of 32, one scale a block", 32, 18, decode, encode};
  return kFormat;
}

}  // namespace nibble::codec
