#pragma once
#include "kernels/block_search/batch.h"

/// A scale and a minimum: min over d, m and codes 0..kTop of sum w (x - d code - m)^2. Codes come from trial ends of
/// the range; under given codes (d, m) is a weighted regression,
///     D = Sw Sll - Sl^2,  d = (Sw Sxl - Sl Sx) / D,  m = (Sll Sx - Sl Sxl) / D,
/// and the codes of several trials are compared by what they leave. Values are taken relative to the least one, so that
/// the sums do not cancel.
namespace nibble::kernels {

template <typename Isa>
struct Line {
  Lanes<Isa> d, m;
};

/// Sums over codes of one trial.
template <typename Isa>
struct LineSums {
  Lanes<Isa> l, ll, xl;
};

/// What does not depend on codes; x relative to `low`.
template <typename Isa>
struct LineRange {
  Lanes<Isa> low, range, w, x;
};

/// Cuts of the range at its lower and upper end, as parts of it, best first: chosen greedily on rows of trained and
/// random tensors for 4 and 5 bits.
template <int kTop>
struct LineCuts {
  static constexpr float kUnit = kTop == 15 ? 0.02f : 0.01f;
  static constexpr int kCount = 24;
  static constexpr int8_t kLow[kCount] = {1,  0, 1, 0, 1,  -2, 0, 2,  -1, 0,  -2, 0,
                                          -1, 1, 1, 2, -2, -1, 2, -1, 2,  -2, -1, 1};
  static constexpr int8_t kHigh[kCount] = {1, 2,  0, 1, -1, 1, 0,  0,  1, -2, 0,  -1,
                                           0, -2, 2, 1, -2, 2, -1, -1, 2, -1, -2, 3};
};

/// `kNegative`: m may not be positive, so the range begins at 0 where all values are positive.
template <typename Isa, bool kNegative, bool kWeighted, int kValues>
NIBBLE_LANES_INLINE LineRange<Isa> line_range(const Batch<Isa, kValues>& b, int from, int n) {
  using L = Lanes<Isa>;
  L low = b.value(from), high = low;
  for (int i = from + 1; i < from + n; ++i) {
    low = min(low, b.value(i));
    high = max(high, b.value(i));
  }
  if (kNegative) low = min(low, L::all(0.0f));
  LineRange<Isa> r{low, max(high - low, L::all(0.0f)), L::all(0.0f), L::all(0.0f)};
  for (int i = from; i < from + n; ++i) {
    const L x = b.value(i) - low;
    r.w = r.w + (kWeighted ? b.weight(i) : L::all(1.0f));
    r.x = r.x + (kWeighted ? b.weight(i) * x : x);
  }
  return r;
}

/// The regression, and by how much it lowers sum w x^2. m <= `highest`. Codes that are all alike gain nothing.
template <typename Isa, bool kNegative>
NIBBLE_LANES_INLINE Line<Isa> regress(const LineRange<Isa>& r, const LineSums<Isa>& s, Lanes<Isa>& gain) {
  using L = Lanes<Isa>;
  const L zero = L::all(0.0f), two = L::all(2.0f);
  const L det = r.w * s.ll - s.l * s.l, least = L::all(1e-6f) * r.w * s.ll;
  const L by = where_less(least, det, L::all(1.0f) / max(det, L::all(1e-37f)), zero);
  L d = (r.w * s.xl - s.l * r.x) * by, m = (s.ll * r.x - s.l * s.xl) * by;
  if (kNegative) {  // m + low <= 0
    const L highest = zero - r.low;
    const L alone = max((s.xl - highest * s.l) / max(s.ll, L::all(1e-37f)), zero);
    d = where_less(highest, m, alone, d);
    m = min(m, highest);
  }
  const L lowered = d * (two * s.xl - d * s.ll) + m * (two * (r.x - d * s.l) - m * r.w);
  gain = where_less(least, det, lowered, zero);
  return {d, m};
}

template <typename Isa, int kTop, bool kWeighted, int kTrials, int kValues>
NIBBLE_LANES_INLINE void line_sums(const Batch<Isa, kValues>& b, int from, int n, const Lanes<Isa>& low,
                                   const Lanes<Isa> (&by)[kTrials], const Lanes<Isa> (&shift)[kTrials],
                                   LineSums<Isa> (&sums)[kTrials]) {
  using L = Lanes<Isa>;
  NIBBLE_LANES_UNROLL
  for (int k = 0; k < kTrials; ++k) sums[k] = {L::all(0.0f), L::all(0.0f), L::all(0.0f)};
  for (int i = from; i < from + n; ++i) {
    const L x = b.value(i) - low;
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < kTrials; ++k) {
      const L l = round(clamp(x * by[k] - shift[k], 0.0f, kTop)), wl = kWeighted ? b.weight(i) * l : l;
      sums[k].l = sums[k].l + wl;
      sums[k].ll = sums[k].ll + wl * l;
      sums[k].xl = sums[k].xl + wl * x;
    }
  }
}

/// The best line found, not rounded; m is relative to r.low.
template <typename Isa, int kTop, bool kNegative, bool kWeighted, int kValues>
NIBBLE_LANES_INLINE Line<Isa> search_line(const Batch<Isa, kValues>& b, int from, int n, const LineRange<Isa>& r) {
  using L = Lanes<Isa>;
  using Cuts = LineCuts<kTop>;
  constexpr int kAtOnce = Isa::kTrials / 2;
  static_assert(Cuts::kCount % kAtOnce == 0);
  const L unit = where_less(L::all(1e-15f), r.range, L::all(1.0f) / r.range, L::all(0.0f));
  Line<Isa> best{r.range * L::all(1.0f / kTop), L::all(0.0f)};
  L most = L::all(0.0f), gain;
  const auto keep = [&](const Line<Isa>& line) {
    best.d = where_less(most, gain, line.d, best.d);
    best.m = where_less(most, gain, line.m, best.m);
    most = max(most, gain);
  };
  for (int trial = 0; trial < Cuts::kCount; trial += kAtOnce) {
    L by[kAtOnce], shift[kAtOnce];
    LineSums<Isa> sums[kAtOnce];
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < kAtOnce; ++k) {
      const float low = Cuts::kUnit * Cuts::kLow[trial + k], high = Cuts::kUnit * Cuts::kHigh[trial + k];
      by[k] = unit * L::all(kTop / (1.0f - low - high));
      shift[k] = L::all(low * kTop / (1.0f - low - high));
    }
    line_sums<Isa, kTop, kWeighted>(b, from, n, r.low, by, shift, sums);
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < kAtOnce; ++k) keep(regress<Isa, kNegative>(r, sums[k], gain));
  }
  for (int round = 0; round < 2; ++round) {
    const L by[1] = {inverse(best.d)}, shift[1] = {best.m * by[0]};
    LineSums<Isa> sums[1];
    line_sums<Isa, kTop, kWeighted>(b, from, n, r.low, by, shift, sums);
    keep(regress<Isa, kNegative>(r, sums[0], gain));
  }
  return best;
}

/// Nearest codes under a scale and a minimum as they are stored: sum w (x - d l - m)^2, and the sums of those codes
/// with x relative to `low`.
template <typename Isa, int kTop, bool kWeighted, int kValues>
NIBBLE_LANES_INLINE LineSums<Isa> measure_line(const Batch<Isa, kValues>& b, int from, int n, const Lanes<Isa>& d,
                                               const Lanes<Isa>& m, const Lanes<Isa>& low, Lanes<Isa>& error) {
  using L = Lanes<Isa>;
  const L by = inverse(d);
  LineSums<Isa> s{L::all(0.0f), L::all(0.0f), L::all(0.0f)};
  error = L::all(0.0f);
  for (int i = from; i < from + n; ++i) {
    const L x = b.value(i), above = x - m, l = round(clamp(above * by, 0.0f, kTop)), rest = above - d * l;
    const L wl = kWeighted ? b.weight(i) * l : l;
    error = error + (kWeighted ? b.weight(i) * rest : rest) * rest;
    s.l = s.l + wl;
    s.ll = s.ll + wl * l;
    s.xl = s.xl + wl * (x - low);
  }
  return s;
}

template <typename Isa, int kTop, int kValues>
NIBBLE_LANES_INLINE void encode_line(Batch<Isa, kValues>& b, int from, int n, const Lanes<Isa>& d,
                                     const Lanes<Isa>& m) {
  const Lanes<Isa> by = inverse(d);
  for (int i = from; i < from + n; ++i) round(clamp((b.value(i) - m) * by, 0.0f, kTop)).store(b.codes + 16 * i);
}

/// f16 scale and minimum: those of the plain encoder, those given, the scale given with the plain minimum (values that
/// were decoded from blocks come back exactly: their minimum is an f16), or what follows from refitting to the codes.
template <typename Isa, int kTop, bool kWeighted, int kValues>
NIBBLE_LANES_INLINE Line<Isa> stored_line(const Batch<Isa, kValues>& b, const LineRange<Isa>& r,
                                          const Line<Isa>& found) {
  using L = Lanes<Isa>;
  Line<Isa> best{as_f16(r.range / L::all(kTop)), as_f16(r.low)};
  L least, error, gain;
  measure_line<Isa, kTop, kWeighted>(b, 0, kValues, best.d, best.m, r.low, least);
  Line<Isa> trial{as_f16(found.d), as_f16(found.m + r.low)};
  for (int round = 0; round < 4; ++round) {
    const Line<Isa> tried{trial.d, round == 0 ? as_f16(r.low) : trial.m};
    const LineSums<Isa> s = measure_line<Isa, kTop, kWeighted>(b, 0, kValues, tried.d, tried.m, r.low, error);
    best.d = where_less(error, least, tried.d, best.d);
    best.m = where_less(error, least, tried.m, best.m);
    least = min(least, error);
    if (round == 0) continue;
    trial.m = as_f16(regress<Isa, false>(r, s, gain).m + r.low);
    const L d = (s.xl - (trial.m - r.low) * s.l) / max(s.ll, L::all(1e-37f));
    trial.d = as_f16(max(d, L::all(0.0f)));
  }
  return best;
}

template <typename Isa, int kTop, bool kWeighted>
void search_scale_and_min(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  constexpr int kBytes = kTop == 31 ? 24 : 20;
  Batch<Isa, 32> b;
  for (int64_t at = 0; at < blocks; at += 16) {
    b.load(x + at * 32, w, row, first + at, blocks - at);
    const LineRange<Isa> range = line_range<Isa, false, kWeighted>(b, 0, 32);
    const Line<Isa> found = search_line<Isa, kTop, false, kWeighted>(b, 0, 32, range);
    const Line<Isa> line = stored_line<Isa, kTop, kWeighted>(b, range, found);
    encode_line<Isa, kTop>(b, 0, 32, line.d, line.m);
    const Output out{bytes + at * kBytes, kBytes, b.count};
    out.put_f16(0, line.d);
    out.put_f16(2, line.m);
    if constexpr (kTop == 31) put_fifth_bits(out, 4, b, 0);
    put_halves(out, kBytes - 16, b, 0, 16);
  }
}

template <typename Isa>
void search_q4_1(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  const auto search = w ? search_scale_and_min<Isa, 15, true> : search_scale_and_min<Isa, 15, false>;
  search(x, w, row, first, blocks, bytes);
}

template <typename Isa>
void search_q5_1(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  const auto search = w ? search_scale_and_min<Isa, 31, true> : search_scale_and_min<Isa, 31, false>;
  search(x, w, row, first, blocks, bytes);
}

}  // namespace nibble::kernels
