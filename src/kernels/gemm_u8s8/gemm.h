#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace nibble::kernels {

/// The integer product of quantized networks: C[m, n] = sum over k of A[m, k] * B[n, k], A unsigned and B signed bytes,
/// C int32. Exact: every kernel gives the same numbers (modulo 2^32; no sum can overflow while k <= 65,793).
///
/// B holds one output a row and is packed once, into a layout of the kernel's own; whoever packed must run.
///
/// With A = activation codes of zero point za and B = weight codes of zero point zb,
///     sum (a - za)(b - zb) = C - za * rowsum(B) - zb * rowsum(A) + k * za * zb;
/// `pack` gives rowsum(B).
struct GemmU8S8 {
  std::string_view isa;  ///< "avx512vnni"
  /// Whether this machine can run it; nothing else may be called where not.
  bool (*available)();
  /// Bytes that `pack` writes for B[n, k]; a multiple of 64.
  size_t (*packed_bytes)(int64_t n, int64_t k);
  /// Packs B, whose row j starts at b + j * ldb. `packed` is aligned to 64 bytes. `row_sums` takes n sums, or is null.
  void (*pack)(const int8_t* b, int64_t ldb, int64_t n, int64_t k, void* packed, int32_t* row_sums);
  /// Row i of A starts at a + i * lda (k bytes are read, never more), row i of C at c + i * ldc (n are written). Rows are
  /// independent: cut m into pieces to use threads.
  void (*run)(const uint8_t* a, int64_t lda, int64_t m, const void* packed, int64_t n, int64_t k, int32_t* c,
              int64_t ldc);
};

/// All kernels of the table that this machine can run, fastest first; never empty.
std::span<const GemmU8S8* const> gemm_u8s8_kernels();
/// The fastest of them.
const GemmU8S8& gemm_u8s8();

}  // namespace nibble::kernels
