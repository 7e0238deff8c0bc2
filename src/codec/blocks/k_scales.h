#pragma once
#include <cstdint>

namespace nibble::codec {

/// The 6-bit scales and minima of eight groups in the 12 bytes of Q4_K and Q5_K. Groups 0..3: the low six bits of bytes
/// g (scale) and g + 4 (minimum). Groups 4..7: the low four bits in the halves of byte g + 4 (scale low), the upper two
/// in the top of bytes g - 4 (scale) and g (minimum).
struct KScales {
  uint8_t scale[8], min[8];
};

inline KScales read_k_scales(const uint8_t* at) {
  KScales s;
  for (int g = 0; g < 4; ++g) {
    s.scale[g] = at[g] & 63;
    s.min[g] = at[g + 4] & 63;
    s.scale[g + 4] = static_cast<uint8_t>((at[g + 8] & 15) | (at[g] >> 6) << 4);
    s.min[g + 4] = static_cast<uint8_t>((at[g + 8] >> 4) | (at[g + 4] >> 6) << 4);
  }
  return s;
}

inline void write_k_scales(uint8_t* at, const KScales& s) {
  for (int g = 0; g < 4; ++g) {
    at[g] = static_cast<uint8_t>((s.scale[g] & 63) | (s.scale[g + 4] >> 4) << 6);
    at[g + 4] = static_cast<uint8_t>((s.min[g] & 63) | (s.min[g + 4] >> 4) << 6);
    at[g + 8] = static_cast<uint8_t>((s.scale[g + 4] & 15) | (s.min[g + 4] & 15) << 4);
  }
}

/// Parameters of a block of 256 without a search: every group from its least value (at most 0) to its greatest, the
/// scales and minima rounded to multiples of what the largest of them needs, d and dmin being f16.
struct PlainK {
  float d, dmin;
  KScales scales;
};
PlainK plain_k(const float* values, int top_code);

/// The code of `x` in 0..top_code under value = scale * code - min, halves to even; 0 when the scale is 0.
uint8_t k_code(float x, float scale, float min, int top_code);

}  // namespace nibble::codec
