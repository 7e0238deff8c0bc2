/// AArch64 with the dot product extension: `sdot` adds four products s8 * s8 to an int32 lane. A is unsigned, so
/// A - 128 is used and 128 * rowsum(B), kept behind the strips, is added back: modulo 2^32 both are the same number.
#include "kernels/gemm_u8s8/gemm_u8s8.h"
#include "kernels/gemm_u8s8/layout.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>

#define NIBBLE_TARGET __attribute__((target("arch=armv8.2-a+dotprod")))

namespace nibble::kernels {
namespace {

constexpr int64_t kOutputs = 4;

bool available() { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }

int64_t strips_bytes(int64_t n, int64_t k) { return round_up(n, kOutputs) * round_up(k, 4); }

int64_t packed_bytes(int64_t n, int64_t k) { return round_up(strips_bytes(n, k) + round_up(n, kOutputs) * 4, 64); }

void pack(const int8_t* b, int64_t n, int64_t k, int8_t* packed) {
  pack_strips(b, n, k, kOutputs, packed);
  auto* sums = reinterpret_cast<int32_t*>(packed + strips_bytes(n, k));
  std::memset(sums, 0, static_cast<size_t>(round_up(n, kOutputs)) * 4);
  row_sums_s8(b, n, k, sums);
}

template <int kRows>
NIBBLE_TARGET void tile(const uint8_t* a, int64_t lda, const int8_t* b, const int32_t* sums, int64_t n, int64_t k,
                        int32_t* c, int64_t ldc) {
  const int64_t quads = round_up(k, 4) / 4, whole = k / 4;
  const int32x4_t back = vshlq_n_s32(vld1q_s32(sums), 7);
  int32x4_t sum[kRows];
  for (int r = 0; r < kRows; ++r) sum[r] = back;
  for (int64_t q = 0; q < quads; ++q) {
    const int8x16_t weights = vld1q_s8(b + q * 16);
    for (int r = 0; r < kRows; ++r) {
      const uint8_t* at = a + r * lda + q * 4;
      const int32_t quad = q < whole ? load_quad(at) : load_tail(at, k - q * 4);
      const int8x16_t value = vreinterpretq_s8_s32(vdupq_n_s32(quad ^ static_cast<int32_t>(0x80808080u)));
      sum[r] = vdotq_s32(sum[r], value, weights);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    if (n >= kOutputs) {
      vst1q_s32(c + r * ldc, sum[r]);
    } else {
      int32_t lanes[kOutputs];
      vst1q_s32(lanes, sum[r]);
      for (int64_t i = 0; i < n; ++i) c[r * ldc + i] = lanes[i];
    }
  }
}

void multiply(const uint8_t* a, int64_t lda, int64_t m, const int8_t* packed, int64_t n, int64_t k, int32_t* c,
              int64_t ldc) {
  const int8_t* b = packed;
  const auto* sums = reinterpret_cast<const int32_t*>(b + strips_bytes(n, k));
  const int64_t strip_bytes = round_up(k, 4) * kOutputs;
  for (int64_t j = 0; j < n; j += kOutputs) {
    const int8_t* strip = b + j / kOutputs * strip_bytes;
    int64_t i = 0;
    for (; i + 8 <= m; i += 8) tile<8>(a + i * lda, lda, strip, sums + j, n - j, k, c + i * ldc + j, ldc);
    for (; i < m; ++i) tile<1>(a + i * lda, lda, strip, sums + j, n - j, k, c + i * ldc + j, ldc);
  }
}

}  // namespace

const GemmU8S8& gemm_u8s8_neon_dot() {
  static constexpr GemmU8S8 kKernel{"neon_dot", available, packed_bytes, pack, multiply};
  return kKernel;
}

}  // namespace nibble::kernels

#endif
