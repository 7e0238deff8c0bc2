#include "codec/levels.h"

namespace nibble::codec {
namespace {

constexpr auto kLevels = integer_levels<256>(0);

}  // namespace

/// ONNX UINT8.
const NumberFormat& uint8_format() {
  static constexpr NumberFormat kFormat{
      .name = "uint8",
      .summary = "unsigned 8-bit integers 0..255, with a zero point or a real offset",
      .code = DType::u8,
      .bits = 8,
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
