#include "kernels/gemm_u8s8/gemm_u8s8.h"

namespace nibble::kernels {

#define NIBBLE_GEMM_U8S8(isa) const GemmU8S8& gemm_u8s8_##isa();
#include "kernels/kernels.def"

std::span<const GemmU8S8* const> all_gemm_u8s8() {
  static const GemmU8S8* const table[] = {
#define NIBBLE_GEMM_U8S8(isa) &gemm_u8s8_##isa(),
#include "kernels/kernels.def"
  };
  return table;
}

const GemmU8S8& gemm_u8s8() {
  static const GemmU8S8* const chosen = [] {
    for (const GemmU8S8* kernel : all_gemm_u8s8())
      if (kernel->available()) return kernel;
    return all_gemm_u8s8().back();
  }();
  return *chosen;
}

void row_sums_s8(const int8_t* b, int64_t n, int64_t k, int32_t* sums) {
  for (int64_t j = 0; j < n; ++j) {
    int32_t sum = 0;
    for (int64_t x = 0; x < k; ++x) sum += b[j * k + x];
    sums[j] = sum;
  }
}

void row_sums_u8(const uint8_t* a, int64_t lda, int64_t m, int64_t k, int32_t* sums) {
  for (int64_t i = 0; i < m; ++i) {
    int32_t sum = 0;
    for (int64_t x = 0; x < k; ++x) sum += a[i * lda + x];
    sums[i] = sum;
  }
}

}  // namespace nibble::kernels
