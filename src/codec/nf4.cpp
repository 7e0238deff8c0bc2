#include "codec/levels.h"

namespace nibble::codec {
namespace {

constexpr std::array<float, 16> kLevels = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};
constexpr Codebook kCodebook = make_codebook(kLevels);

}  // namespace

/// NF4 (Dettmers et al. 2023, arXiv 2305.14314; the table is bitsandbytes'): 16 quantiles of the normal distribution
/// scaled to [-1, 1]; code 7 is exactly zero. Always scaled by a positive number. Codes are packed as uint4.
const NumberFormat& nf4_format() {
  static constexpr NumberFormat kFormat{
      .name = "nf4",
      .summary = "NormalFloat4 of QLoRA: quantiles of the normal distribution, f16 scale",
      .code = DType::uint4,
      .bits = 4,
      .scale = ScaleType::kF16,
      .block = 0,
      .integer_zero = false,
      .real_offset = false,
      .tensor_scale = false,
      .levels = kLevels,
      .lowest_code = 0,
      .codebook = &kCodebook,
  };
  return kFormat;
}

}  // namespace nibble::codec
