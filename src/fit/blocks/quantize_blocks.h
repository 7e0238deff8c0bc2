#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/thread_pool.h"
#include "codec/blocks.h"
#include "tensor/matrix_view.h"

namespace nibble::fit {

using tensor::DType;
using tensor::MatrixView;

/// How scales, minima and codes of blocked formats are chosen.
enum class BlockSearch {
  kBest,       ///< searched for the least weighted squared error (kernels/block_search)
  kReference,  ///< the format's plain encoder, byte for byte ggml's; only Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0
};
/// "best", "reference"; std::nullopt for other names.
std::optional<BlockSearch> find_block_search(std::string_view name);
std::string_view name_of(BlockSearch search);

/// Writes a matrix as blocks, row after row: `bytes` is rows * columns / elements * bytes of a block long. With
/// `column_weights` (empty, or one a column, finite, not negative) the search minimises sum w (x - decoded)^2; weights
/// below a millionth of their mean count as that much. Without: the plain sum of squares.
///
/// The same bytes for any number of threads and on every machine. Throws Error(kUnsupported) when rows are not whole
/// blocks, when `search` does not have the format, or when a value is too large for it; Error(kMalformed) when a value
/// or a weight is NaN or infinite or all weights are 0. Values are named by row and column, the first in row-major
/// order.
void quantize_blocks(DType format, BlockSearch search, const MatrixView& values, std::span<const float> column_weights,
                     base::ThreadPool& pool, std::span<uint8_t> bytes);

/// What blocks leave of a matrix: sums of w (x - decoded)^2 and of w x^2, in double, in a fixed order.
struct BlockError {
  double error = 0.0, signal = 0.0;
};
BlockError measure_blocks(DType format, std::span<const uint8_t> bytes, const MatrixView& values,
                          std::span<const float> column_weights, base::ThreadPool& pool);

}  // namespace nibble::fit
