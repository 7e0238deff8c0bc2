/// AVX-512 VNNI: `vpdpbusd` adds four products u8 * s8 to an int32 lane without saturation. A quad of A is broadcast,
/// 16 outputs share a register. Tile: 6 rows of A by 2 strips, 12 independent sums (latency 4, one issue a cycle on Zen
/// 4).
#include "kernels/gemm_u8s8/gemm_u8s8.h"
#include "kernels/gemm_u8s8/layout.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define NIBBLE_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

namespace nibble::kernels {
namespace {

constexpr int64_t kOutputs = 16;

bool available() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

int64_t packed_bytes(int64_t n, int64_t k) {
  return round_up(n, kOutputs) * round_up(k, 4);  // whole registers of 64 bytes
}

void pack(const int8_t* b, int64_t n, int64_t k, int8_t* packed) { pack_strips(b, n, k, kOutputs, packed); }

template <int kRows, int kStrips>
NIBBLE_TARGET void tile(const uint8_t* a, int64_t lda, const int8_t* b, int64_t n, int64_t k, int32_t* c, int64_t ldc) {
  const int64_t quads = k / 4, tail = k % 4, strip_bytes = round_up(k, 4) * kOutputs;
  __m512i sum[kRows][kStrips];
  for (int r = 0; r < kRows; ++r)
    for (int s = 0; s < kStrips; ++s) sum[r][s] = _mm512_setzero_si512();
  for (int64_t q = 0; q < quads; ++q) {
    __m512i weights[kStrips];
    for (int s = 0; s < kStrips; ++s) weights[s] = _mm512_load_si512(b + s * strip_bytes + q * 64);
    for (int r = 0; r < kRows; ++r) {
      const __m512i value = _mm512_set1_epi32(load_quad(a + r * lda + q * 4));
      for (int s = 0; s < kStrips; ++s) sum[r][s] = _mm512_dpbusd_epi32(sum[r][s], value, weights[s]);
    }
  }
  if (tail) {
    for (int r = 0; r < kRows; ++r) {
      const __m512i value = _mm512_set1_epi32(load_tail(a + r * lda + quads * 4, tail));
      for (int s = 0; s < kStrips; ++s)
        sum[r][s] = _mm512_dpbusd_epi32(sum[r][s], value, _mm512_load_si512(b + s * strip_bytes + quads * 64));
    }
  }
  for (int s = 0; s < kStrips; ++s) {
    const int64_t left = n - s * kOutputs;
    const __mmask16 mask = left >= kOutputs ? __mmask16{0xFFFF} : static_cast<__mmask16>((1u << left) - 1u);
    for (int r = 0; r < kRows; ++r) _mm512_mask_storeu_epi32(c + r * ldc + s * kOutputs, mask, sum[r][s]);
  }
}

template <int kStrips>
void rows(const uint8_t* a, int64_t lda, int64_t m, const int8_t* b, int64_t n, int64_t k, int32_t* c, int64_t ldc) {
  int64_t i = 0;
  for (; i + 6 <= m; i += 6) tile<6, kStrips>(a + i * lda, lda, b, n, k, c + i * ldc, ldc);
  const uint8_t* rest = a + i * lda;
  int32_t* to = c + i * ldc;
  switch (m - i) {
    case 5:
      return tile<5, kStrips>(rest, lda, b, n, k, to, ldc);
    case 4:
      return tile<4, kStrips>(rest, lda, b, n, k, to, ldc);
    case 3:
      return tile<3, kStrips>(rest, lda, b, n, k, to, ldc);
    case 2:
      return tile<2, kStrips>(rest, lda, b, n, k, to, ldc);
    case 1:
      return tile<1, kStrips>(rest, lda, b, n, k, to, ldc);
    default:
      return;
  }
}

void multiply(const uint8_t* a, int64_t lda, int64_t m, const int8_t* packed, int64_t n, int64_t k, int32_t* c,
              int64_t ldc) {
  const int8_t* b = packed;
  const int64_t strip_bytes = round_up(k, 4) * kOutputs;
  // Blocks of rows whose part of A stays in the second-level cache while all strips pass over it.
  const int64_t rows_at_once = round_up(262144 / (k + 1) + 1, 6);
  for (int64_t i = 0; i < m; i += rows_at_once) {
    const int64_t count = m - i < rows_at_once ? m - i : rows_at_once;
    const uint8_t* from = a + i * lda;
    int32_t* to = c + i * ldc;
    int64_t j = 0;
    for (; n - j > kOutputs; j += 2 * kOutputs)
      rows<2>(from, lda, count, b + j / kOutputs * strip_bytes, n - j, k, to + j, ldc);
    if (j < n) rows<1>(from, lda, count, b + j / kOutputs * strip_bytes, n - j, k, to + j, ldc);
  }
}

}  // namespace

const GemmU8S8& gemm_u8s8_avx512vnni() {
  static constexpr GemmU8S8 kKernel{"avx512vnni", available, packed_bytes, pack, multiply};
  return kKernel;
}

}  // namespace nibble::kernels

#endif
