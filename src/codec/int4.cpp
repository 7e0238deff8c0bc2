#include "codec/levels.h"

namespace nibble::codec {
namespace {

constexpr auto kLevels = integer_levels<16>(-8);

}  // namespace

/// ONNX INT4: two's complement, two to a byte, the first element in the low half.
const NumberFormat& int4_format() {
  static constexpr NumberFormat kFormat{
      .name = "int4",
      .summary = "signed 4-bit integers -8..7, one scale a group",
      .code = DType::int4,
      .bits = 4,
      .scale = ScaleType::kF16,
      .block = 0,
      .integer_zero = true,
      .real_offset = false,
      .tensor_scale = false,
      .levels = kLevels,
      .lowest_code = -8,
      .codebook = nullptr,
  };
  return kFormat;
}

}  // namespace nibble::codec
