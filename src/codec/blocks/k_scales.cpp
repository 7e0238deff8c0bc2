#include "codec/blocks/k_scales.h"

#include <algorithm>
#include <cmath>

#include "base/small_float.h"

namespace nibble::codec {
namespace {

float as_f16(float v) { return base::f16_to_f32(base::f32_to_f16(v)); }

uint8_t six_bits(float v, float unit) {
  return unit > 0.0f ? static_cast<uint8_t>(std::clamp(std::nearbyint(v / unit), 0.0f, 63.0f)) : uint8_t{0};
}

}  // namespace

PlainK plain_k(const float* values, int top_code) {
  float scale[8], min[8];
  for (int g = 0; g < 8; ++g) {
    const auto [least, most] = std::minmax_element(values + 32 * g, values + 32 * g + 32);
    min[g] = std::max(-*least, 0.0f);
    scale[g] = std::max((*most + min[g]) / static_cast<float>(top_code), 0.0f);
  }
  PlainK k;
  k.d = as_f16(*std::max_element(scale, scale + 8) / 63.0f);
  k.dmin = as_f16(*std::max_element(min, min + 8) / 63.0f);
  for (int g = 0; g < 8; ++g) {
    k.scales.scale[g] = six_bits(scale[g], k.d);
    k.scales.min[g] = six_bits(min[g], k.dmin);
  }
  return k;
}

uint8_t k_code(float x, float scale, float min, int top_code) {
  if (!(scale > 0.0f)) return 0;
  return static_cast<uint8_t>(std::clamp(std::nearbyint((x + min) / scale), 0.0f, static_cast<float>(top_code)));
}

}  // namespace nibble::codec
