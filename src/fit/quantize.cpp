#include "fit/quantize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"

namespace nibble::fit {
namespace {

/// Rows of one piece of work: enough values to be worth a hand-over, whatever the number of threads.
int64_t rows_a_piece(const MatrixView& m) {
  return std::clamp<int64_t>(16384 / std::max<int64_t>(m.columns, 1), 1, 64);
}

/// Sums of squares in a fixed order: four running sums, added in pairs.
class SquareSum {
 public:
  template <typename Value>
  void add(size_t count, Value&& value) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
      for (size_t k = 0; k < 4; ++k) {
        const double v = value(i + k);
        sum_[k] += v * v;
      }
    for (; i < count; ++i) {
      const double v = value(i);
      sum_[0] += v * v;
    }
  }
  double total() const { return (sum_[0] + sum_[1]) + (sum_[2] + sum_[3]); }

 private:
  std::array<double, 4> sum_{};
};

struct RowSums {
  double error = 0.0, signal = 0.0;
};

/// One worker's part: copies rows out of a strided matrix, rounds groups, measures what that cost.
class RowWorker {
 public:
  RowWorker(const MatrixView& matrix, const Grid& grid, const RoundMethod& round)
      : matrix_(matrix), grid_(grid), round_(round) {
    const NumberFormat& format = *grid.format;
    const int mask = (1 << format.bits) - 1;
    for (int code = format.lowest_code; code <= format.highest_code(); ++code)
      levels_[static_cast<size_t>(code & mask)] = format.level(code);
    mask_ = static_cast<uint8_t>(mask);
  }

  /// The values of row `r`, contiguous.
  std::span<const float> row(int64_t r) {
    const auto columns = static_cast<size_t>(matrix_.columns);
    if (matrix_.column_stride == 1) return {matrix_.data + r * matrix_.row_stride, columns};
    copy_.resize(columns);
    for (size_t c = 0; c < columns; ++c) copy_[c] = matrix_(r, static_cast<int64_t>(c));
    return copy_;
  }

  void encode(std::span<const float> values, const GroupParams& p, int8_t* codes, SquareSum& error, SquareSum& signal) {
    round_.round(values, p, grid_, codes);
    const float zero = static_cast<float>(p.zero);
    error.add(values.size(), [&](size_t i) {
      const float decoded = p.scale * (levels_[static_cast<uint8_t>(codes[i]) & mask_] - zero) + p.offset;
      return double{values[i]} - double{decoded};
    });
    signal.add(values.size(), [&](size_t i) { return double{values[i]}; });
  }

 private:
  const MatrixView& matrix_;
  const Grid& grid_;
  const RoundMethod& round_;
  std::array<float, 256> levels_{};
  uint8_t mask_ = 0;
  std::vector<float> copy_;
};

std::string place_of(int64_t row, int64_t group) {
  return "row " + std::to_string(row) + ", group " + std::to_string(group);
}

/// Largest magnitude of the matrix. Values must be finite: what reaches this room was checked where it can be named.
float largest_magnitude(const MatrixView& m, base::ThreadPool& pool) {
  std::vector<float> largest(static_cast<size_t>(m.rows));
  const int64_t rows = rows_a_piece(m);
  pool.for_each((m.rows + rows - 1) / rows, [&](int64_t piece, int) {
    for (int64_t r = piece * rows; r < std::min(m.rows, (piece + 1) * rows); ++r) {
      float top = 0.0f;
      bool finite = true;
      for (int64_t c = 0; c < m.columns; ++c) {
        const float magnitude = std::fabs(m(r, c));
        finite = finite && magnitude <= std::numeric_limits<float>::max();
        top = std::max(top, magnitude);
      }
      NIBBLE_INVARIANT(finite);
      largest[static_cast<size_t>(r)] = top;
    }
  });
  return largest.empty() ? 0.0f : *std::max_element(largest.begin(), largest.end());
}

QuantizedMatrix empty_result(const MatrixView& m, const Grid& grid, int64_t group, bool per_tensor) {
  QuantizedMatrix q;
  q.grid = grid;
  q.rows = m.rows;
  q.columns = m.columns;
  q.group = group > 0 && !per_tensor ? group : m.columns;
  q.per_tensor = per_tensor;
  q.codes.resize(static_cast<size_t>(m.rows * m.columns));
  q.params.resize(per_tensor ? 1 : static_cast<size_t>(m.rows * q.groups_per_row()));
  return q;
}

/// Calls params(row, group index, values) for each group and encodes it; sums in row order.
template <typename Params>
void encode_rows(const MatrixView& m, const RoundMethod& round, QuantizedMatrix& q, base::ThreadPool& pool,
                 Params&& params) {
  std::vector<RowSums> sums(static_cast<size_t>(m.rows));
  const int64_t rows = rows_a_piece(m);
  std::vector<RowWorker> workers(static_cast<size_t>(pool.threads()), RowWorker(m, q.grid, round));
  pool.for_each((m.rows + rows - 1) / rows, [&](int64_t piece, int worker) {
    RowWorker& mine = workers[static_cast<size_t>(worker)];
    for (int64_t r = piece * rows; r < std::min(m.rows, (piece + 1) * rows); ++r) {
      const std::span<const float> values = mine.row(r);
      SquareSum error, signal;
      int8_t* codes = q.codes.data() + r * m.columns;
      for (int64_t start = 0, g = 0; start < m.columns; start += q.group, ++g) {
        const auto part =
            values.subspan(static_cast<size_t>(start), static_cast<size_t>(std::min(q.group, m.columns - start)));
        mine.encode(part, params(r, g, part, worker), codes + start, error, signal);
      }
      sums[static_cast<size_t>(r)] = {error.total(), signal.total()};
    }
  });
  for (const RowSums& s : sums) {
    q.error += s.error;
    q.signal += s.signal;
  }
}

/// The whole matrix as one group.
GroupParams choose_for_all(const MatrixView& m, std::span<const float> column_weights, ClipSearch& search) {
  std::vector<float> values, weights;
  values.reserve(static_cast<size_t>(m.rows * m.columns));
  for (int64_t r = 0; r < m.rows; ++r) {
    for (int64_t c = 0; c < m.columns; ++c) values.push_back(m(r, c));
    weights.insert(weights.end(), column_weights.begin(), column_weights.end());
  }
  return search.choose({values, weights});
}

}  // namespace

float tensor_scale_for(const Grid& grid, float largest) {
  if (!grid.format->tensor_scale) return 1.0f;
  const float factor = largest / (grid.format->highest_level() * 448.0f);
  return factor >= std::numeric_limits<float>::min() ? factor : 1.0f;
}

QuantizedMatrix quantize_matrix(const MatrixView& m, const Grid& grid, int64_t group, bool per_tensor,
                                const ClipRule& clip, const RoundMethod& round, const ClipOptions& options,
                                std::span<const float> column_weights, base::ThreadPool& pool) {
  NIBBLE_INVARIANT(m.rows >= 0 && m.columns >= 0 && group >= 0);
  NIBBLE_INVARIANT(column_weights.empty() || static_cast<int64_t>(column_weights.size()) == m.columns);
  const int block = grid.format->block;
  if (block != 0 && (per_tensor || group != block))
    base::fail_unsupported("format " + std::string(grid.format->name),
                           "has one scale for every " + std::to_string(block) + " values, not for " +
                               (per_tensor   ? "the tensor"
                                : group == 0 ? "a row"
                                             : std::to_string(group)),
                           "group=" + std::to_string(block) + " is what it can do");
  QuantizedMatrix q = empty_result(m, grid, group, per_tensor);
  q.tensor_scale = tensor_scale_for(grid, largest_magnitude(m, pool));
  if (per_tensor) {
    q.params[0] = choose_for_all(m, column_weights, *clip.make(grid, options, q.tensor_scale));
    encode_rows(m, round, q, pool, [&](int64_t, int64_t, std::span<const float>, int) { return q.params[0]; });
    return q;
  }
  std::vector<std::unique_ptr<ClipSearch>> searches;
  for (int i = 0; i < pool.threads(); ++i) searches.push_back(clip.make(grid, options, q.tensor_scale));
  const int64_t groups = q.groups_per_row();
  encode_rows(m, round, q, pool, [&](int64_t r, int64_t g, std::span<const float> values, int worker) {
    const auto weights = column_weights.empty()
                             ? column_weights
                             : column_weights.subspan(static_cast<size_t>(g * q.group), values.size());
    try {
      return q.params[static_cast<size_t>(r * groups + g)] =
                 searches[static_cast<size_t>(worker)]->choose({values, weights});
    } catch (const base::Error& error) {
      throw error.within(place_of(r, g));
    }
  });
  return q;
}

QuantizedMatrix quantize_with_ranges(const MatrixView& m, const Grid& grid, std::span<const Range> ranges,
                                     const RoundMethod& round, base::ThreadPool& pool) {
  const bool per_tensor = ranges.size() == 1 && m.rows != 1;
  NIBBLE_INVARIANT(per_tensor || static_cast<int64_t>(ranges.size()) == m.rows);
  if (grid.format->block != 0)
    base::fail_unsupported("format " + std::string(grid.format->name),
                           "takes no ranges: its scales belong to blocks of " + std::to_string(grid.format->block));
  QuantizedMatrix q = empty_result(m, grid, 0, per_tensor);
  largest_magnitude(m, pool);  // for its check
  for (size_t i = 0; i < ranges.size(); ++i) q.params[i] = params_from_range(ranges[i].min, ranges[i].max, grid);
  encode_rows(m, round, q, pool, [&](int64_t r, int64_t, std::span<const float>, int) {
    return q.params[per_tensor ? 0 : static_cast<size_t>(r)];
  });
  return q;
}

QuantizedMatrix quantize_with_params(const MatrixView& m, const Grid& grid, int64_t group, bool per_tensor,
                                     std::span<const GroupParams> params, const RoundMethod& round,
                                     base::ThreadPool& pool) {
  QuantizedMatrix q = empty_result(m, grid, group, per_tensor);
  NIBBLE_INVARIANT(params.size() == q.params.size() && !grid.format->tensor_scale);
  largest_magnitude(m, pool);  // for its check
  q.params.assign(params.begin(), params.end());
  const int64_t groups = q.groups_per_row();
  encode_rows(m, round, q, pool, [&](int64_t r, int64_t g, std::span<const float>, int) {
    return q.params[per_tensor ? 0 : static_cast<size_t>(r * groups + g)];
  });
  return q;
}

}  // namespace nibble::fit
