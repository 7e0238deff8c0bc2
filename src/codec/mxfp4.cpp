#include "codec/e2m1.h"

namespace nibble::codec {

/// OCP Microscaling MXFP4 (MX specification v1.0): blocks of 32 E2M1 elements that share a scale 2^(e - 127).
const NumberFormat& mxfp4_format() {
  static constexpr NumberFormat kFormat{
      .name = "mxfp4",
      .summary = "OCP MXFP4: E2M1 in blocks of 32 with a power-of-two scale (E8M0)",
      .code = DType::f4e2m1,
      .bits = 4,
      .scale = ScaleType::kE8M0,
      .block = 32,
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
