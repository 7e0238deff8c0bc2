#include "codec/blocks/bytes.h"
#include "codec/blocks/e2m1_code.h"

namespace nibble::codec {
namespace {

/// Unsigned E4M3: the top bit is not looked at. 0x7F reads as 0, 0xFF as the 480 that follows 448.
float scale_of(uint8_t bits) {
  if ((bits & 0x7f) == 0x7f) return bits == 0x7f ? 0.0f : 480.0f;
  return base::e4m3_to_f32(bits & 0x7f);
}

/// Halves go up; 256 and more become 448, as ggml has it.
uint8_t scale_byte(float x) {
  if (!(x > 0.0f)) return 0;
  if (x < 0x1p-6f) return static_cast<uint8_t>(std::fmin(x * 512.0f + 0.5f, 7.0f));
  const uint32_t code = (std::bit_cast<uint32_t>(x) + 0x80000u) >> 20;  // exponent and three bits of the fraction
  return code >= (127u - 7 + 15) << 3 ? uint8_t{0x7e} : static_cast<uint8_t>(code - ((127u - 7) << 3));
}

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 36, values += 64)
    for (int g = 0; g < 4; ++g) {
      const float d = scale_of(bytes[g]);
      for (int j = 0; j < 8; ++j) {
        const uint8_t codes = bytes[4 + 8 * g + j];
        values[16 * g + j] = d * kE2m1Levels[codes & 15];
        values[16 * g + j + 8] = d * kE2m1Levels[codes >> 4];
      }
    }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 36, values += 64)
    for (int g = 0; g < 4; ++g) {
      bytes[g] = scale_byte(std::fabs(largest_of(values + 16 * g, 16)) / 6.0f);
      uint8_t codes[16];
      for (int i = 0; i < 16; ++i)
        codes[i] = static_cast<uint8_t>(e2m1_towards_zero(values[16 * g + i], scale_of(bytes[g])));
      write_halves(bytes + 4 + 8 * g, codes, 8);
    }
}

}  // namespace

/// ggml NVFP4: 64 values in 36 bytes, four groups of 16: 4 bytes of unsigned E4M3 scales, then 8 bytes a group of which
/// byte j holds the E2M1 code of value j in its low half and of value j + 8 in its high half. value = scale * level;
/// code 8 is +0, scales 0 and 0x7F are 0. The factor of the whole tensor is not in the block: GGUF has it in a tensor
/// of its own. The plain encoder takes scale = largest magnitude / 6, halves up, and 448 from 256 on; exact middles of
/// levels go towards zero.
const BlockFormat& nvfp4_blocks() {
  static constexpr BlockFormat kFormat{
      DType::nvfp4, "NVFP4", "E2M1 codes in blocks of 64, four groups of 16 with an E4M3 scale each", 64, 36, decode,
      encode,       2688.0f};
  return kFormat;
}

}  // namespace nibble::codec
