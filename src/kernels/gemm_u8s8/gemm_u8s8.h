#pragma once
#include <cstdint>
#include <span>

namespace nibble::kernels {

/// The integer product of quantized networks:
///     C [m, n] (int32, row step ldc) = A [m, k] (uint8, row step lda) * B [n, k]^T (int8),
/// exact for every k up to 65793, where 255 * 128 * k last fits; beyond, modulo 2^32. B is packed once into a layout of
/// the implementation's choice (whoever packed must multiply); A is read within its rows only. Rows of A are
/// independent: cut m into pieces to use threads, at any row.
///
/// Zero points and scales are the caller's. With za, zb the zero points of A and B,
///     sum (a - za)(b - zb) = C - za * rowsum(B) - zb * rowsum(A) + k * za * zb.
struct GemmU8S8 {
  const char* name;  ///< the instruction set: "generic", "avx2", "avx512vnni", "neon_dot"
  bool (*available)();
  int64_t (*packed_bytes)(int64_t n, int64_t k);
  /// `packed` has packed_bytes(n, k) bytes, aligned to 64.
  void (*pack)(const int8_t* b, int64_t n, int64_t k, int8_t* packed);
  void (*multiply)(const uint8_t* a, int64_t lda, int64_t m, const int8_t* packed, int64_t n, int64_t k, int32_t* c,
                   int64_t ldc);
};

/// Every implementation that was built, the plain reference last; some may not be available() here.
std::span<const GemmU8S8* const> all_gemm_u8s8();
/// The first available one.
const GemmU8S8& gemm_u8s8();

/// sums[j] = sum over k of B[j, k], for the correction above.
void row_sums_s8(const int8_t* b, int64_t n, int64_t k, int32_t* sums);
/// sums[i] = sum over k of A[i, k].
void row_sums_u8(const uint8_t* a, int64_t lda, int64_t m, int64_t k, int32_t* sums);

}  // namespace nibble::kernels
