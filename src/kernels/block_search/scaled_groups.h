#pragma once
#include "kernels/block_search/one_scale.h"

/// Q6_K and IQ4_XS: groups whose scales are signed multiples of one f16 of the block, value = (d s) level. The groups'
/// own optima first (one_scale.h); then d such that their multiples are near, or leave least; then the multiples by
/// trial with the codes chosen anew; then d by regression over all 256 values, and the multiples once more.
namespace nibble::kernels {

template <typename Isa, int kGroups>
struct ScaledBlock {
  using L = Lanes<Isa>;
  L d;               ///< f16, of the block
  L scale[kGroups];  ///< multiples
  Fit<Isa> fit[kGroups];

  NIBBLE_LANES_INLINE L total() const {
    L sum = fit[0].error;
    for (int g = 1; g < kGroups; ++g) sum = sum + fit[g].error;
    return sum;
  }
};

template <typename Isa>
struct Q6K {
  using Grid = EvenGrid<Isa, 32>;
  using Ends = EvenEnds<32>;
  static constexpr int kGroups = 16;
  static constexpr float kLowest = -128.0f, kHighest = 127.0f;
  static constexpr float kUnits[8] = {-128.0f, -127.0f, -126.0f, -124.0f, 127.0f, -121.0f, -117.0f, -112.0f};
  static constexpr int kStarts = 1;  ///< of these units are tried out, those whose multiples are nearest
};

template <typename Isa>
struct Iq4Xs {
  using Grid = Iq4Grid<Isa>;
  using Ends = Iq4Grid<Isa>;
  static constexpr int kGroups = 8;
  static constexpr float kLowest = -32.0f, kHighest = 31.0f;
  static constexpr float kUnits[8] = {-32.0f, -30.5f, -29.0f, -27.5f, -26.0f, -24.5f, -23.0f, 31.0f};
  static constexpr int kStarts = 8;
};

/// Tries the multiples beside those of `k` with codes chosen anew, and keeps the best.
template <typename Isa, typename Format, bool kWeighted>
void try_multiples(const Batch<Isa, 256>& b, ScaledBlock<Isa, Format::kGroups>& k) {
  using L = Lanes<Isa>;
  constexpr int kValues = 256 / Format::kGroups;
  for (int g = 0; g < Format::kGroups; ++g) {
    const L centre = k.scale[g];
    for (int step = 0; step < 3; ++step) {
      const L beside = centre + L::all(static_cast<float>(step == 0 ? 0 : 2 * step - 3));
      const L scale = clamp(beside, Format::kLowest, Format::kHighest);
      const Fit<Isa> f = measure<Isa, typename Format::Grid, kWeighted>(b, g * kValues, kValues, k.d * scale);
      if (step == 0) {
        k.fit[g] = f;
        continue;
      }
      const L before = k.fit[g].error;
      k.scale[g] = where_less(f.error, before, scale, k.scale[g]);
      k.fit[g].xl = where_less(f.error, before, f.xl, k.fit[g].xl);
      k.fit[g].ll = where_less(f.error, before, f.ll, k.fit[g].ll);
      k.fit[g].error = where_less(f.error, before, f.error, before);
    }
  }
}

template <typename Isa, int kGroups>
NIBBLE_LANES_INLINE void keep_better(ScaledBlock<Isa, kGroups>& best, const ScaledBlock<Isa, kGroups>& k) {
  using L = Lanes<Isa>;
  const L now = k.total(), before = best.total();
  const auto take = [&](L& a, const L& other) { a = where_less(now, before, other, a); };
  take(best.d, k.d);
  for (int g = 0; g < kGroups; ++g) {
    take(best.scale[g], k.scale[g]);
    take(best.fit[g].error, k.fit[g].error);
    take(best.fit[g].xl, k.fit[g].xl);
    take(best.fit[g].ll, k.fit[g].ll);
  }
}

/// What the plain encoder chooses: each group's extreme value on the lowest level, the largest such scale on the lowest
/// multiple.
template <typename Isa, typename Format, bool kWeighted>
void plain_multiples(const Batch<Isa, 256>& b, ScaledBlock<Isa, Format::kGroups>& k) {
  using L = Lanes<Isa>;
  constexpr int kValues = 256 / Format::kGroups;
  L scale[Format::kGroups], most = L::all(0.0f), largest = most;
  for (int g = 0; g < Format::kGroups; ++g) {
    scale[g] = extreme(b, g * kValues, kValues) / L::all(Format::Grid::kLowest);
    largest = where_less(most, abs(scale[g]), scale[g], largest);
    most = max(most, abs(scale[g]));
  }
  k.d = as_f16(largest / L::all(Format::kLowest));
  const L by = inverse(k.d);
  for (int g = 0; g < Format::kGroups; ++g) {
    k.scale[g] = clamp(round(scale[g] * by), Format::kLowest, Format::kHighest);
    k.fit[g] = measure<Isa, typename Format::Grid, kWeighted>(b, g * kValues, kValues, k.d * k.scale[g]);
  }
}

template <typename Isa, typename Format, bool kWeighted>
void search_scaled_batch(const Batch<Isa, 256>& b, ScaledBlock<Isa, Format::kGroups>& best) {
  using L = Lanes<Isa>;
  constexpr int kGroups = Format::kGroups, kValues = 256 / kGroups;
  L own[kGroups], bend[kGroups], most = L::all(0.0f), largest = most;
  plain_multiples<Isa, Format, kWeighted>(b, best);
  for (int g = 0; g < kGroups; ++g) {
    const L peak = extreme(b, g * kValues, kValues);
    own[g] = search_scale<Isa, typename Format::Grid, typename Format::Ends, kWeighted>(b, g * kValues, kValues, peak);
    bend[g] = measure<Isa, typename Format::Grid, kWeighted>(b, g * kValues, kValues, own[g]).ll;
    largest = where_less(abs(most), abs(own[g]), own[g], largest);
    most = max(most, abs(own[g]));
  }
  ScaledBlock<Isa, kGroups> k;
  const auto multiples = [&](const L& d, L& error) {
    const L by = inverse(d);
    error = L::all(0.0f);
    for (int g = 0; g < kGroups; ++g) {
      k.scale[g] = clamp(round(own[g] * by), Format::kLowest, Format::kHighest);
      const L rest = own[g] - d * k.scale[g];
      error = error + bend[g] * rest * rest;
    }
    k.d = d;
  };
  L error;
  if constexpr (Format::kStarts == 1) {
    L least = L::all(3e38f), d = L::all(0.0f);
    for (const float unit : Format::kUnits) {
      const L trial = as_f16(largest * L::all(1.0f / unit));
      multiples(trial, error);
      d = where_less(error, least, trial, d);
      least = min(least, error);
    }
    multiples(d, error);
    try_multiples<Isa, Format, kWeighted>(b, k);
    keep_better(best, k);
  } else {
    for (int start = 0; start < Format::kStarts; ++start) {
      multiples(as_f16(largest * L::all(1.0f / Format::kUnits[start])), error);
      try_multiples<Isa, Format, kWeighted>(b, k);
      keep_better(best, k);
    }
  }
  k = best;
  for (int round_of = 0; round_of < 2; ++round_of) {
    L xl = L::all(0.0f), ll = xl;
    for (int g = 0; g < kGroups; ++g) {
      xl = xl + k.scale[g] * k.fit[g].xl;
      ll = ll + k.scale[g] * k.scale[g] * k.fit[g].ll;
    }
    k.d = as_f16(best_scale(Fit<Isa>{ll, xl, ll}));
    try_multiples<Isa, Format, kWeighted>(b, k);
    keep_better(best, k);
  }
}

template <typename Isa, bool kWeighted>
void search_q6_k_blocks(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  using L = Lanes<Isa>;
  using Format = Q6K<Isa>;
  Batch<Isa, 256> b;
  for (int64_t at = 0; at < blocks; at += 16) {
    b.load(x + at * 256, w, row, first + at, blocks - at);
    ScaledBlock<Isa, 16> k;
    search_scaled_batch<Isa, Format, kWeighted>(b, k);
    for (int g = 0; g < 16; ++g) encode<Isa, typename Format::Grid>(b, 16 * g, 16, k.d * k.scale[g]);
    const Output out{bytes + at * 210, 210, b.count};
    L upper[4];
    for (int half = 0; half < 2; ++half)
      for (int l = 0; l < 32; l += 4) {
        for (int j = 0; j < 4; ++j) {  // byte l + j of the half: the upper bits of its four quarters
          upper[j] = L::all(0.0f);
          for (int quarter = 3; quarter >= 0; --quarter) {
            const int from = 128 * half + 32 * quarter + l + j;
            const L code = b.code(from), one = L::all(1.0f), zero = L::all(0.0f);
            const L bits = where_less(L::all(15.5f), code, one, zero) + where_less(L::all(31.5f), code, one, zero) +
                           where_less(L::all(47.5f), code, one, zero);
            (code - L::all(16.0f) * bits).store(b.codes + 16 * from);
            upper[j] = L::all(4.0f) * upper[j] + bits;
          }
        }
        out.put(128 + 32 * half + l, upper[0], upper[1], upper[2], upper[3]);
      }
    for (int half = 0; half < 2; ++half) put_halves(out, 64 * half, b, 128 * half, 64);
    const auto scale_byte = [&](int g) {
      return where_less(k.scale[g], L::all(0.0f), k.scale[g] + L::all(256.0f), k.scale[g]);
    };
    for (int g = 0; g < 16; g += 4)
      out.put(192 + g, scale_byte(g), scale_byte(g + 1), scale_byte(g + 2), scale_byte(g + 3));
    out.put_f16(208, k.d);
  }
}

template <typename Isa, bool kWeighted>
void search_iq4_xs_blocks(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  using L = Lanes<Isa>;
  using Format = Iq4Xs<Isa>;
  Batch<Isa, 256> b;
  for (int64_t at = 0; at < blocks; at += 16) {
    b.load(x + at * 256, w, row, first + at, blocks - at);
    ScaledBlock<Isa, 8> k;
    search_scaled_batch<Isa, Format, kWeighted>(b, k);
    const Output out{bytes + at * 136, 136, b.count};
    L low[8], upper[2] = {L::all(0.0f), L::all(0.0f)};
    for (int g = 7; g >= 0; --g) {
      encode<Isa, typename Format::Grid>(b, 32 * g, 32, k.d * k.scale[g]);
      const L stored = k.scale[g] + L::all(32.0f), one = L::all(1.0f), zero = L::all(0.0f);
      const L bits = where_less(L::all(15.5f), stored, one, zero) + where_less(L::all(31.5f), stored, one, zero) +
                     where_less(L::all(47.5f), stored, one, zero);
      low[g] = stored - L::all(16.0f) * bits;
      upper[g / 4] = L::all(4.0f) * upper[g / 4] + bits;
      put_halves(out, 8 + 16 * g, b, 32 * g, 16);
    }
    const auto pair = [&](int g) { return low[g] + L::all(16.0f) * low[g + 1]; };
    out.put(4, pair(0), pair(2), pair(4), pair(6));
    out.put(0, L::all(0.0f), L::all(0.0f), upper[0], upper[1]);
    out.put_f16(0, k.d);
  }
}

template <typename Isa>
void search_q6_k(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  (w ? search_q6_k_blocks<Isa, true> : search_q6_k_blocks<Isa, false>)(x, w, row, first, blocks, bytes);
}

template <typename Isa>
void search_iq4_xs(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks, uint8_t* bytes) {
  (w ? search_iq4_xs_blocks<Isa, true> : search_iq4_xs_blocks<Isa, false>)(x, w, row, first, blocks, bytes);
}

}  // namespace nibble::kernels
