#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "fit/grid.h"
#include "tensor/matrix_view.h"

namespace nibble::fit {

using tensor::MatrixView;

/// The parameters under which a matrix of floats is what a format's codes decode to.
struct Lattice {
  ScaleType stored_as = ScaleType::kF16;  ///< as the grid asked, or kF32 where its f16 cannot hold the scales
  std::vector<GroupParams> params;        ///< [rows, ceil(columns / group)], or one
  int64_t exact = 0;                      ///< groups whose every value decodes to the same bits (-0 counts as 0)
  /// Significant bits that the values were rounded to when the matrix was written: 24 (f32), 11 (f16) or 8 (bf16).
  /// Decoded values differ from the matrix by at most one unit in the last of them, where they are not exact.
  int precision = 24;

  bool is_exact() const { return exact == static_cast<int64_t>(params.size()); }
};

/// Recognises a matrix whose values are already levels of `grid`, up to the rounding of the floats that they were kept
/// as: a network that was trained for 4 bits elsewhere. A group is `group` consecutive columns of a row (0: the row),
/// or the matrix (`per_tensor`). Every group must be scale * (code - zero) (map minmax: scale * code + offset) with
/// scales above 0, zero points and codes that the grid has.
///
/// Scales are searched among those that the rounding leaves: first for one in the grid's own type that gives back every
/// bit, then for such an f32, then for any. Where few levels leave a choice (a group of {0, a}) the finest step that
/// gives back every bit is taken, as if the largest code had been in use; unused codes leave a choice of zero points,
/// too: the one that the range [min, max] suggests.
///
/// Nothing unless the coincidence is out of the question: the chance that floats without such a structure fit as well
/// is below 2^-40 (see lattice.cpp). Nothing either for formats that are not evenly spaced or not 4 bits wide, and for
/// values that are not finite. Groups of zeros fit anything.
std::optional<Lattice> find_lattice(const MatrixView& matrix, const Grid& grid, int64_t group, bool per_tensor);

}  // namespace nibble::fit
