#include "codec/blocks/bytes.h"
#include "codec/blocks/k_scales.h"

namespace nibble::codec {
namespace {

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 144, values += 256) {
    const float d = read_f16(bytes), dmin = read_f16(bytes + 2);
    const KScales s = read_k_scales(bytes + 4);
    for (int g = 0; g < 8; ++g) {
      const float scale = d * static_cast<float>(s.scale[g]), min = dmin * static_cast<float>(s.min[g]);
      const uint8_t* codes = bytes + 16 + g / 2 * 32;
      for (int i = 0; i < 32; ++i) {
        const int code = codes[i] >> (g % 2 * 4) & 15;
        values[32 * g + i] = scale * static_cast<float>(code) - min;
      }
    }
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 144, values += 256) {
    const PlainK k = plain_k(values, 15);
    write_f16(bytes, k.d);
    write_f16(bytes + 2, k.dmin);
    write_k_scales(bytes + 4, k.scales);
    uint8_t codes[256];
    for (int i = 0; i < 256; ++i)
      codes[i] = k_code(values[i], k.d * static_cast<float>(k.scales.scale[i / 32]),
                        k.dmin * static_cast<float>(k.scales.min[i / 32]), 15);
    for (int pair = 0; pair < 4; ++pair) write_halves(bytes + 16 + 32 * pair, codes + 64 * pair, 32);
  }
}

}  // namespace

/// ggml Q4_K: 256 values in 144 bytes, eight groups of 32: f16 d, f16 dmin, 12 bytes of 6-bit scales and minima
/// (k_scales.h), then 128 bytes of codes: byte i of the 32 of a pair of groups holds the code of value i of the even
/// group in its low half and of the odd group in its high half. value = (d * scale) * code - dmin * min.
///
/// The plain encoder spans each group's range (k_scales.h). ggml's own encoder searches, with weights; a search is
/// fit/blocks'.
const BlockFormat& q4_k_blocks() {
  static constexpr BlockFormat kFormat{DType::q4_k,
                                       "Q4_K",
                                       "4-bit codes in blocks of 256, eight groups of 32 with 6-bit scales and minima",
                                       256,
                                       144,
                                       decode,
                                       encode,
                                       kMostByF16Scale};
  return kFormat;
}

}  // namespace nibble::codec
