#include "codec/format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/small_float.h"

namespace nibble::codec {

#define NIBBLE_FORMAT(name) const NumberFormat& name##_format();
#include "codec/formats.def"
#undef NIBBLE_FORMAT

namespace {

[[noreturn]] void fail_scale(float scale, std::string_view type, float largest) {
  char sentence[128];
  std::snprintf(sentence, sizeof sentence, "the scale %g does not fit %.*s, whose largest value is %g", double{scale},
                static_cast<int>(type.size()), type.data(), double{largest});
  base::fail_unsupported("", sentence, "the weights are too large for this format; rescale the layer or keep it wide");
}

float stored_scale(float scale, ScaleType type, float tensor_scale) {
  switch (type) {
    case ScaleType::kF16: {
      const float stored = base::f16_to_f32(base::f32_to_f16(scale));
      if (std::isinf(stored)) fail_scale(scale, "float16", 65504.0f);
      return stored == 0.0f ? 1.0f : stored;
    }
    case ScaleType::kF32:
      return std::fabs(scale) < 0x1p-126f ? 1.0f : scale;
    case ScaleType::kE8M0:
      return scale <= 0.0f ? 1.0f : base::e8m0_to_f32(base::f32_to_e8m0(scale));
    case ScaleType::kE4M3: {
      const float relative = scale / tensor_scale;
      if (relative >= 464.0f) fail_scale(relative, "E4M3", 448.0f);  // 464 is the first that rounds past 448
      const float stored = base::e4m3_to_f32(base::f32_to_e4m3(relative));
      return (stored == 0.0f ? 1.0f : stored) * tensor_scale;
    }
  }
  return scale;
}

/// Round half to even for |y| < 2^22; what the default rounding mode does to the sum.
float round_even(float y) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: one unit in the last place is 1
  return (y + kMagic) - kMagic;
}

}  // namespace

int bits_of(ScaleType type) {
  switch (type) {
    case ScaleType::kF16:
      return 16;
    case ScaleType::kF32:
      return 32;
    case ScaleType::kE8M0:
    case ScaleType::kE4M3:
      return 8;
  }
  return 0;
}

DType dtype_of(ScaleType type) {
  switch (type) {
    case ScaleType::kF16:
      return DType::f16;
    case ScaleType::kF32:
      return DType::f32;
    case ScaleType::kE8M0:
      return DType::f8e8m0;
    case ScaleType::kE4M3:
      return DType::f8e4m3;
  }
  return DType::f32;
}

GroupParams NumberFormat::storable(GroupParams wanted, float tensor_scale_factor,
                                   std::optional<ScaleType> stored_as) const {
  NIBBLE_INVARIANT(std::isfinite(wanted.offset) && !std::isnan(wanted.scale));
  const ScaleType type = stored_as && scale == ScaleType::kF16 ? *stored_as : scale;
  if (std::isinf(wanted.scale)) fail_scale(wanted.scale, "float32", 3.40282347e38f);
  wanted.scale = stored_scale(wanted.scale, type, tensor_scale ? tensor_scale_factor : 1.0f);
  wanted.zero = integer_zero ? std::clamp(wanted.zero, lowest_code, highest_code()) : 0;
  wanted.offset = real_offset ? wanted.offset + 0.0f : 0.0f;
  return wanted;
}

int NumberFormat::quantize(float x, const GroupParams& params) const {
  if (!uniform()) {
    const float y = x / params.scale;
    int at = 0;
    while (at + 1 < codebook->count && y >= codebook->decision[at]) ++at;
    return codebook->code[at];
  }
  const float steps = static_cast<float>(levels.size() - 1);
  const float y = params.offset == 0.0f ? x / params.scale : (x - params.offset) / (params.scale * steps) * steps;
  // Clamping before rounding gives the same code: the bounds are whole numbers.
  const float low = static_cast<float>(lowest_code - params.zero);
  const float high = static_cast<float>(highest_code() - params.zero);
  return static_cast<int>(round_even(std::clamp(y, low, high))) + params.zero;
}

float NumberFormat::decode(int code_value, const GroupParams& params) const {
  return params.scale * (level(code_value) - static_cast<float>(params.zero)) + params.offset;
}

double NumberFormat::bits_per_weight(int64_t group, bool with_zero, bool with_offset,
                                     std::optional<ScaleType> stored_as) const {
  const ScaleType type = stored_as && scale == ScaleType::kF16 ? *stored_as : scale;
  const int shared = bits_of(type) + (with_zero ? bits : 0) + (with_offset ? 32 : 0);
  return bits + static_cast<double>(shared) / static_cast<double>(std::max<int64_t>(group, 1));
}

std::span<const NumberFormat* const> all_formats() {
  static const std::array formats = {
#define NIBBLE_FORMAT(name) &name##_format(),
#include "codec/formats.def"
#undef NIBBLE_FORMAT
  };
  return formats;
}

const NumberFormat* find_format(std::string_view name) {
  for (const NumberFormat* format : all_formats())
    if (format->name == name) return format;
  return nullptr;
}

}  // namespace nibble::codec
