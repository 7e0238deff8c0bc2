// Normalizations by statistics of the input itself: y = (x - mean) / sqrt(variance + epsilon) * scale + bias over rows
// of the input. InstanceNormalization: a row a channel of a sample; GroupNormalization: a group of channels;
// LayerNormalization: everything from `axis` on; RMSNormalization: the same without a mean. Statistics in double.
#include <algorithm>
#include <cmath>

#include "ops/broadcast.h"
#include "ops/element_types.h"
#include "ops/numbers.h"

namespace nibble::ops {
namespace {

void infer_channel_normalization(InferContext& c) {
  for (size_t i = 1; i < 3; ++i) {
    c.require(c.dtype(i) == c.dtype(0), "its inputs have different element types");
    if (!c.shape_known(0) || !c.shape_known(i)) continue;
    c.require(c.shape(0).size() >= 2, "its input has shape " + to_string(c.shape(0)) + ", channels were expected");
    const int64_t channels = c.shape(0)[1];
    c.require(
        c.shape(i).size() == 1 && (channels == kUnknown || c.shape(i)[0] == kUnknown || c.shape(i)[0] == channels),
        "its input " + std::to_string(i) + " has shape " + to_string(c.shape(i)) +
            ", one value a channel was expected");
  }
  infer_same(c);
}
int64_t group_count(const Node& node) {
  const int64_t groups = node.integer("num_groups", 0);
  if (groups < 1) base::fail_malformed(node.describe(), "num_groups is " + std::to_string(groups));
  return groups;
}
void infer_group_normalization(InferContext& c) {
  const int64_t groups = group_count(c.node());
  if (c.shape_known(0) && c.shape(0).size() >= 2)
    c.require(c.shape(0)[1] == kUnknown || c.shape(0)[1] % groups == 0, "num_groups does not divide its channels");
  infer_channel_normalization(c);
}

/// Rows of `length` elements; element i of row r has scale[place(r, i)] and, where there is one, bias[place(r, i)].
template <typename Place>
void normalize(RunContext& c, int64_t length, bool centred, bool has_bias, Place&& place) {
  if (c.input(0).elements() == 0) return;
  const double epsilon = c.node().real("epsilon", 1e-5f);
  const auto scale = decode_numbers(c.input(1));
  const auto bias = has_bias ? decode_numbers(c.input(2)) : std::vector<double>{};
  const int64_t rows = c.input(0).elements() / length;
  const auto statistics = [&](size_t output, int64_t row, double value) {
    if (!c.wants(output)) return;
    visit_float(c.output(output).dtype(), [&](auto t) {
      using T = decltype(t);
      mutable_data_of<T>(c.output(output))[row] = static_cast<T>(value);
    });
  };
  const bool done = visit_float(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    for_ranges(c.pool(), rows, std::max<int64_t>(1, kGrain / length), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* x = data_of<T>(c.input(0)) + r * length;
        double mean = 0, squares = 0;
        if (centred)
          for (int64_t i = 0; i < length; ++i) mean += static_cast<double>(x[i]);
        mean /= static_cast<double>(length);
        for (int64_t i = 0; i < length; ++i) {
          const double d = static_cast<double>(x[i]) - mean;
          squares += d * d;
        }
        const double factor = 1 / std::sqrt(squares / static_cast<double>(length) + epsilon);
        if (c.wants(0)) {
          T* y = mutable_data_of<T>(c.output(0)) + r * length;
          for (int64_t i = 0; i < length; ++i) {
            const auto at = static_cast<size_t>(place(r, i));
            y[i] =
                static_cast<T>((static_cast<double>(x[i]) - mean) * factor * scale[at] + (has_bias ? bias[at] : 0.0));
          }
        }
        statistics(1, r, mean);
        statistics(2, r, factor);
      }
    });
  });
  if (!done) c.unsupported_type();
}

void run_instance_normalization(RunContext& c) {
  const Shape& x = c.input(0).shape();
  if (c.input(0).elements() == 0) return;
  const int64_t channels = x[1], area = c.input(0).elements() / (x[0] * channels);
  normalize(c, area, true, true, [channels](int64_t row, int64_t) { return row % channels; });
}
void run_group_normalization(RunContext& c) {
  const Shape& x = c.input(0).shape();
  if (c.input(0).elements() == 0) return;
  const int64_t groups = group_count(c.node()), channels = x[1], area = c.input(0).elements() / (x[0] * channels);
  const int64_t each = channels / groups;
  normalize(c, each * area, true, true, [=](int64_t row, int64_t i) { return row % groups * each + i / area; });
}

/// Where the rows begin, and the shape of the statistics: that of the input with 1 from `axis` on.
size_t row_axis(const InferContext& c) {
  return static_cast<size_t>(checked_axis(c, c.node().integer("axis", -1), static_cast<int64_t>(c.shape(0).size())));
}
void infer_row_normalization(InferContext& c) {
  if (c.shape_known(0)) {
    const size_t axis = row_axis(c);
    const Shape row(c.shape(0).begin() + static_cast<std::ptrdiff_t>(axis), c.shape(0).end());
    for (size_t i = 1; i < 3; ++i)
      if (c.has(i) && c.shape_known(i) && is_known(row) && is_known(c.shape(i)))
        c.require(c.shape(i).size() <= row.size() && broadcast_shape(c, row, c.shape(i)) == row,
                  "its input " + std::to_string(i) + " has shape " + to_string(c.shape(i)) +
                      ", which does not fit rows of " + to_string(row));
    Shape statistics = c.shape(0);
    std::fill(statistics.begin() + static_cast<std::ptrdiff_t>(axis), statistics.end(), 1);
    const DType dtype = read_dtype(c.node(), "stash_type", DType::f32);
    for (size_t i = 1; i < 3; ++i) c.output(i, dtype, statistics);
  } else {
    for (size_t i = 1; i < 3; ++i) c.output_of_unknown_rank(i, DType::f32);
  }
  infer_same(c);
}
void run_rows(RunContext& c, bool centred) {
  const auto facts = facts_of(c);
  const size_t axis = row_axis(InferContext(c.node(), facts, {}));
  const Shape row(c.input(0).shape().begin() + static_cast<std::ptrdiff_t>(axis), c.input(0).shape().end());
  const int64_t length = element_count(row);
  const bool has_bias = c.has(2);
  if (has_bias && c.input(2).shape() != c.input(1).shape())
    c.unsupported("its scale " + to_string(c.input(1).shape()) + " and bias " + to_string(c.input(2).shape()) +
                  " differ in shape");
  if (c.input(1).elements() == length)
    return normalize(c, length, centred, has_bias, [](int64_t, int64_t i) { return i; });
  const auto strides = repeated_strides(c.input(1).shape(), row.size());
  normalize(c, length, centred, has_bias, [&](int64_t, int64_t i) {
    int64_t at = 0;
    for (size_t d = row.size(); d-- > 0; i /= row[d]) at += i % row[d] * strides[d];
    return at;
  });
}
void run_layer_normalization(RunContext& c) { run_rows(c, true); }
void run_rms_normalization(RunContext& c) { run_rows(c, false); }

}  // namespace

const Operator& instance_normalization() {
  static const Operator op{
      "InstanceNormalization", "",   3, 3, 1, infer_channel_normalization, run_instance_normalization,
      Layout::kFixed,          false};
  return op;
}
const Operator& group_normalization() {
  static const Operator op{"GroupNormalization", "",   3, 3, 1, infer_group_normalization, run_group_normalization,
                           Layout::kFixed,       false};
  return op;
}
const Operator& layer_normalization() {
  static const Operator op{"LayerNormalization", "",   2, 3, 3, infer_row_normalization, run_layer_normalization,
                           Layout::kFixed,       false};
  return op;
}
const Operator& rms_normalization() {
  static const Operator op{"RMSNormalization", "",   2, 2, 1, infer_row_normalization, run_rms_normalization,
                           Layout::kFixed,     false};
  return op;
}

}  // namespace nibble::ops
