#pragma once
#include <array>

#include "codec/levels.h"

namespace nibble::codec {

/// OCP E2M1: sign, two exponent bits, one mantissa bit; no infinity, no NaN. Codes 8..15 are the negatives of 0..7;
/// code 8 (-0) is read as 0 and never written.
inline constexpr std::array<float, 16> kE2m1Levels = {0.0f, 0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                                      0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
inline constexpr Codebook kE2m1Codebook = make_codebook(kE2m1Levels);

}  // namespace nibble::codec
