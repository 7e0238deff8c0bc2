#pragma once
#include "kernels/block_search/batch.h"
#include "kernels/block_search/grids.h"

/// One scale over fixed levels: min over d and codes of sum w (x - d level)^2. Under given codes the best scale is
/// d = Sxl / Sll and lowers the error by Sxl^2 / Sll, so the codes of several trial scales are compared by that.
namespace nibble::kernels {

template <typename Isa>
struct Fit {
  Lanes<Isa> error, xl, ll;  ///< sum w (x - d l)^2, sum w x l, sum w l^2
};

/// Nearest codes of values from..from + n - 1 under the scale `d` as it is stored.
template <typename Isa, typename Grid, bool kWeighted, int kValues>
NIBBLE_LANES_INLINE Fit<Isa> measure(const Batch<Isa, kValues>& b, int from, int n, const Lanes<Isa>& d) {
  using L = Lanes<Isa>;
  const L by = inverse(d);
  Fit<Isa> f{L::all(0.0f), L::all(0.0f), L::all(0.0f)};
  for (int i = from; i < from + n; ++i) {
    const L x = b.value(i), l = Grid::level(x * by), rest = x - d * l;
    const L wl = kWeighted ? b.weight(i) * l : l;
    f.error = f.error + (kWeighted ? b.weight(i) * rest : rest) * rest;
    f.xl = f.xl + wl * x;
    f.ll = f.ll + wl * l;
  }
  return f;
}

/// Sxl / Sll, 0 where Sll is.
template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> best_scale(const Fit<Isa>& f) {
  using L = Lanes<Isa>;
  return where_less(L::all(0.0f), f.ll, f.xl / max(f.ll, L::all(1e-37f)), L::all(0.0f));
}

/// The value of largest magnitude with its sign, the first of equals.
template <typename Isa, int kValues>
NIBBLE_LANES_INLINE Lanes<Isa> extreme(const Batch<Isa, kValues>& b, int from, int n) {
  using L = Lanes<Isa>;
  L most = L::all(0.0f), signed_most = most;
  for (int i = from; i < from + n; ++i) {
    const L x = b.value(i), size = abs(x);
    signed_most = where_less(most, size, x, signed_most);
    most = max(most, size);
  }
  return signed_most;
}

/// The best scale, not rounded, of those that put the extreme value on one of the ends, refitted to their codes.
template <typename Isa, typename Grid, typename Ends, bool kWeighted, int kValues>
NIBBLE_LANES_INLINE Lanes<Isa> search_scale(const Batch<Isa, kValues>& b, int from, int n, const Lanes<Isa>& most) {
  using L = Lanes<Isa>;
  constexpr int kCount = kWeighted ? Ends::kWeighted : Ends::kUnweighted;
  constexpr int kAtOnce = kCount % Isa::kTrials ? 3 : Isa::kTrials;  // share loads and hide the latency of the sums
  static_assert(kCount % kAtOnce == 0);
  const L unit = where_less(L::all(1e-15f), abs(most), L::all(1.0f) / most, L::all(0.0f));
  L best = L::all(0.0f), scale = best;
  NIBBLE_LANES_UNROLL
  for (int trial = 0; trial < kCount; trial += kAtOnce) {
    L by[kAtOnce], xl[kAtOnce], ll[kAtOnce];
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < kAtOnce; ++k) {
      by[k] = unit * L::all(Ends::kEnds[trial + k]);
      xl[k] = ll[k] = L::all(0.0f);
    }
    for (int i = from; i < from + n; ++i) {
      const L x = b.value(i);
      NIBBLE_LANES_UNROLL
      for (int k = 0; k < kAtOnce; ++k) {
        const L l = Grid::level_within(x * by[k], Ends::kEnds[trial + k]), wl = kWeighted ? b.weight(i) * l : l;
        xl[k] = xl[k] + wl * x;
        ll[k] = ll[k] + wl * l;
      }
    }
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < kAtOnce; ++k) {
      const L fitted = best_scale(Fit<Isa>{ll[k], xl[k], ll[k]}), gain = fitted * xl[k];
      scale = where_less(best, gain, fitted, scale);
      best = max(best, gain);
    }
  }
  return scale;
}

/// The f16 scale: that of the plain encoder, the one given, or that one refitted to its codes (`kRefits` times),
/// whichever leaves least.
template <typename Isa, typename Grid, bool kWeighted, int kRefits, int kValues>
NIBBLE_LANES_INLINE Lanes<Isa> stored_scale(const Batch<Isa, kValues>& b, int from, int n, const Lanes<Isa>& most,
                                            const Lanes<Isa>& found) {
  using L = Lanes<Isa>;
  L d = as_f16(most / L::all(Grid::kLowest));
  L error = measure<Isa, Grid, kWeighted>(b, from, n, d).error;
  L trial = as_f16(found);
  for (int round = 0; round <= kRefits; ++round) {
    const Fit<Isa> f = measure<Isa, Grid, kWeighted>(b, from, n, trial);
    d = where_less(f.error, error, trial, d);
    error = min(error, f.error);
    trial = as_f16(best_scale(f));
  }
  return d;
}

/// Codes of all values under one scale a block.
template <typename Isa, typename Grid, int kValues>
NIBBLE_LANES_INLINE void encode(Batch<Isa, kValues>& b, int from, int n, const Lanes<Isa>& d) {
  const Lanes<Isa> by = inverse(d);
  for (int i = from; i < from + n; ++i) Grid::code(b.value(i) * by).store(b.codes + 16 * i);
}

template <typename Isa, typename Grid, typename Ends, bool kWeighted, bool kFifth>
void search_one_scale(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  constexpr int kBytes = kFifth ? 22 : 18;
  constexpr int kRefits = !kWeighted && Grid::kLowest == -8.0f ? 0 : 1;  // Q4_0 has no time for it and little to gain
  Batch<Isa, 32> b;
  for (int64_t at = 0; at < blocks; at += 16) {
    b.load(x + at * 32, w, row, first + at, blocks - at);
    const Lanes<Isa> most = extreme(b, 0, 32);
    const Lanes<Isa> found = search_scale<Isa, Grid, Ends, kWeighted>(b, 0, 32, most);
    const Lanes<Isa> d = stored_scale<Isa, Grid, kWeighted, kRefits>(b, 0, 32, most, found);
    encode<Isa, Grid>(b, 0, 32, d);
    const Output out{bytes + at * kBytes, kBytes, b.count};
    out.put_f16(0, d);
    if constexpr (kFifth) put_fifth_bits(out, 2, b, 0);
    put_halves(out, kBytes - 16, b, 0, 16);
  }
}

template <typename Isa>
void search_q4_0(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  using Grid = EvenGrid<Isa, 8>;
  const auto search = w ? search_one_scale<Isa, Grid, EvenEnds<8>, true, false>
                        : search_one_scale<Isa, Grid, EvenEnds<8>, false, false>;
  search(x, w, row, first, blocks, bytes);
}

template <typename Isa>
void search_q5_0(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  using Grid = EvenGrid<Isa, 16>;
  const auto search = w ? search_one_scale<Isa, Grid, EvenEnds<16>, true, true>
                        : search_one_scale<Isa, Grid, EvenEnds<16>, false, true>;
  search(x, w, row, first, blocks, bytes);
}

template <typename Isa>
void search_iq4_nl(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  using Grid = Iq4Grid<Isa>;
  const auto search =
      w ? search_one_scale<Isa, Grid, Grid, true, false> : search_one_scale<Isa, Grid, Grid, false, false>;
  search(x, w, row, first, blocks, bytes);
}

}  // namespace nibble::kernels
