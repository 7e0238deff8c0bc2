/// The plain loops: the definition of the product, on every machine.
#include <cstring>

#include "kernels/gemm_u8s8/gemm_u8s8.h"

namespace nibble::kernels {
namespace {

bool available() { return true; }
int64_t packed_bytes(int64_t n, int64_t k) { return n * k; }

void pack(const int8_t* b, int64_t n, int64_t k, int8_t* packed) {
  if (n * k > 0) std::memcpy(packed, b, static_cast<size_t>(n * k));
}

void multiply(const uint8_t* a, int64_t lda, int64_t m, const int8_t* packed, int64_t n, int64_t k, int32_t* c,
              int64_t ldc) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      uint32_t sum = 0;  // unsigned: wraps as the vector kernels do
      for (int64_t x = 0; x < k; ++x)
        sum += static_cast<uint32_t>(int32_t{a[i * lda + x]} * int32_t{packed[j * k + x]});
      c[i * ldc + j] = static_cast<int32_t>(sum);
    }
}

}  // namespace

const GemmU8S8& gemm_u8s8_generic() {
  static constexpr GemmU8S8 kKernel{"generic", available, packed_bytes, pack, multiply};
  return kKernel;
}

}  // namespace nibble::kernels
