#include "ops/gemm.h"

#include <algorithm>

#include "ops/onednn.h"

namespace nibble::ops {

void gemm(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, float alpha, const float* a,
          int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc, base::ThreadPool& pool) {
  if (rows == 0 || columns == 0) return;
  constexpr int64_t kRows = 128, kColumns = 512;  // pieces of a few hundred kB: they stay in the second-level cache
  const int64_t row_pieces = (rows + kRows - 1) / kRows, column_pieces = (columns + kColumns - 1) / kColumns;
  pool.for_each(row_pieces * column_pieces, [&](int64_t piece, int) {
    const SingleThreadedOnednn guard;
    const int64_t r = piece / column_pieces * kRows, k = piece % column_pieces * kColumns;
    const float* a_part = a + (transpose_a ? r : r * lda);
    const float* b_part = b + (transpose_b ? k * ldb : k);
    dnnl::sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', std::min(kRows, rows - r),
                std::min(kColumns, columns - k), inner, alpha, a_part, lda, b_part, ldb, beta, c + r * ldc + k, ldc);
  });
}

}  // namespace nibble::ops
