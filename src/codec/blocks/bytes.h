#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/small_float.h"
#include "codec/blocks.h"

namespace nibble::codec {

/// The f16 at any byte, as f32.
inline float read_f16(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return base::f16_to_f32(bits);
}

/// Rounded to nearest, ties to even.
inline void write_f16(uint8_t* at, float value) {
  const uint16_t bits = base::f32_to_f16(value);
  std::memcpy(at, &bits, sizeof bits);
}

/// The integer part of `value`, in the low byte of an int32, as x86 converts a float to a narrow integer: what does not
/// fit an int32 (the scale was subnormal, its inverse infinite) gives 0.
inline int truncated(float value) {
  if (!(value > -2147483648.0f && value < 2147483648.0f)) return 0;
  return static_cast<int8_t>(static_cast<int32_t>(value));
}

/// 1 / d, and 0 for a scale of 0.
inline float inverse_or_zero(float d) { return d != 0.0f ? 1.0f / d : 0.0f; }

/// Of `count` values the one of largest magnitude, with its sign; of equal magnitudes the first.
inline float largest_of(const float* values, int count) {
  float largest = 0.0f;
  for (int i = 0; i < count; ++i)
    if (std::fabs(values[i]) > std::fabs(largest)) largest = values[i];
  return largest;
}

/// Byte j of 16 holds the code of value j in its low half and of value j + 16 in its high half.
inline void write_halves(uint8_t* at, const uint8_t* codes, int half = 16) {
  for (int j = 0; j < half; ++j) at[j] = static_cast<uint8_t>((codes[j] & 15) | ((codes[j + half] & 15) << 4));
}

/// Bit i % 8 of byte i / 8 is the fifth bit of code i, of 32.
inline void write_fifth_bits(uint8_t* at, const uint8_t* codes) {
  for (int k = 0; k < 4; ++k) {
    int byte = 0;
    for (int i = 0; i < 8; ++i) byte |= (codes[8 * k + i] >> 4 & 1) << i;
    at[k] = static_cast<uint8_t>(byte);
  }
}

}  // namespace nibble::codec
