#pragma once
#include <cstdint>
#include <span>

namespace nibble::kernels {

/// The integer product of quantized networks:
///     C [m, n] (int32, row step ldc) = A [m, k] (uint8, row step lda) * B [n, k]^T (int8),
/// exact for every k up to 65536. B is packed once into a layout of the implementation's choice; A is read within its
/// rows only. Zero points and scales are the caller's.
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

}  // namespace nibble::kernels
