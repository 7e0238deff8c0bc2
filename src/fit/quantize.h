#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "fit/clip/rule.h"
#include "fit/grid.h"
#include "fit/round/method.h"
#include "tensor/matrix_view.h"

namespace nibble::fit {

using tensor::MatrixView;

/// A matrix in a number format, before it is packed.
struct QuantizedMatrix {
  Grid grid;
  int64_t rows = 0, columns = 0;
  int64_t group = 0;                ///< values that share parameters along a row; `columns` unless grouped
  bool per_tensor = false;          ///< one group for all
  std::vector<int8_t> codes;        ///< [rows, columns], one a byte (8-bit unsigned codes as their bit pattern)
  std::vector<GroupParams> params;  ///< [rows, ceil(columns / group)], or one
  float tensor_scale = 1.0f;        ///< NVFP4's second-level factor, else 1
  double error = 0.0;               ///< sum of squares of value - decoded value
  double signal = 0.0;              ///< sum of squares of the values

  int64_t groups_per_row() const { return per_tensor || columns == 0 ? 1 : (columns + group - 1) / group; }
  const GroupParams& params_of(int64_t row, int64_t column) const {
    return params[per_tensor ? 0 : static_cast<size_t>(row * groups_per_row() + column / group)];
  }
};

/// Chooses ranges and codes for every group of `group` consecutive columns of a row (0: the whole row; the last group
/// of a row may be shorter), or for the matrix as one group. `column_weights` (empty, or one a column, not negative)
/// says how much an error in each input matters; clip rules read it, `error` does not. Values are finite (checked).
///
/// The same bytes for any number of threads and on every machine. Throws Error(kUnsupported) naming row and group when
/// a scale does not fit its type, or when the format has blocks of another size than `group`.
QuantizedMatrix quantize_matrix(const MatrixView& matrix, const Grid& grid, int64_t group, bool per_tensor,
                                const ClipRule& clip, const RoundMethod& round, const ClipOptions& options,
                                std::span<const float> column_weights, base::ThreadPool& pool);

/// The same with ranges given from outside: one {min, max} a row, or one for all where there is only one. No groups.
struct Range {
  float min = 0.0f, max = 0.0f;
};
QuantizedMatrix quantize_with_ranges(const MatrixView& matrix, const Grid& grid, std::span<const Range> ranges,
                                     const RoundMethod& round, base::ThreadPool& pool);

/// The same with storable parameters given from outside (see find_lattice): [rows, ceil(columns / group)], or one
/// (`per_tensor`). Formats without a second-level factor.
QuantizedMatrix quantize_with_params(const MatrixView& matrix, const Grid& grid, int64_t group, bool per_tensor,
                                     std::span<const GroupParams> params, const RoundMethod& round,
                                     base::ThreadPool& pool);

/// The second-level factor for a tensor whose largest magnitude is `largest`: largest / (6 * 448) for NVFP4, so that
/// the block scales use all of E4M3; 1 for formats without one, and where the quotient is not a normal number.
float tensor_scale_for(const Grid& grid, float largest);

/// The matrix as a tensor of `shape` (as many elements) with its Quantization. `transposed`: the tensor's storage order
/// is [columns, rows] (a MatMul weight, whose outputs are its last axis); code_shape is then two-dimensional, as it is
/// for groups. Otherwise code_shape is `shape`, whose first axis is the rows (per channel), or any (per tensor).
tensor::Tensor to_tensor(const QuantizedMatrix& matrix, tensor::Shape shape, bool transposed);

}  // namespace nibble::fit
