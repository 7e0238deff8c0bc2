#include "codec/levels.h"

namespace nibble::codec {
namespace {

constexpr auto kLevels = integer_levels<16>(0);

}  // namespace

/// ONNX UINT4: two to a byte, the first element in the low half.
const NumberFormat& uint4_format() {
  static constexpr NumberFormat kFormat{
      .name = "uint4",
      .summary = "unsigned 4-bit integers 0..15, with a zero point or a real offset",
      .code = DType::uint4,
      .bits = 4,
      .scale = ScaleType::kF16,
      .block = 0,
      .integer_zero = true,
      .real_offset = true,
      .tensor_scale = false,
      .levels = kLevels,
      .lowest_code = 0,
      .codebook = nullptr,
  };
  return kFormat;
}

}  // namespace nibble::codec
