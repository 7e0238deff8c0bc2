#pragma once
#include "kernels/block_search/scale_and_min.h"

/// Q4_K and Q5_K: eight groups of 32 whose scales and minima are 6-bit multiples of two f16 of the block,
/// value = (D S) code - (M N). The groups' own optima first (scale_and_min.h); then D such that their multiples are
/// near, weighed by the curvature of each group's error; then the multiples by trial with the codes chosen anew; then D
/// and M by regression over all 256 values, and the multiples once more.
namespace nibble::kernels {

template <typename Isa>
struct KBlock {
  using L = Lanes<Isa>;
  L d, m;                 ///< f16, of the block
  L scale[8], min[8];     ///< multiples 0..63
  LineSums<Isa> sums[8];  ///< of the codes under them, x relative to 0
  L error[8];

  NIBBLE_LANES_INLINE L total() const {
    return ((error[0] + error[1]) + (error[2] + error[3])) + ((error[4] + error[5]) + (error[6] + error[7]));
  }
};

/// Of a group, what does not depend on codes.
template <typename Isa>
struct KGroup {
  Lanes<Isa> w, x;     ///< sum w, sum w x
  Lanes<Isa> d, m;     ///< its own optimum: x ~ d code - m, m >= 0
  Lanes<Isa> l, bend;  ///< of that optimum's codes: Sl / Sw, and Sll - Sl^2 / Sw
};

/// Multiples that the largest scale (or minimum) may become.
inline constexpr float kKUnits[8] = {63.0f, 62.0f, 61.0f, 59.5f, 58.0f, 56.0f, 53.5f, 50.0f};

/// The f16 unit whose multiples are nearest to `value`, weighed by `weight`.
template <typename Isa>
NIBBLE_LANES_INLINE Lanes<Isa> k_unit(const Lanes<Isa> (&value)[8], const Lanes<Isa> (&weight)[8]) {
  using L = Lanes<Isa>;
  L most = value[0];
  for (int g = 1; g < 8; ++g) most = max(most, value[g]);
  L unit = L::all(0.0f), least = L::all(3e38f);
  for (const float end : kKUnits) {
    const L trial = as_f16(most * L::all(1.0f / end)), by = inverse(trial);
    L error = L::all(0.0f);
    for (int g = 0; g < 8; ++g) {
      const L rest = value[g] - trial * round(clamp(value[g] * by, 0.0f, 63.0f));
      error = error + weight[g] * rest * rest;
    }
    unit = where_less(error, least, trial, unit);
    least = min(least, error);
  }
  return unit;
}

/// Tries multiples for group `g` under the units of `k` and keeps the best: those with the group's scale at `scale` and
/// its two neighbours, each with the minimum that suits it.
template <typename Isa, int kTop, bool kWeighted>
void k_try_group(const Batch<Isa, 256>& b, int g, const KGroup<Isa>& own, const Lanes<Isa>& by_m, KBlock<Isa>& k) {
  using L = Lanes<Isa>;
  const L centre = k.scale[g], zero = L::all(0.0f);
  k.error[g] = L::all(3e38f);
  for (int step = 0; step < 3; ++step) {
    const L scale = clamp(centre + L::all(static_cast<float>(step == 0 ? 0 : 2 * step - 3)), 0.0f, 63.0f);
    const L d = k.d * scale, suited = own.m + own.l * (d - own.d);
    const L min = round(clamp(suited * by_m, 0.0f, 63.0f));
    L error;
    const LineSums<Isa> s = measure_line<Isa, kTop, kWeighted>(b, 32 * g, 32, d, zero - k.m * min, zero, error);
    const L before = k.error[g];
    k.scale[g] = where_less(error, before, scale, k.scale[g]);
    k.min[g] = where_less(error, before, min, k.min[g]);
    k.sums[g].l = where_less(error, before, s.l, k.sums[g].l);
    k.sums[g].ll = where_less(error, before, s.ll, k.sums[g].ll);
    k.sums[g].xl = where_less(error, before, s.xl, k.sums[g].xl);
    k.error[g] = where_less(error, before, error, before);
  }
}

/// D and M by regression on the codes and multiples of `k`, rounded to f16; not negative.
template <typename Isa>
NIBBLE_LANES_INLINE void k_regress(const KGroup<Isa> (&own)[8], const KBlock<Isa>& k, Lanes<Isa>& d, Lanes<Isa>& m) {
  using L = Lanes<Isa>;
  const L zero = L::all(0.0f), tiny = L::all(1e-37f);
  L dd = zero, dm = zero, mm = zero, dx = zero, mx = zero;
  for (int g = 0; g < 8; ++g) {
    dd = dd + k.scale[g] * k.scale[g] * k.sums[g].ll;
    dm = dm + k.scale[g] * k.min[g] * k.sums[g].l;
    mm = mm + k.min[g] * k.min[g] * own[g].w;
    dx = dx + k.scale[g] * k.sums[g].xl;
    mx = mx + k.min[g] * own[g].x;
  }
  const L det = dd * mm - dm * dm;
  const L with_m = (dx * mm - dm * mx) / max(det, tiny), its_m = (dm * dx - dd * mx) / max(det, tiny);
  const L usable = L::all(1e-5f) * dd * mm;
  const L alone = (dx + k.m * dm) / max(dd, tiny);  // M as it is
  d = as_f16(max(where_less(usable, det, with_m, alone), zero));
  m = as_f16(max(where_less(usable, det, its_m, k.m), zero));
}

template <typename Isa>
NIBBLE_LANES_INLINE void k_keep_better(KBlock<Isa>& best, const KBlock<Isa>& k) {
  using L = Lanes<Isa>;
  const L now = k.total(), before = best.total();
  const auto take = [&](L& a, const L& other) { a = where_less(now, before, other, a); };
  take(best.d, k.d);
  take(best.m, k.m);
  for (int g = 0; g < 8; ++g) {
    take(best.scale[g], k.scale[g]);
    take(best.min[g], k.min[g]);
    take(best.error[g], k.error[g]);
  }
}

/// The nearest multiples of given scales and minima, the largest of which become 63.
template <typename Isa, int kTop, bool kWeighted>
void k_nearest(const Batch<Isa, 256>& b, const Lanes<Isa> (&scale)[8], const Lanes<Isa> (&min)[8], KBlock<Isa>& k) {
  using L = Lanes<Isa>;
  const L zero = L::all(0.0f);
  L most_scale = zero, most_min = zero;
  for (int g = 0; g < 8; ++g) {
    most_scale = max(most_scale, scale[g]);
    most_min = max(most_min, min[g]);
  }
  k.d = as_f16(most_scale / L::all(63.0f));
  k.m = as_f16(most_min / L::all(63.0f));
  const L by_d = inverse(k.d), by_m = inverse(k.m);
  for (int g = 0; g < 8; ++g) {
    k.scale[g] = round(clamp(scale[g] * by_d, 0.0f, 63.0f));
    k.min[g] = round(clamp(min[g] * by_m, 0.0f, 63.0f));
    measure_line<Isa, kTop, kWeighted>(b, 32 * g, 32, k.d * k.scale[g], zero - k.m * k.min[g], zero, k.error[g]);
  }
}

template <typename Isa, int kTop, bool kWeighted>
void search_k_batch(Batch<Isa, 256>& b, KBlock<Isa>& best) {
  using L = Lanes<Isa>;
  const L zero = L::all(0.0f);
  KGroup<Isa> own[8];
  L span[8], found[8], low[8];
  for (int g = 0; g < 8; ++g) {
    const LineRange<Isa> r = line_range<Isa, true, kWeighted>(b, 32 * g, 32);
    const Line<Isa> line = search_line<Isa, kTop, true, kWeighted>(b, 32 * g, 32, r);
    L error;
    const LineSums<Isa> s = measure_line<Isa, kTop, kWeighted>(b, 32 * g, 32, line.d, line.m + r.low, zero, error);
    span[g] = r.range / L::all(kTop);
    found[g] = line.d;
    low[g] = zero - r.low;
    own[g] = {r.w, r.x + r.low * r.w, line.d, max(zero - (line.m + r.low), zero), s.l / r.w, s.ll - s.l * s.l / r.w};
  }
  // What the plain encoder chooses; and the scales found with the plain minima, by which values that were decoded from
  // such blocks come back exactly.
  KBlock<Isa> k;
  k_nearest<Isa, kTop, kWeighted>(b, span, low, best);
  k_nearest<Isa, kTop, kWeighted>(b, found, low, k);
  k_keep_better(best, k);
  L value[8], weight[8];
  for (int g = 0; g < 8; ++g) {
    value[g] = own[g].d;
    weight[g] = own[g].bend;
  }
  k.d = k_unit<Isa>(value, weight);
  const L by_d = inverse(k.d);
  for (int g = 0; g < 8; ++g) {
    k.scale[g] = round(clamp(own[g].d * by_d, 0.0f, 63.0f));
    value[g] = max(own[g].m + own[g].l * (k.d * k.scale[g] - own[g].d), zero);
    weight[g] = own[g].w;
  }
  k.m = k_unit<Isa>(value, weight);
  for (int round_of = 0; round_of < 3; ++round_of) {
    const L by_m = inverse(k.m);
    for (int g = 0; g < 8; ++g) k_try_group<Isa, kTop, kWeighted>(b, g, own[g], by_m, k);
    k_keep_better(best, k);
    L d, m;
    k_regress(own, k, d, m);
    k.d = d;
    k.m = m;
  }
}

/// The 6-bit multiples as codec/blocks/k_scales.h packs them.
template <typename Isa>
NIBBLE_LANES_INLINE void put_k_scales(const Output& out, const KBlock<Isa>& k) {
  using L = Lanes<Isa>;
  L byte[12];
  const auto top = [](const L& v) {  // the two bits above four: 0..3
    const L one = L::all(1.0f), zero = L::all(0.0f);
    return where_less(L::all(15.5f), v, one, zero) + where_less(L::all(31.5f), v, one, zero) +
           where_less(L::all(47.5f), v, one, zero);
  };
  for (int g = 0; g < 4; ++g) {
    const L scale_top = top(k.scale[g + 4]), min_top = top(k.min[g + 4]);
    byte[g] = k.scale[g] + L::all(64.0f) * scale_top;
    byte[g + 4] = k.min[g] + L::all(64.0f) * min_top;
    byte[g + 8] =
        (k.scale[g + 4] - L::all(16.0f) * scale_top) + L::all(16.0f) * (k.min[g + 4] - L::all(16.0f) * min_top);
  }
  for (int j = 0; j < 12; j += 4) out.put(4 + j, byte[j], byte[j + 1], byte[j + 2], byte[j + 3]);
}

template <typename Isa, int kTop, bool kWeighted>
void search_k(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  using L = Lanes<Isa>;
  constexpr int kBytes = kTop == 31 ? 176 : 144;
  Batch<Isa, 256> b;
  for (int64_t at = 0; at < blocks; at += 16) {
    b.load(x + at * 256, w, row, first + at, blocks - at);
    KBlock<Isa> k;
    search_k_batch<Isa, kTop, kWeighted>(b, k);
    for (int g = 0; g < 8; ++g) encode_line<Isa, kTop>(b, 32 * g, 32, k.d * k.scale[g], L::all(0.0f) - k.m * k.min[g]);
    const Output out{bytes + at * kBytes, kBytes, b.count};
    out.put_f16(0, k.d);
    out.put_f16(2, k.m);
    put_k_scales(out, k);
    if constexpr (kTop == 31) {
      for (int i = 0; i < 32; i += 4) {
        L byte[4];
        for (int j = 0; j < 4; ++j) {
          byte[j] = L::all(0.0f);
          for (int g = 7; g >= 0; --g) {
            const int from = 32 * g + i + j;
            const L bit = where_less(L::all(15.5f), b.code(from), L::all(1.0f), L::all(0.0f));
            (b.code(from) - L::all(16.0f) * bit).store(b.codes + 16 * from);
            byte[j] = byte[j] + byte[j] + bit;
          }
        }
        out.put(16 + i, byte[0], byte[1], byte[2], byte[3]);
      }
    }
    for (int pair = 0; pair < 4; ++pair) put_halves(out, kBytes - 128 + 32 * pair, b, 64 * pair, 32);
  }
}

template <typename Isa>
void search_q4_k(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  (w ? search_k<Isa, 15, true> : search_k<Isa, 15, false>)(x, w, row, first, blocks, bytes);
}

template <typename Isa>
void search_q5_k(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  (w ? search_k<Isa, 31, true> : search_k<Isa, 31, false>)(x, w, row, first, blocks, bytes);
}

}  // namespace nibble::kernels
