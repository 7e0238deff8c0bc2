// Operators that walk along one axis in order: CumSum, TopK.
#include <algorithm>
#include <numeric>

#include "ops/numbers.h"
#include "ops/strided.h"

namespace nibble::ops {
namespace {

/// The tensor seen as [outer, length, inner] around an axis.
struct AxisView {
  int64_t outer = 1, length = 1, inner = 1;
};
AxisView view_axis(const Shape& shape, int64_t axis) {
  if (axis < 0) axis += static_cast<int64_t>(shape.size());
  AxisView v;
  for (size_t d = 0; d < shape.size(); ++d)
    (static_cast<int64_t>(d) < axis ? v.outer : static_cast<int64_t>(d) == axis ? v.length : v.inner) *= shape[d];
  return v;
}

void infer_cumsum(InferContext& c) {
  require_integers(c, 1);
  if (c.data(1)) {
    c.require(c.data(1)->elements() == 1, "its axis must be a single number");
    if (c.shape_known(0)) checked_axis(c, integers_of(*c.data(1)).at(0), static_cast<int64_t>(c.shape(0).size()));
  }
  infer_same(c);
}
void run_cumsum(RunContext& c) {
  if (c.input(0).elements() == 0) return;
  const AxisView v = view_axis(c.input(0).shape(), integers_of(c.input(1)).at(0));
  const bool exclusive = c.node().integer("exclusive", 0) != 0, reverse = c.node().integer("reverse", 0) != 0;
  const bool done = visit_number(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    using V = ComputeOf<T>;
    using Sum = std::conditional_t<is_float<T>, double, uint64_t>;
    const T* x = data_of<T>(c.input(0));
    T* y = mutable_data_of<T>(c.output(0));
    for_ranges(c.pool(), v.outer * v.inner, std::max<int64_t>(1, kGrain / v.length), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t first = row / v.inner * v.length * v.inner + row % v.inner;
        Sum sum{};
        for (int64_t k = 0; k < v.length; ++k) {
          const int64_t at = first + (reverse ? v.length - 1 - k : k) * v.inner;
          const auto term = static_cast<Sum>(static_cast<V>(x[at]));
          if (exclusive) y[at] = static_cast<T>(sum);
          sum += term;
          if (!exclusive) y[at] = static_cast<T>(sum);
        }
      }
    });
  });
  if (!done) c.unsupported_type();
}

void infer_top_k(InferContext& c) {
  require_integers(c, 1);
  if (!c.shape_known(0)) {
    c.output_of_unknown_rank(0, c.dtype(0));
    return c.output_of_unknown_rank(1, DType::i64);
  }
  Shape shape = c.shape(0);
  const auto axis =
      static_cast<size_t>(checked_axis(c, c.node().integer("axis", -1), static_cast<int64_t>(shape.size())));
  int64_t k = kUnknown;
  if (c.data(1)) {
    c.require(c.data(1)->elements() == 1, "its k must be a single number");
    k = integers_of(*c.data(1)).at(0);
    c.require(k >= 0 && (shape[axis] == kUnknown || k <= shape[axis]),
              "asks for " + std::to_string(k) + " of " + std::to_string(shape[axis]) + " elements");
  }
  shape[axis] = k;
  c.output(0, c.dtype(0), shape);
  c.output(1, DType::i64, shape);
}
/// Equal values are taken in the order of their indices, and always written sorted.
void run_top_k(RunContext& c) {
  const int64_t axis = c.node().integer("axis", -1);
  const AxisView v = view_axis(c.input(0).shape(), axis);
  const int64_t k = integers_of(c.input(1)).at(0);
  if (k == 0 || c.input(0).elements() == 0) return;
  const bool largest = c.node().integer("largest", 1) != 0;
  const bool done = visit_number(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    using V = ComputeOf<T>;
    const T* x = data_of<T>(c.input(0));
    T* y = c.wants(0) ? mutable_data_of<T>(c.output(0)) : nullptr;
    int64_t* places = c.wants(1) ? mutable_data_of<int64_t>(c.output(1)) : nullptr;
    for_ranges(c.pool(), v.outer * v.inner, std::max<int64_t>(1, kGrain / (8 * v.length)),
               [&](int64_t begin, int64_t end) {
                 std::vector<int64_t> order(static_cast<size_t>(v.length));
                 for (int64_t row = begin; row < end; ++row) {
                   const T* from = x + row / v.inner * v.length * v.inner + row % v.inner;
                   std::iota(order.begin(), order.end(), 0);
                   const auto before = [&](int64_t a, int64_t b) {
                     const V p = static_cast<V>(from[a * v.inner]), q = static_cast<V>(from[b * v.inner]);
                     // NaN counts as the largest number, so that the order is a strict one.
                     const bool p_nan = p != p, q_nan = q != q;
                     if (p_nan != q_nan) return largest ? p_nan : q_nan;
                     if (!p_nan && p != q) return largest ? p > q : p < q;
                     return a < b;
                   };
                   std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
                   const int64_t first = row / v.inner * k * v.inner + row % v.inner;
                   for (int64_t i = 0; i < k; ++i) {
                     if (y) y[first + i * v.inner] = from[order[static_cast<size_t>(i)] * v.inner];
                     if (places) places[first + i * v.inner] = order[static_cast<size_t>(i)];
                   }
                 }
               });
  });
  if (!done) c.unsupported_type();
}

}  // namespace

const Operator& cumsum() {
  static const Operator op{"CumSum", "", 2, 2, 1, infer_cumsum, run_cumsum, Layout::kFixed, false};
  return op;
}
const Operator& top_k() {
  static const Operator op{"TopK", "", 2, 2, 2, infer_top_k, run_top_k, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
