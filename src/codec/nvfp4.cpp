#include "codec/e2m1.h"

namespace nibble::codec {

/// NVFP4: blocks of 16 E2M1 elements with an E4M3 scale each, and one f32 factor for the whole tensor:
/// real = (E4M3 scale * tensor scale) * level, the product in brackets rounded to f32.
const NumberFormat& nvfp4_format() {
  static constexpr NumberFormat kFormat{
      .name = "nvfp4",
      .summary = "NVFP4: E2M1 in blocks of 16 with an E4M3 scale, and one f32 factor a tensor",
      .code = DType::f4e2m1,
      .bits = 4,
      .scale = ScaleType::kE4M3,
      .block = 16,
      .integer_zero = false,
      .real_offset = false,
      .tensor_scale = true,
      .levels = kE2m1Levels,
      .lowest_code = 0,
      .codebook = &kE2m1Codebook,
  };
  return kFormat;
}

}  // namespace nibble::codec
