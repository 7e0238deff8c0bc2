#pragma once
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

}  // namespace nibble::codec
