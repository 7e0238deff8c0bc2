/// AVX-512: up to 64 channels stay in registers while the rows pass by; masks cut the last ones.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 warns inside its own avx512fintrin.h
#include "kernels/pool_rows/pool_rows.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <limits>

#define NIBBLE_TARGET __attribute__((target("avx512f")))

namespace nibble::kernels {
namespace {

bool available() { return __builtin_cpu_supports("avx512f"); }

/// 16 * kVectors channels from `at` on, the last vector under the mask `last`. vmaxps gives its second operand where
/// one is NaN, as the plain comparison does.
template <bool kMax, int kVectors>
NIBBLE_TARGET inline void combine(const float* const* rows, int64_t count, int64_t at, __mmask16 last, float divisor,
                                  float* y) {
  __m512 sums[kVectors];
  for (int v = 0; v < kVectors; ++v) sums[v] = _mm512_set1_ps(kMax ? -std::numeric_limits<float>::infinity() : 0.0f);
  for (int64_t r = 0; r < count; ++r)
    for (int v = 0; v < kVectors; ++v) {
      const float* from = rows[r] + at + 16 * v;
      const __m512 x = v + 1 == kVectors ? _mm512_maskz_loadu_ps(last, from) : _mm512_loadu_ps(from);
      sums[v] = kMax ? _mm512_max_ps(x, sums[v]) : _mm512_add_ps(sums[v], x);
    }
  for (int v = 0; v < kVectors; ++v) {
    if (!kMax) sums[v] = _mm512_div_ps(sums[v], _mm512_set1_ps(divisor));
    if (v + 1 == kVectors)
      _mm512_mask_storeu_ps(y + at + 16 * v, last, sums[v]);
    else
      _mm512_storeu_ps(y + at + 16 * v, sums[v]);
  }
}

template <bool kMax>
NIBBLE_TARGET void combine_rows(const float* const* rows, int64_t count, int64_t channels, float divisor, float* y) {
  constexpr __mmask16 kAll = 0xffff;
  int64_t at = 0;
  for (; at + 64 <= channels; at += 64) combine<kMax, 4>(rows, count, at, kAll, divisor, y);
  const int64_t left = channels - at;
  if (left == 0) return;
  const auto last = static_cast<__mmask16>(kAll >> (15 - (left - 1) % 16));
  if (left > 48) return combine<kMax, 4>(rows, count, at, last, divisor, y);
  if (left > 32) return combine<kMax, 3>(rows, count, at, last, divisor, y);
  if (left > 16) return combine<kMax, 2>(rows, count, at, last, divisor, y);
  combine<kMax, 1>(rows, count, at, last, divisor, y);
}

void max(const float* const* rows, int64_t count, int64_t channels, float* y) {
  combine_rows<true>(rows, count, channels, 1.0f, y);
}
void mean(const float* const* rows, int64_t count, int64_t channels, float divisor, float* y) {
  combine_rows<false>(rows, count, channels, divisor, y);
}

NIBBLE_TARGET void mean_in_double(const float* x, int64_t count, int64_t stride, int64_t channels, float* y) {
  const __m512d divisor = _mm512_set1_pd(static_cast<double>(count));
  for (int64_t at = 0; at < channels; at += 32) {
    __m512d sums[4] = {};
    __mmask16 masks[2];
    for (int64_t v = 0; v < 2; ++v) {
      const int64_t some = std::clamp<int64_t>(channels - at - 16 * v, 0, 16);
      masks[v] = static_cast<__mmask16>((1u << some) - 1);
    }
    for (int64_t r = 0; r < count; ++r)
      for (int v = 0; v < 2; ++v) {
        const __m512 row = _mm512_maskz_loadu_ps(masks[v], x + r * stride + at + 16 * v);
        const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(row), 1));
        sums[2 * v] = _mm512_add_pd(sums[2 * v], _mm512_cvtps_pd(_mm512_castps512_ps256(row)));
        sums[2 * v + 1] = _mm512_add_pd(sums[2 * v + 1], _mm512_cvtps_pd(high));
      }
    for (int v = 0; v < 2; ++v) {
      const __m256 low = _mm512_cvtpd_ps(_mm512_div_pd(sums[2 * v], divisor));
      const __m256 high = _mm512_cvtpd_ps(_mm512_div_pd(sums[2 * v + 1], divisor));
      const __m512d both = _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_castps_pd(low)), _mm256_castps_pd(high), 1);
      _mm512_mask_storeu_ps(y + at + 16 * v, masks[v], _mm512_castpd_ps(both));
    }
  }
}

}  // namespace

const PoolRows& pool_rows_avx512() {
  static constexpr PoolRows kKernel{"avx512", available, max, mean, mean_in_double};
  return kKernel;
}

}  // namespace nibble::kernels

#endif
