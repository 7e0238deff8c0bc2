#include "codec/blocks/bytes.h"
#include "codec/blocks/k_scales.h"

namespace nibble::codec {
namespace {

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 176, values += 256) {
    const float d = read_f16(bytes), dmin = read_f16(bytes + 2);
    const KScales s = read_k_scales(bytes + 4);
    for (int g = 0; g < 8; ++g) {
      const float scale = d * static_cast<float>(s.scale[g]), min = dmin * static_cast<float>(s.min[g]);
      const uint8_t *fifth = bytes + 16, *codes = bytes + 48 + g / 2 * 32;
      for (int i = 0; i < 32; ++i) {
        const int code = (codes[i] >> (g % 2 * 4) & 15) | (fifth[i] >> g & 1) << 4;
        values[32 * g + i] = scale * static_cast<float>(code) - min;
      }
    }
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 176, values += 256) {
    const PlainK k = plain_k(values, 31);
    write_f16(bytes, k.d);
    write_f16(bytes + 2, k.dmin);
    write_k_scales(bytes + 4, k.scales);
    uint8_t codes[256];
    for (int i = 0; i < 256; ++i)
      codes[i] = k_code(values[i], k.d * static_cast<float>(k.scales.scale[i / 32]),
                        k.dmin * static_cast<float>(k.scales.min[i / 32]), 31);
    for (int i = 0; i < 32; ++i) {
      int fifth = 0;
      for (int g = 0; g < 8; ++g) fifth |= (codes[32 * g + i] >> 4) << g;
      bytes[16 + i] = static_cast<uint8_t>(fifth);
    }
    for (int pair = 0; pair < 4; ++pair) write_halves(bytes + 48 + 32 * pair, codes + 64 * pair, 32);
  }
}

}  // namespace

/// ggml Q5_K: 256 values in 176 bytes, eight groups of 32: f16 d, f16 dmin, 12 bytes of 6-bit scales and minima
/// (k_scales.h), 32 bytes of fifth bits (bit g of byte i is that of value i of group g), then the low four bits as in
/// Q4_K. value = (d * scale) * code - dmin * min.
///
/// The plain encoder spans each group's range (k_scales.h). ggml's own encoder searches, with weights; a search is
/// fit/blocks'.
const BlockFormat& q5_k_blocks() {
  static constexpr BlockFormat kFormat{DType::q5_k,
                                       "Q5_K",
                                       "5-bit codes in blocks of 256, eight groups of 32 with 6-bit scales and minima",
                                       256,
                                       176,
                                       decode,
                                       encode,
                                       kMostByF16Scale};
  return kFormat;
}

}  // namespace nibble::codec
