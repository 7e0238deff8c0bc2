#pragma once
#include <cstdint>

#include "base/thread_pool.h"

namespace nibble::ops {

/// C [rows, columns] = alpha * op(A) op(B) + beta * C, row-major float32, op(A) [rows, inner], op(B) [inner, columns];
/// `lda`, `ldb`, `ldc` are the row steps in elements of the matrices as stored (A is [inner, rows] when `transpose_a`).
/// The plain product for everyone above; cut into pieces that depend on the problem alone.
void gemm(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, float alpha, const float* a,
          int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc, base::ThreadPool& pool);

}  // namespace nibble::ops
