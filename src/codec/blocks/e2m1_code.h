#pragma once
#include <cmath>

#include "codec/e2m1.h"

namespace nibble::codec {

/// The code of the E2M1 level whose product with `scale` is nearest to `x`, an exact middle going towards zero, as ggml
/// rounds. Code 8 (-0) is never given.
inline int e2m1_towards_zero(float x, float scale) {
  const float magnitude = std::fabs(x);
  int best = 0;
  float least = magnitude;
  for (int k = 1; k < 8; ++k) {
    const float error = std::fabs(kE2m1Levels[static_cast<size_t>(k)] * scale - magnitude);
    if (error < least) {
      least = error;
      best = k;
    }
  }
  return best != 0 && x < 0.0f ? best + 8 : best;
}

}  // namespace nibble::codec
