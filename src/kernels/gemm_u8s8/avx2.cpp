/// AVX2. Two ways, chosen when B is packed:
///
/// narrow, every |b| <= 64 (all 4-bit codes): `vpmaddubsw` adds pairs of products u8 * s8 in int16, at most
///   2 * 255 * 64 = 32640 in magnitude, so nothing saturates; `vpmaddwd` by ones adds the pairs to int32.
/// wide, otherwise: both sides are widened to int16 and `vpmaddwd` adds pairs of products in int32 directly, half as
/// many
///   outputs a step. Saturation cannot occur.
#include "kernels/gemm_u8s8/gemm_u8s8.h"
#include "kernels/gemm_u8s8/layout.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define NIBBLE_TARGET __attribute__((target("avx2")))

namespace nibble::kernels {
namespace {

constexpr int64_t kOutputs = 8;
constexpr int64_t kHeader = 64;  // bytes before the strips; the first says whether B is wide

bool available() { return __builtin_cpu_supports("avx2"); }

int64_t packed_bytes(int64_t n, int64_t k) { return kHeader + round_up(round_up(n, kOutputs) * round_up(k, 4), 64); }

void pack(const int8_t* b, int64_t n, int64_t k, int8_t* packed) {
  bool wide = false;
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < k; ++i) wide = wide || b[j * k + i] > 64 || b[j * k + i] < -64;
  std::memset(packed, 0, kHeader);
  packed[0] = wide ? 1 : 0;
  pack_strips(b, n, k, kOutputs, packed + kHeader);
}

NIBBLE_TARGET void store(int32_t* to, int64_t left, __m256i values) {
  if (left >= kOutputs) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), values);
    return;
  }
  alignas(32) int32_t lanes[kOutputs];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), values);
  for (int64_t i = 0; i < left; ++i) to[i] = lanes[i];
}

template <int kRows, int kStrips>
NIBBLE_TARGET void narrow_tile(const uint8_t* a, int64_t lda, const int8_t* b, int64_t n, int64_t k, int32_t* c,
                               int64_t ldc) {
  const int64_t quads = round_up(k, 4) / 4, whole = k / 4, strip_bytes = quads * 4 * kOutputs;
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sum[kRows][kStrips];
  for (int r = 0; r < kRows; ++r)
    for (int s = 0; s < kStrips; ++s) sum[r][s] = _mm256_setzero_si256();
  for (int64_t q = 0; q < quads; ++q) {
    __m256i weights[kStrips];
    for (int s = 0; s < kStrips; ++s)
      weights[s] = _mm256_load_si256(reinterpret_cast<const __m256i*>(b + s * strip_bytes + q * 32));
    for (int r = 0; r < kRows; ++r) {
      const uint8_t* at = a + r * lda + q * 4;
      const __m256i value = _mm256_set1_epi32(q < whole ? load_quad(at) : load_tail(at, k - q * 4));
      for (int s = 0; s < kStrips; ++s) {
        const __m256i pairs = _mm256_maddubs_epi16(value, weights[s]);
        sum[r][s] = _mm256_add_epi32(sum[r][s], _mm256_madd_epi16(pairs, ones));
      }
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int s = 0; s < kStrips; ++s) store(c + r * ldc + s * kOutputs, n - s * kOutputs, sum[r][s]);
}

/// One strip. `low` and `high` hold two sums for each of outputs 0..3 and 4..7: of k even pair and odd pair.
template <int kRows>
NIBBLE_TARGET void wide_tile(const uint8_t* a, int64_t lda, const int8_t* b, int64_t n, int64_t k, int32_t* c,
                             int64_t ldc) {
  const int64_t quads = round_up(k, 4) / 4, whole = k / 4;
  __m256i low[kRows], high[kRows];
  for (int r = 0; r < kRows; ++r) low[r] = high[r] = _mm256_setzero_si256();
  for (int64_t q = 0; q < quads; ++q) {
    const auto* strip = reinterpret_cast<const __m128i*>(b + q * 32);
    const __m256i first = _mm256_cvtepi8_epi16(_mm_load_si128(strip));
    const __m256i second = _mm256_cvtepi8_epi16(_mm_load_si128(strip + 1));
    for (int r = 0; r < kRows; ++r) {
      const uint8_t* at = a + r * lda + q * 4;
      const __m128i quad = _mm_set1_epi32(q < whole ? load_quad(at) : load_tail(at, k - q * 4));
      const __m256i value = _mm256_cvtepu8_epi16(quad);
      low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(value, first));
      high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(value, second));
    }
  }
  for (int r = 0; r < kRows; ++r) {
    // hadd works within 128-bit halves: lanes come out as 0 1 4 5 | 2 3 6 7.
    const __m256i pairs = _mm256_hadd_epi32(low[r], high[r]);
    store(c + r * ldc, n, _mm256_permute4x64_epi64(pairs, 0b11011000));
  }
}

template <int kStrips>
void narrow_rows(const uint8_t* a, int64_t lda, int64_t m, const int8_t* b, int64_t n, int64_t k, int32_t* c,
                 int64_t ldc) {
  int64_t i = 0;
  for (; i + 4 <= m; i += 4) narrow_tile<4, kStrips>(a + i * lda, lda, b, n, k, c + i * ldc, ldc);
  for (; i < m; ++i) narrow_tile<1, kStrips>(a + i * lda, lda, b, n, k, c + i * ldc, ldc);
}

void wide_rows(const uint8_t* a, int64_t lda, int64_t m, const int8_t* b, int64_t n, int64_t k, int32_t* c,
               int64_t ldc) {
  int64_t i = 0;
  for (; i + 4 <= m; i += 4) wide_tile<4>(a + i * lda, lda, b, n, k, c + i * ldc, ldc);
  for (; i < m; ++i) wide_tile<1>(a + i * lda, lda, b, n, k, c + i * ldc, ldc);
}

void multiply(const uint8_t* a, int64_t lda, int64_t m, const int8_t* packed, int64_t n, int64_t k, int32_t* c,
              int64_t ldc) {
  const int8_t* b = packed + kHeader;
  const int64_t strip_bytes = round_up(k, 4) * kOutputs;
  const bool wide = packed[0] != 0;
  const int64_t rows_at_once = round_up(131072 / (k + 1) + 1, 4);
  for (int64_t i = 0; i < m; i += rows_at_once) {
    const int64_t count = m - i < rows_at_once ? m - i : rows_at_once;
    const uint8_t* from = a + i * lda;
    int32_t* to = c + i * ldc;
    for (int64_t j = 0; j < n;) {
      const int8_t* strip = b + j / kOutputs * strip_bytes;
      if (wide) {
        wide_rows(from, lda, count, strip, n - j, k, to + j, ldc);
        j += kOutputs;
      } else if (n - j > kOutputs) {
        narrow_rows<2>(from, lda, count, strip, n - j, k, to + j, ldc);
        j += 2 * kOutputs;
      } else {
        narrow_rows<1>(from, lda, count, strip, n - j, k, to + j, ldc);
        j += kOutputs;
      }
    }
  }
}

}  // namespace

const GemmU8S8& gemm_u8s8_avx2() {
  static constexpr GemmU8S8 kKernel{"avx2", available, packed_bytes, pack, multiply};
  return kKernel;
}

}  // namespace nibble::kernels

#endif
