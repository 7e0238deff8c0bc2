#include "codec/e2m1.h"

namespace nibble::codec {

/// E2M1 elements under an f16 scale a group of any size.
const NumberFormat& fp4_format() {
  static constexpr NumberFormat kFormat{
      .name = "fp4",
      .summary = "4-bit floats (E2M1), f16 scale",
      .code = DType::f4e2m1,
      .bits = 4,
      .scale = ScaleType::kF16,
      .block = 0,
      .integer_zero = false,
      .real_offset = false,
      .tensor_scale = false,
      .levels = kE2m1Levels,
      .lowest_code = 0,
      .codebook = &kE2m1Codebook,
  };
  return kFormat;
}

}  // namespace nibble::codec
