#include <algorithm>
#include <limits>

#include "codec/blocks/bytes.h"
#include "codec/blocks/e2m1_code.h"

namespace nibble::codec {
namespace {

/// 2^(e - 128), which is exact for every e, and doubled levels, which are integers: their product is the value that
/// 2^(e - 127) and E2M1 levels give, and stays finite longer.
float half_scale(uint8_t e) {
  return std::bit_cast<float>(e < 2 ? uint32_t{0x00200000} << e : (uint32_t{e} - 1) << 23);
}

float doubled(int code) { return 2.0f * kE2m1Levels[static_cast<size_t>(code)]; }

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 17, values += 32) {
    const float d = half_scale(bytes[0]);
    for (int j = 0; j < 16; ++j) {
      values[j] = d * doubled(bytes[1 + j] & 15);
      values[j + 16] = d * doubled(bytes[1 + j] >> 4);
    }
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 17, values += 32) {
    const float largest = std::fabs(largest_of(values, 32));
    const float exponent = largest > 0.0f ? std::floor(std::log2(largest)) - 2.0f + 127.0f : 0.0f;
    bytes[0] = static_cast<uint8_t>(std::clamp(exponent, 0.0f, 254.0f));
    const float scale = 2.0f * half_scale(bytes[0]);
    uint8_t codes[32];
    for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(e2m1_towards_zero(values[i], scale));
    write_halves(bytes + 1, codes);
  }
}

}  // namespace

/// ggml MXFP4: 32 values in 17 bytes: a byte e, then 16 bytes of which byte j holds the E2M1 code of value j in its low
/// half and of value j + 16 in its high half. value = 2^(e - 127) * level; code 8 is +0. The plain encoder takes
/// e = floor(log2 of the largest magnitude) - 2 + 127, and 0 for a block of zeros; exact middles go towards zero, what
/// is above 6 becomes 6. ggml lets an e below 0 wrap around (largest magnitudes under 2^-125); here it is 0.
const BlockFormat& mxfp4_blocks() {
  static constexpr BlockFormat kFormat{DType::mxfp4,
                                       "MXFP4",
                                       "E2M1 codes in blocks of 32, one power-of-two scale a block",
                                       32,
                                       17,
                                       decode,
                                       encode,
                                       std::numeric_limits<float>::max()};
  return kFormat;
}

}  // namespace nibble::codec
