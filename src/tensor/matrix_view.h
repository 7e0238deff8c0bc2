#pragma once
#include <cstdint>

namespace nibble::tensor {

/// A real matrix somewhere in memory. Rows are outputs, columns inputs (the reduction axis), whatever the storage
/// order: element (r, c) is data[r * row_stride + c * column_stride].
struct MatrixView {
  const float* data = nullptr;
  int64_t rows = 0, columns = 0;
  int64_t row_stride = 0, column_stride = 1;

  float operator()(int64_t r, int64_t c) const { return data[r * row_stride + c * column_stride]; }
};

}  // namespace nibble::tensor
