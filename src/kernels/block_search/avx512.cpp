/// AVX-512: a register is 16 lanes; IQ4 levels come from tables in registers.
#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 warns inside its own avx512fintrin.h
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <cstdint>
#include <cstring>

// Everything below, templates and lambdas too, is compiled for this instruction set; no inline function of another
// header is, so that none can end up in code for other machines.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif

#include "kernels/block_search/searches.h"

namespace nibble::kernels {
namespace {

/// `v` in [8 k - 132, 8 k - 124) has index k. No end of such an interval is a middle of two levels, so it does not
/// matter which way an end is rounded, and each has at most one middle: `middle[k]`, below which the level is
/// `below[k]`, else `above[k]`.
struct Iq4Tables {
  alignas(64) float middle[32], below[32], above[32];
};

constexpr Iq4Tables make_tables() {
  Iq4Tables t{};
  const float levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  for (int k = 0; k < 32; ++k) {
    const float from = 8.0f * static_cast<float>(k - 16) - 4.0f, to = from + 8.0f;
    int at = 0;  // the level at `from`
    while (at < 15 && from >= (levels[at] + levels[at + 1]) / 2) ++at;
    t.below[k] = t.above[k] = levels[at];
    t.middle[k] = to;
    if (at < 15 && (levels[at] + levels[at + 1]) / 2 < to) {
      t.middle[k] = (levels[at] + levels[at + 1]) / 2;
      t.above[k] = levels[at + 1];
    }
  }
  t.middle[31] = 1e38f;  // whatever lies above
  return t;
}
constexpr Iq4Tables kIq4 = make_tables();

struct Avx512 {
  using Reg = __m512;
  using Ints [[gnu::vector_size(64)]] = int32_t;
  static constexpr int kWidth = 16, kTrials = 4;
  NIBBLE_LANES_INLINE static Reg min(Reg a, Reg b) { return _mm512_min_ps(a, b); }
  NIBBLE_LANES_INLINE static Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  NIBBLE_LANES_INLINE static Reg round(Reg v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  NIBBLE_LANES_INLINE static Reg where_less(Reg a, Reg b, Reg x, Reg y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
  }
  NIBBLE_LANES_INLINE static Reg iq4_level(Reg v) {
    const Reg bounded = _mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(-128.0f)), _mm512_set1_ps(123.0f));
    const __m512i at = _mm512_cvttps_epi32(_mm512_fmadd_ps(bounded, _mm512_set1_ps(0.125f), _mm512_set1_ps(16.5f)));
    const auto look_up = [at](const float* table) {
      return _mm512_permutex2var_ps(_mm512_load_ps(table), at, _mm512_load_ps(table + 16));
    };
    return where_less(v, look_up(kIq4.middle), look_up(kIq4.below), look_up(kIq4.above));
  }
  template <int kValues>
  NIBBLE_LANES_INLINE static void transpose(const float* const* source, float* out) {
    for (int i = 0; i < kValues; i += 16) {
      __m512 r[16], t[16];
      for (int k = 0; k < 16; ++k) r[k] = _mm512_loadu_ps(source[k] + i);
      for (int k = 0; k < 16; k += 2) {
        t[k] = _mm512_unpacklo_ps(r[k], r[k + 1]);
        t[k + 1] = _mm512_unpackhi_ps(r[k], r[k + 1]);
      }
      for (int k = 0; k < 16; k += 4)
        for (int j = 0; j < 2; ++j) {
          const __m512d a = _mm512_castps_pd(t[k + j]), c = _mm512_castps_pd(t[k + j + 2]);
          r[k + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
          r[k + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        }
      // r[4 q + j] holds, in its quarter p, values 4 p + j of blocks 4 q..4 q + 3.
      for (int j = 0; j < 4; ++j) {
        const __m512 a = _mm512_shuffle_f32x4(r[j], r[4 + j], 0x88),
                     b = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0x88);
        const __m512 c = _mm512_shuffle_f32x4(r[j], r[4 + j], 0xdd),
                     d = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0xdd);
        _mm512_store_ps(out + 16 * (i + j), _mm512_shuffle_f32x4(a, b, 0x88));
        _mm512_store_ps(out + 16 * (i + 4 + j), _mm512_shuffle_f32x4(c, d, 0x88));
        _mm512_store_ps(out + 16 * (i + 8 + j), _mm512_shuffle_f32x4(a, b, 0xdd));
        _mm512_store_ps(out + 16 * (i + 12 + j), _mm512_shuffle_f32x4(c, d, 0xdd));
      }
    }
  }
};

bool available() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

}  // namespace

const BlockSearch& block_search_avx512() {
  static constexpr BlockSearch kSearch = make_block_search<Avx512>("avx512", available);
  return kSearch;
}

}  // namespace nibble::kernels

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
