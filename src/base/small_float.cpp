#include "base/small_float.h"

#include <algorithm>
#include <limits>

namespace nibble::base {

float f16_to_f32(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t exponent = (bits >> 10) & 31u;
  const uint32_t mantissa = bits & 1023u;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
  if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);  // from 65520 on: infinity
  if (magnitude < 0x38800000u) {                                               // below 2^-14: subnormal, steps of 2^-24
    const float steps = std::bit_cast<float>(magnitude) * 0x1p24f;             // exact; at most 1024
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyintf(steps)));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xFFFu + odd) >> 13));
}

uint16_t f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

float e4m3_to_f32(uint8_t bits) {
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = exponent == 0 ? static_cast<float>(mantissa) * 0x1p-9f
                                        : std::ldexp(1.0f + static_cast<float>(mantissa) / 8.0f, exponent - 7);
  return bits & 0x80 ? -magnitude : magnitude;
}

uint8_t f32_to_e4m3(float value) {
  if (std::isnan(value)) return 0x7F;
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  const float magnitude = std::fabs(value);
  if (magnitude >= 448.0f) return static_cast<uint8_t>(sign | 0x7E);
  const int exponent = magnitude < 0x1p-6f ? -6 : std::ilogb(magnitude);
  const int steps = static_cast<int>(std::nearbyintf(std::ldexp(magnitude, 3 - exponent)));  // 0..16
  // Below the normal range `steps` is the code itself; above, a carry to 16 moves into the exponent by addition.
  const int code = exponent == -6 && steps < 8 ? steps : ((exponent + 7) << 3) + (steps - 8);
  return static_cast<uint8_t>(sign | std::min(code, 0x7E));
}

float e5m2_to_f32(uint8_t bits) { return f16_to_f32(static_cast<uint16_t>(bits << 8)); }

uint8_t f32_to_e5m2(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint8_t sign = static_cast<uint8_t>((bits >> 24) & 0x80u);
  if (std::isnan(value)) return static_cast<uint8_t>(sign | 0x7F);
  if (std::isinf(value)) return static_cast<uint8_t>(sign | 0x7C);
  const float magnitude = std::fabs(value);
  if (magnitude >= 57344.0f) return static_cast<uint8_t>(sign | 0x7B);
  const int exponent = magnitude < 0x1p-14f ? -14 : std::ilogb(magnitude);
  const int steps = static_cast<int>(std::nearbyintf(std::ldexp(magnitude, 2 - exponent)));  // 0..8
  const int code = exponent == -14 && steps < 4 ? steps : ((exponent + 15) << 2) + (steps - 4);
  return static_cast<uint8_t>(sign | std::min(code, 0x7B));
}

float e8m0_to_f32(uint8_t bits) {
  if (bits == 255) return std::numeric_limits<float>::quiet_NaN();
  if (bits == 0) return 0x1p-127f;
  return std::bit_cast<float>(uint32_t{bits} << 23);
}

uint8_t f32_to_e8m0(float value) {
  if (std::isnan(value)) return 255;
  if (!(value > 0.0f)) return 0;
  if (std::isinf(value)) return 254;
  int exponent = 0;
  const float fraction = std::frexp(value, &exponent);  // value = fraction * 2^exponent, fraction in [1/2, 1)
  return static_cast<uint8_t>(std::clamp((fraction > 0.75f ? exponent : exponent - 1) + 127, 0, 254));
}

}  // namespace nibble::base
