/// AVX2: 32 channels stay in registers while the rows pass by, then 8; what is left is plain.
#include "kernels/pool_rows/pool_rows.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <limits>

#define NIBBLE_TARGET __attribute__((target("avx2")))

namespace nibble::kernels {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

bool available() { return __builtin_cpu_supports("avx2"); }

/// 8 * kVectors channels from `at` on. vmaxps gives its second operand where one is NaN, as the plain comparison does.
template <bool kMax, int kVectors>
NIBBLE_TARGET inline void combine(const float* const* rows, int64_t count, int64_t at, float divisor, float* y) {
  __m256 sums[kVectors];
  for (int v = 0; v < kVectors; ++v) sums[v] = _mm256_set1_ps(kMax ? kLowest : 0.0f);
  for (int64_t r = 0; r < count; ++r)
    for (int v = 0; v < kVectors; ++v) {
      const __m256 x = _mm256_loadu_ps(rows[r] + at + 8 * v);
      sums[v] = kMax ? _mm256_max_ps(x, sums[v]) : _mm256_add_ps(sums[v], x);
    }
  for (int v = 0; v < kVectors; ++v)
    _mm256_storeu_ps(y + at + 8 * v, kMax ? sums[v] : _mm256_div_ps(sums[v], _mm256_set1_ps(divisor)));
}

template <bool kMax>
NIBBLE_TARGET void combine_rows(const float* const* rows, int64_t count, int64_t channels, float divisor, float* y) {
  int64_t at = 0;
  for (; at + 32 <= channels; at += 32) combine<kMax, 4>(rows, count, at, divisor, y);
  for (; at + 8 <= channels; at += 8) combine<kMax, 1>(rows, count, at, divisor, y);
  for (; at < channels; ++at) {
    float sum = kMax ? kLowest : 0.0f;
    for (int64_t r = 0; r < count; ++r)
      if (kMax)
        sum = rows[r][at] > sum ? rows[r][at] : sum;
      else
        sum += rows[r][at];
    y[at] = kMax ? sum : sum / divisor;
  }
}

void max(const float* const* rows, int64_t count, int64_t channels, float* y) {
  combine_rows<true>(rows, count, channels, 1.0f, y);
}
void mean(const float* const* rows, int64_t count, int64_t channels, float divisor, float* y) {
  combine_rows<false>(rows, count, channels, divisor, y);
}

NIBBLE_TARGET void mean_in_double(const float* x, int64_t count, int64_t stride, int64_t channels, float* y) {
  const auto divisor = static_cast<double>(count);
  int64_t at = 0;
  for (; at + 16 <= channels; at += 16) {
    __m256d sums[4] = {};
    for (int64_t r = 0; r < count; ++r)
      for (int v = 0; v < 4; ++v)
        sums[v] = _mm256_add_pd(sums[v], _mm256_cvtps_pd(_mm_loadu_ps(x + r * stride + at + 4 * v)));
    for (int v = 0; v < 4; ++v)
      _mm_storeu_ps(y + at + 4 * v, _mm256_cvtpd_ps(_mm256_div_pd(sums[v], _mm256_set1_pd(divisor))));
  }
  for (; at < channels; ++at) {
    double sum = 0;
    for (int64_t r = 0; r < count; ++r) sum += static_cast<double>(x[r * stride + at]);
    y[at] = static_cast<float>(sum / divisor);
  }
}

}  // namespace

const PoolRows& pool_rows_avx2() {
  static constexpr PoolRows kKernel{"avx2", available, max, mean, mean_in_double};
  return kKernel;
}

}  // namespace nibble::kernels

#endif
