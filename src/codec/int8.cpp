#include "codec/levels.h"

namespace nibble::codec {
namespace {

constexpr auto kLevels = integer_levels<256>(-128);

}  // namespace

/// ONNX INT8: two's complement.
const NumberFormat& int8_format() {
  static constexpr NumberFormat kFormat{
      .name = "int8",
      .summary = "signed 8-bit integers -128..127",
      .code = DType::i8,
      .bits = 8,
      .scale = ScaleType::kF16,
      .block = 0,
      .integer_zero = true,
      .real_offset = false,
      .tensor_scale = false,
      .levels = kLevels,
      .lowest_code = -128,
      .codebook = nullptr,
  };
  return kFormat;
}

}  // namespace nibble::codec
