#include "codec/blocks/bytes.h"
#include "codec/blocks/iq4_levels.h"

namespace nibble::codec {
namespace {

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 18, values += 32) {
    const float d = read_f16(bytes);
    for (int j = 0; j < 16; ++j) {
      values[j] = d * kIq4Levels[bytes[2 + j] & 15];
      values[j + 16] = d * kIq4Levels[bytes[2 + j] >> 4];
    }
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 18, values += 32) {
    uint8_t codes[32] = {};
    float scale = 0.0f;
    const float largest = largest_of(values, 32);
    if (std::fabs(largest) >= 1e-15f) {
      const float d = largest / kIq4Levels[0], inverse = 1.0f / d;
      float wqx = 0.0f, wqq = 0.0f;  // weights x^2
      for (int i = 0; i < 32; ++i) {
        codes[i] = static_cast<uint8_t>(nearest_iq4(inverse * values[i]));
        const float q = kIq4Levels[codes[i]], w = values[i] * values[i];
        wqx += w * q * values[i];
        wqq += w * q * q;
      }
      scale = wqx / wqq;
    }
    write_f16(bytes, scale);
    write_halves(bytes + 2, codes);
  }
}

}  // namespace

/// ggml IQ4_NL: 32 values in 18 bytes: f16 d, then 16 bytes of which byte j holds the code of value j in its low half
/// and of value j + 16 in its high half. value = d * level[code], the levels of iq4_levels.h. The plain encoder rounds
/// under d = m / -127, m the value of largest magnitude, and stores the scale that fits these codes best under the
/// weights x^2; blocks whose magnitudes are all below 1e-15 are stored as zeros.
const BlockFormat& iq4_nl_blocks() {
  static constexpr BlockFormat kFormat{DType::iq4_nl,
                                       "IQ4_NL",
                                       "4-bit codes for 16 uneven levels in blocks of 32, one scale a block",
                                       32,
                                       18,
                                       decode,
                                       encode,
                                       kMostByF16Scale};
  return kFormat;
}

}  // namespace nibble::codec
