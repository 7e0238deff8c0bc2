#pragma once
#include "kernels/block_search/lanes.h"

namespace nibble::kernels {

// A grid: `level(v)` is the level nearest to v, `code(v)` its code, `kLowest` the level of the plain encoder's extreme
// value, `kEnds` the levels that a search lets the extreme value fall on, best first: chosen greedily on rows of
// trained and random tensors.

/// Levels -kTop..kTop-1 (Q4_0, Q5_0, Q6_K).
template <typename Isa, int kTop>
struct EvenGrid {
  using L = Lanes<Isa>;
  static constexpr float kLowest = -kTop;
  NIBBLE_LANES_INLINE static L level(const L& v) {
    return round(clamp(v, static_cast<float>(-kTop), static_cast<float>(kTop - 1)));
  }
  NIBBLE_LANES_INLINE static L code(const L& v) { return level(v) + L::all(static_cast<float>(kTop)); }
  /// The same for values of magnitude up to `end`, a constant: without the bounds that they do not reach.
  NIBBLE_LANES_INLINE static L level_within(const L& v, float end) {
    const float size = end < 0.0f ? -end : end;
    L bounded = v;
    if (size > kTop + 0.49f) bounded = max(bounded, L::all(static_cast<float>(-kTop)));
    if (size > kTop - 0.51f) bounded = min(bounded, L::all(static_cast<float>(kTop - 1)));
    return round(bounded);
  }
};

template <int kTop>
struct EvenEnds;
template <>
struct EvenEnds<8> {
  static constexpr float kEnds[16] = {-8.2f, -7.2f, -8.7f, -7.8f, -8.4f, -6.9f, -8.0f, -9.0f,
                                      -6.2f, -7.6f, -7.4f, -8.5f, -6.7f, -7.1f, -9.3f, 8.1f};
  static constexpr int kUnweighted = 6, kWeighted = 16;  ///< trials: without weights ggml does not search at all
};
template <>
struct EvenEnds<16> {
  static constexpr float kEnds[12] = {-16.05f, -15.15f, -16.5f, -14.1f, -15.75f, -14.85f,
                                      -13.2f,  -16.2f,  -16.8f, -13.8f, -15.3f,  -12.15f};
  static constexpr int kUnweighted = 12, kWeighted = 12;
};
template <>
struct EvenEnds<32> {
  static constexpr float kEnds[16] = {-32.0f,  -31.0f,  -30.0f,  -29.0f,  -28.0f,  -27.0f,  -32.5f,  -26.0f,
                                      -31.75f, -30.75f, -31.25f, -29.75f, -30.25f, -29.25f, -28.75f, -32.25f};
  static constexpr int kUnweighted = 16, kWeighted = 16;
};

/// The 16 levels of IQ4_NL and IQ4_XS, an exact middle going up.
template <typename Isa>
struct Iq4Grid {
  using L = Lanes<Isa>;
  static constexpr float kLowest = -127.0f;
  static constexpr float kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  static constexpr float kEnds[24] = {-130.0f, -122.5f, 115.0f,  -137.5f, -110.0f, 122.5f,  110.0f,  -125.0f,
                                      -105.0f, -132.5f, -120.0f, -142.5f, 117.5f,  90.0f,   -127.5f, 127.5f,
                                      105.0f,  -100.0f, -135.0f, -87.5f,  112.5f,  -112.5f, 97.5f,   -107.5f};
  static constexpr int kUnweighted = 24, kWeighted = 24;
  NIBBLE_LANES_INLINE static L level(const L& v) {
    L o;
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < L::kRegs; ++k) o.r[k] = Isa::iq4_level(v.r[k]);
    return o;
  }
  NIBBLE_LANES_INLINE static L level_within(const L& v, float) { return level(v); }
  NIBBLE_LANES_INLINE static L code(const L& v) {
    L o = L::all(0.0f);
    for (int k = 0; k < 15; ++k)
      o = o + where_less(v, L::all((kLevels[k] + kLevels[k + 1]) / 2), L::all(0.0f), L::all(1.0f));
    return o;
  }
};

/// `Isa::iq4_level` where there are no tables in registers: one comparison a middle.
template <typename Isa>
NIBBLE_LANES_INLINE typename Isa::Reg plain_iq4_level(typename Isa::Reg v) {
  using Reg = typename Isa::Reg;
  Reg level = Reg{} + Iq4Grid<Isa>::kLevels[0];
  for (int k = 0; k < 15; ++k) {
    const float low = Iq4Grid<Isa>::kLevels[k], high = Iq4Grid<Isa>::kLevels[k + 1];
    level = level + Isa::where_less(v, Reg{} + (low + high) / 2, Reg{}, Reg{} + (high - low));
  }
  return level;
}

}  // namespace nibble::kernels
