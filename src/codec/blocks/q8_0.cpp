#include <algorithm>
#include <cmath>

#include "codec/blocks/bytes.h"

namespace nibble::codec {
namespace {

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 34, values += 32) {
    const float d = read_f16(bytes);
    for (int i = 0; i < 32; ++i) values[i] = d * static_cast<float>(static_cast<int8_t>(bytes[2 + i]));
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 34, values += 32) {
    float largest = 0.0f;
    for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(values[i]));
    const float d = largest / 127.0f, inverse = inverse_or_zero(d);
    write_f16(bytes, d);
    for (int i = 0; i < 32; ++i) bytes[2 + i] = static_cast<uint8_t>(truncated(std::round(values[i] * inverse)));
  }
}

}  // namespace

/// ggml Q8_0: 32 values in 34 bytes: f16 d, then 32 signed codes. value = d * code. The plain encoder takes
/// d = largest magnitude / 127 and rounds halves away from zero.
const BlockFormat& q8_0_blocks() {
  static constexpr BlockFormat kFormat{
      DType::q8_0, "Q8_0", "8-bit codes in blocks of 32, one scale a block", 32, 34, decode, encode, kMostByF16Scale};
  return kFormat;
}

}  // namespace nibble::codec
