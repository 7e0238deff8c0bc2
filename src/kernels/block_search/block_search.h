#pragma once
#include <cstdint>

namespace nibble::kernels {

/// Chooses the scales and codes of `blocks` consecutive blocks and writes their bytes (codec/blocks.h):
/// approximately minimal sum of w (x - decoded)^2, and never above what the format's plain encoder leaves by more than
/// float32 rounding.
///
/// `x` are the blocks' values, finite, at most BlockFormat::largest in magnitude. `w` is nullptr (all 1)
/// or a weight for each of `row` columns, a multiple of the block; block b of the call has the columns from
/// (first + b) * elements % row on. Weights are between 1e-6 and 1e6.
using SearchBlocks = void (*)(const float* x, const float* w, int64_t row, int64_t first, int64_t blocks,
                              uint8_t* bytes);

/// The searches, written once over 16 blocks side by side (lanes.h) and compiled for each instruction set. All give the
/// same bytes.
struct BlockSearch {
  const char* name;  ///< the instruction set: "generic", "avx2", "avx512"
  bool (*available)();
#define NIBBLE_BLOCK(name, elements, bytes, number, what) SearchBlocks name;
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK
};

/// Every implementation that was built, the plainest last; some may not be available() here.
struct BlockSearches {
  const BlockSearch* const* first;
  int count;
};
BlockSearches all_block_searches();
/// The first available one.
const BlockSearch& block_search();

}  // namespace nibble::kernels
