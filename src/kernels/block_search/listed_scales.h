#pragma once
#include "kernels/block_search/one_scale.h"

/// Formats whose few sensible scales are all tried out: Q8_0 (where the codes are so fine that only the error itself
/// tells trials apart), MXFP4 and NVFP4.
namespace nibble::kernels {

template <typename Isa>
struct Q8Grid {
  using L = Lanes<Isa>;
  static constexpr float kLowest = 127.0f;
  /// -128 exists, but no reader's fast product expects it.
  NIBBLE_LANES_INLINE static L level(const L& v) { return round(clamp(v, -127.0f, 127.0f)); }
};

template <typename Isa, bool kWeighted>
void search_q8_0_blocks(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  using L = Lanes<Isa>;
  using Grid = Q8Grid<Isa>;
  constexpr float kEnds[6] = {127.0f, 126.5f, 126.0f, 125.5f, 125.0f, 124.0f};
  Batch<Isa, 32> b;
  for (int64_t at = 0; at < blocks; at += 16) {
    b.load(x + at * 32, w, row, first + at, blocks - at);
    const L most = abs(extreme(b, 0, 32));
    L d = L::all(0.0f), least = L::all(3e38f), refitted = d;
    for (const float end : kEnds) {
      const L trial = as_f16(most * L::all(1.0f / end));
      const Fit<Isa> f = measure<Isa, Grid, kWeighted>(b, 0, 32, trial);
      d = where_less(f.error, least, trial, d);
      refitted = where_less(f.error, least, best_scale(f), refitted);
      least = min(least, f.error);
    }
    refitted = as_f16(refitted);
    d = where_less(measure<Isa, Grid, kWeighted>(b, 0, 32, refitted).error, least, refitted, d);
    const L by = inverse(d);
    const Output out{bytes + at * 34, 34, b.count};
    const auto byte = [&](int i) {
      const L code = Grid::level(b.value(i) * by);
      return where_less(code, L::all(0.0f), code + L::all(256.0f), code);
    };
    out.put_f16(0, d);
    for (int i = 0; i < 32; i += 4) out.put(2 + i, byte(i), byte(i + 1), byte(i + 2), byte(i + 3));
  }
}

/// E2M1: exact middles go towards zero, which only matters for the code.
template <typename Isa>
struct E2m1Grid {
  using L = Lanes<Isa>;
  static constexpr float kLevels[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  NIBBLE_LANES_INLINE static L magnitude(const L& size) {
    L level = L::all(0.0f);
    for (int k = 0; k < 7; ++k)
      level = level + where_less(L::all((kLevels[k] + kLevels[k + 1]) / 2), size, L::all(kLevels[k + 1] - kLevels[k]),
                                 L::all(0.0f));
    return level;
  }
  NIBBLE_LANES_INLINE static L code(const L& v) {
    L code = L::all(0.0f);
    for (int k = 0; k < 7; ++k)
      code = code + where_less(L::all((kLevels[k] + kLevels[k + 1]) / 2), abs(v), L::all(1.0f), L::all(0.0f));
    const L sign = where_less(L::all(0.5f), code, L::all(8.0f), L::all(0.0f));
    return code + where_less(v, L::all(0.0f), sign, L::all(0.0f));
  }
};

/// sum w (x - d level)^2 where `by` is 1 / d or 0.
template <typename Isa, bool kWeighted, int kValues>
NIBBLE_LANES_INLINE Lanes<Isa> e2m1_error(const Batch<Isa, kValues>& b, int from, int n, const Lanes<Isa>& unit,
                                          const Lanes<Isa>& d, const Lanes<Isa>& by) {
  using L = Lanes<Isa>;
  L error = L::all(0.0f);
  for (int i = from; i < from + n; ++i) {
    const L x = abs(b.value(i)) * unit, rest = x - d * E2m1Grid<Isa>::magnitude(x * by);
    error = error + (kWeighted ? b.weight(i) * rest : rest) * rest;
  }
  return error;
}

template <typename Isa, bool kWeighted>
void search_mxfp4_blocks(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  using L = Lanes<Isa>;
  using Ints = typename Isa::Ints;
  Batch<Isa, 32> b;
  for (int64_t at = 0; at < blocks; at += 16) {
    b.load(x + at * 32, w, row, first + at, blocks - at);
    const L most = abs(extreme(b, 0, 32));
    L plain, unit;  // the plain encoder's exponent, and 1 / its scale: trials work on x * unit, which never overflows
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < L::kRegs; ++k) {
      Ints e = ((Ints)most.r[k] >> 23) - 2;
      e = e & ~(e >> 31);
      plain.r[k] = __builtin_convertvector(e, typename Isa::Reg);
      unit.r[k] = (typename Isa::Reg)((254 - e) << 23);
    }
    L least = L::all(3e38f), chosen = plain, scale = L::all(1.0f);
    constexpr float kSteps[3] = {0.0f, -1.0f, 1.0f};
    for (const float step : kSteps) {
      const float d = step == 0.0f ? 1.0f : step < 0.0f ? 0.5f : 2.0f;
      const L exponent = plain + L::all(step);
      const L measured = e2m1_error<Isa, kWeighted>(b, 0, 32, unit, L::all(d), L::all(1.0f / d));
      const L error = where_less(exponent, L::all(0.0f), L::all(3e38f), measured);
      chosen = where_less(error, least, exponent, chosen);
      scale = where_less(error, least, L::all(1.0f / d), scale);
      least = min(least, error);
    }
    for (int i = 0; i < 32; ++i) E2m1Grid<Isa>::code(b.value(i) * unit * scale).store(b.codes + 16 * i);
    alignas(64) int32_t e[16];
    store_ints(chosen, e);
    const Output out{bytes + at * 17, 17, b.count};
    for (int k = 0; k < b.count; ++k) out.bytes[k * 17] = static_cast<uint8_t>(e[k]);
    put_halves(out, 1, b, 0, 16);
  }
}

/// Of an unsigned E4M3 code held as a float, 0..126.
template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> e4m3_value(const Lanes<Isa>& code) {
  using L = Lanes<Isa>;
  L normal;
  NIBBLE_LANES_UNROLL
  for (int k = 0; k < L::kRegs; ++k)
    normal.r[k] =
        (typename Isa::Reg)((__builtin_convertvector(code.r[k], typename Isa::Ints) << 20) + ((127 - 7) << 23));
  return where_less(code, L::all(8.0f), code * L::all(0x1p-9f), normal);
}

/// The E4M3 code of `v`, halves going up, as a float; at most 126.
template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> e4m3_code(const Lanes<Isa>& v) {
  using L = Lanes<Isa>;
  L normal;
  NIBBLE_LANES_UNROLL
  for (int k = 0; k < L::kRegs; ++k)
    normal.r[k] =
        __builtin_convertvector((((typename Isa::Ints)v.r[k] + 0x80000) >> 20) - ((127 - 7) << 3), typename Isa::Reg);
  return min(where_less(v, L::all(0x1p-6f), round(v * L::all(512.0f)), normal), L::all(126.0f));
}

template <typename Isa, bool kWeighted>
void search_nvfp4_blocks(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  using L = Lanes<Isa>;
  Batch<Isa, 64> b;
  for (int64_t at = 0; at < blocks; at += 16) {
    b.load(x + at * 64, w, row, first + at, blocks - at);
    const Output out{bytes + at * 36, 36, b.count};
    L scales[4];
    for (int g = 0; g < 4; ++g) {
      const L plain = e4m3_code<Isa>(abs(extreme(b, 16 * g, 16)) / L::all(6.0f));
      L least = L::all(3e38f), by = L::all(0.0f);
      constexpr int kSteps[8] = {0, -1, 1, 2, 3, 4, 5, -2};  // with the extreme value on level 6, and up to level 4
      for (const int step : kSteps) {
        const L code = clamp(plain + L::all(static_cast<float>(step)), 0.0f, 126.0f);
        const L d = e4m3_value<Isa>(code), trial_by = inverse(d);
        const L error = e2m1_error<Isa, kWeighted>(b, 16 * g, 16, L::all(1.0f), d, trial_by);
        scales[g] = step == 0 ? code : where_less(error, least, code, scales[g]);
        by = where_less(error, least, trial_by, by);
        least = min(least, error);
      }
      for (int i = 16 * g; i < 16 * g + 16; ++i) E2m1Grid<Isa>::code(b.value(i) * by).store(b.codes + 16 * i);
      put_halves(out, 4 + 8 * g, b, 16 * g, 8);
    }
    out.put(0, scales[0], scales[1], scales[2], scales[3]);
  }
}

template <typename Isa>
void search_q8_0(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  (w ? search_q8_0_blocks<Isa, true> : search_q8_0_blocks<Isa, false>)(x, w, row, first, blocks, bytes);
}

template <typename Isa>
void search_mxfp4(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  (w ? search_mxfp4_blocks<Isa, true> : search_mxfp4_blocks<Isa, false>)(x, w, row, first, blocks, bytes);
}

template <typename Isa>
void search_nvfp4(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  (w ? search_nvfp4_blocks<Isa, true> : search_nvfp4_blocks<Isa, false>)(x, w, row, first, blocks, bytes);
}

}  // namespace nibble::kernels
