#pragma once
#include <array>
#include <cstddef>

namespace nibble::codec {

/// The 16 levels of IQ4_NL and IQ4_XS. No exact zero: the nearest is 1.
inline constexpr std::array<float, 16> kIq4Levels = {-127.0f, -104.0f, -83.0f, -65.0f, -49.0f, -35.0f, -22.0f, -10.0f,
                                                     1.0f,    13.0f,   25.0f,  38.0f,  53.0f,  69.0f,  89.0f,  113.0f};

/// The code of the level nearest to `v`; an exact middle goes to the upper level.
inline int nearest_iq4(float v) {
  int code = 0;
  for (std::size_t k = 0; k + 1 < kIq4Levels.size(); ++k) code += v >= (kIq4Levels[k] + kIq4Levels[k + 1]) / 2;
  return code;
}

}  // namespace nibble::codec
