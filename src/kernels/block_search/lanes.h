#pragma once
#include <cstdint>

#define NIBBLE_LANES_INLINE [[gnu::always_inline]] inline
/// Before a loop whose few variables must be registers.
#if defined(__clang__)
#define NIBBLE_LANES_UNROLL _Pragma("clang loop unroll(full)")
#else
#define NIBBLE_LANES_UNROLL _Pragma("GCC unroll 16")
#endif

namespace nibble::kernels {

/// Sixteen floats, one a block: whatever the instruction set, lane i goes through the same sequence of float32
/// operations, so that a search gives the same bytes everywhere. An Isa says how wide its registers are (`Reg`, `Ints`,
/// `kWidth`) and how it does what the compiler's vector types lack.
template <typename Isa>
struct Lanes {
  using Reg = typename Isa::Reg;
  using Stored [[gnu::may_alias]] = Reg;
  static constexpr int kRegs = 16 / Isa::kWidth;
  Reg r[kRegs];

  NIBBLE_LANES_INLINE static Lanes all(float v) {
    Lanes o;
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < kRegs; ++k) o.r[k] = Reg{} + v;
    return o;
  }
  /// Sixteen floats at a multiple of 64 bytes. Register by register: a copy of the whole would go through memory.
  NIBBLE_LANES_INLINE static Lanes load(const float* at) {
    Lanes o;
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < kRegs; ++k) o.r[k] = *reinterpret_cast<const Stored*>(at + k * Isa::kWidth);
    return o;
  }
  NIBBLE_LANES_INLINE void store(float* at) const {
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < kRegs; ++k) *reinterpret_cast<Stored*>(at + k * Isa::kWidth) = r[k];
  }

#define NIBBLE_LANES_OPERATOR(op)                                                \
  NIBBLE_LANES_INLINE friend Lanes operator op(const Lanes& a, const Lanes& b) { \
    Lanes o;                                                                     \
    NIBBLE_LANES_UNROLL                                                          \
    for (int k = 0; k < kRegs; ++k) o.r[k] = a.r[k] op b.r[k];                   \
    return o;                                                                    \
  }
  NIBBLE_LANES_OPERATOR(+)
  NIBBLE_LANES_OPERATOR(-)
  NIBBLE_LANES_OPERATOR(*)
  NIBBLE_LANES_OPERATOR(/)
#undef NIBBLE_LANES_OPERATOR
};

/// Sixteen int32.
template <typename Isa>
struct IntLanes {
  using Stored [[gnu::may_alias]] = typename Isa::Ints;
  typename Isa::Ints r[Lanes<Isa>::kRegs];

  /// To a multiple of 64 bytes.
  template <typename Word>
  NIBBLE_LANES_INLINE void store(Word* at) const {
    static_assert(sizeof(Word) == 4);
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < Lanes<Isa>::kRegs; ++k) *reinterpret_cast<Stored*>(at + k * Isa::kWidth) = r[k];
  }
};

template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> min(const Lanes<Isa>& a, const Lanes<Isa>& b) {
  Lanes<Isa> o;
  NIBBLE_LANES_UNROLL
  for (int k = 0; k < o.kRegs; ++k) o.r[k] = Isa::min(a.r[k], b.r[k]);
  return o;
}

template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> max(const Lanes<Isa>& a, const Lanes<Isa>& b) {
  Lanes<Isa> o;
  NIBBLE_LANES_UNROLL
  for (int k = 0; k < o.kRegs; ++k) o.r[k] = Isa::max(a.r[k], b.r[k]);
  return o;
}

/// To the nearest integer, halves to even.
template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> round(const Lanes<Isa>& a) {
  Lanes<Isa> o;
  NIBBLE_LANES_UNROLL
  for (int k = 0; k < o.kRegs; ++k) o.r[k] = Isa::round(a.r[k]);
  return o;
}

template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> abs(const Lanes<Isa>& a) {
  Lanes<Isa> o;
  NIBBLE_LANES_UNROLL
  for (int k = 0; k < o.kRegs; ++k) o.r[k] = (typename Isa::Reg)((typename Isa::Ints)a.r[k] & 0x7fffffff);
  return o;
}

/// a < b ? x : y.
template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> where_less(const Lanes<Isa>& a, const Lanes<Isa>& b, const Lanes<Isa>& x,
                                          const Lanes<Isa>& y) {
  Lanes<Isa> o;
  NIBBLE_LANES_UNROLL
  for (int k = 0; k < o.kRegs; ++k) o.r[k] = Isa::where_less(a.r[k], b.r[k], x.r[k], y.r[k]);
  return o;
}

template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> clamp(const Lanes<Isa>& v, float low, float high) {
  return min(max(v, Lanes<Isa>::all(low)), Lanes<Isa>::all(high));
}

/// 1 / v, and 0 where |v| is too small to have an inverse in float32.
template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> inverse(const Lanes<Isa>& v) {
  const Lanes<Isa> zero = Lanes<Isa>::all(0.0f);
  return where_less(Lanes<Isa>::all(3e-39f), abs(v), Lanes<Isa>::all(1.0f) / v, zero);
}

/// The nearest f16, ties to even, subnormal ones too. |v| must be below 65520.
template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> as_f16(const Lanes<Isa>& v) {
  using L = Lanes<Isa>;
  L normal;
  NIBBLE_LANES_UNROLL
  for (int k = 0; k < L::kRegs; ++k) {
    const auto bits = (typename Isa::Ints)v.r[k];
    normal.r[k] = (typename Isa::Reg)((bits + 0xfff + ((bits >> 13) & 1)) & ~0x1fff);
  }
  const L subnormal = (v + L::all(0.75f)) - L::all(0.75f);  // multiples of 2^-24
  return where_less(abs(v), L::all(0x1p-14f), subnormal, normal);
}

/// Of integers held as floats.
template <typename Isa>
NIBBLE_LANES_INLINE void store_ints(const Lanes<Isa>& v, int32_t* at) {
  IntLanes<Isa> o;
  NIBBLE_LANES_UNROLL
  for (int k = 0; k < v.kRegs; ++k) o.r[k] = __builtin_convertvector(v.r[k], typename Isa::Ints);
  o.store(at);
}

}  // namespace nibble::kernels
