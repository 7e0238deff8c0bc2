#include <algorithm>

#include "codec/blocks/bytes.h"
#include "codec/blocks/iq4_levels.h"

namespace nibble::codec {
namespace {

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 136, values += 256) {
    const float d = read_f16(bytes);
    const int upper = bytes[2] | bytes[3] << 8;
    for (int g = 0; g < 8; ++g) {
      const int steps = (bytes[4 + g / 2] >> (g % 2 * 4) & 15) | (upper >> (2 * g) & 3) << 4;
      const float scale = d * static_cast<float>(steps - 32);
      for (int i = 0; i < 32; ++i) {
        const int code = bytes[8 + 16 * g + i % 16] >> (i / 16 * 4) & 15;
        values[32 * g + i] = scale * kIq4Levels[static_cast<size_t>(code)];
      }
    }
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 136, values += 256) {
    float scale[8];
    for (int g = 0; g < 8; ++g) scale[g] = largest_of(values + 32 * g, 32) / kIq4Levels[0];
    write_f16(bytes, largest_of(scale, 8) / -32.0f);
    const float d = read_f16(bytes);
    std::fill(bytes + 2, bytes + 8, uint8_t{0});
    for (int g = 0; g < 8; ++g) {
      const float steps = d != 0.0f ? std::clamp(std::nearbyint(scale[g] / d), -32.0f, 31.0f) : 0.0f;
      const int stored = static_cast<int>(steps) + 32;
      bytes[4 + g / 2] |= static_cast<uint8_t>((stored & 15) << (g % 2 * 4));
      bytes[2 + g / 4] |= static_cast<uint8_t>((stored >> 4) << (g % 4 * 2));
      const float unit = d * steps;
      uint8_t codes[32];
      for (int i = 0; i < 32; ++i)
        codes[i] = unit != 0.0f ? static_cast<uint8_t>(nearest_iq4(values[32 * g + i] / unit)) : uint8_t{0};
      write_halves(bytes + 8 + 16 * g, codes);
    }
  }
}

}  // namespace

/// ggml IQ4_XS: 256 values in 136 bytes, eight groups of 32: f16 d, a u16 with the upper two bits of the scales (group
/// g's at bit 2g), 4 bytes with their low four (even groups in low halves), then 16 bytes a group of which byte j holds
/// the code of value j in its low half and of value j + 16 in its high half.
/// value = (d * (scale - 32)) * level[code], the levels of iq4_levels.h.
///
/// The plain encoder puts each group's value of largest magnitude at level -127, d at scale -32 for the largest group.
/// ggml's own encoder searches, with weights; a search is fit/blocks'.
const BlockFormat& iq4_xs_blocks() {
  static constexpr BlockFormat kFormat{
      DType::iq4_xs,
      "IQ4_XS",
      "4-bit codes for 16 uneven levels in blocks of 256, eight groups of 32 with 6-bit scales",
      256,
      136,
      decode,
      encode,
      kMostByF16Scale};
  return kFormat;
}

}  // namespace nibble::codec
