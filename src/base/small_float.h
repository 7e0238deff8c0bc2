#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace nibble::base {

/// IEEE binary16 -> binary32, exact; infinities and NaN kept.
float f16_to_f32(uint16_t bits);
/// binary32 -> IEEE binary16, round to nearest, ties to even; overflow gives infinity.
uint16_t f32_to_f16(float value);

/// bfloat16: the upper half of a binary32.
inline float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
/// Round to nearest, ties to even; NaN stays NaN.
uint16_t f32_to_bf16(float value);

/// OCP E4M3 (fn): bias 7, largest 448, no infinity, 0x7F and 0xFF are NaN, subnormal step 2^-9.
float e4m3_to_f32(uint8_t bits);
/// Round to nearest, ties to even, saturating at +-448; NaN gives 0x7F.
uint8_t f32_to_e4m3(float value);

/// OCP E5M2: bias 15, infinities and NaN as in binary16.
float e5m2_to_f32(uint8_t bits);
/// Round to nearest, ties to even, saturating at +-57344 unless the value is infinite.
uint8_t f32_to_e5m2(float value);

/// OCP E8M0: 2^(bits - 127), 255 is NaN, no zero.
float e8m0_to_f32(uint8_t bits);
/// The nearest power of two, an exact middle to the smaller; clamped to 2^-127..2^127. Zero and less give 2^-127, NaN
/// 255.
uint8_t f32_to_e8m0(float value);

}  // namespace nibble::base
