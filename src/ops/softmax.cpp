// Softmax, LogSoftmax and Hardmax along one axis. Sums in double.
#include <algorithm>
#include <cmath>

#include "ops/element_types.h"

namespace nibble::ops {
namespace {

void infer_softmax(InferContext& c) {
  if (c.shape_known(0) && !c.shape(0).empty())
    checked_axis(c, c.node().integer("axis", -1), static_cast<int64_t>(c.shape(0).size()));
  infer_same(c);
}

/// Calls body(e, x, y, step) for every row: `length` elements, `step` apart, e is scratch of as many.
template <typename Body>
void for_rows(RunContext& c, Body&& body) {
  const Shape& shape = c.input(0).shape();
  if (c.input(0).elements() == 0) return;
  int64_t axis = c.node().integer("axis", -1);
  const int64_t rank = static_cast<int64_t>(shape.size());
  if (axis < 0) axis += rank;
  const int64_t length = rank ? shape[static_cast<size_t>(axis)] : 1;
  int64_t inner = 1;
  for (int64_t d = axis + 1; d < rank; ++d) inner *= shape[static_cast<size_t>(d)];
  const bool done = visit_float(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    const T* x = data_of<T>(c.input(0));
    T* y = mutable_data_of<T>(c.output(0));
    const int64_t rows = c.input(0).elements() / length;
    for_ranges(c.pool(), rows, std::max<int64_t>(1, kGrain / (8 * length)), [&](int64_t begin, int64_t end) {
      std::vector<ComputeOf<T>> e(static_cast<size_t>(length));
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row / inner * length * inner + row % inner;
        body(e, x + at, y + at, inner);
      }
    });
  });
  if (!done) c.unsupported_type();
}

/// Fills `e` with e^(x - largest) or, with `logarithm`, x - largest; returns the sum of the exponentials.
template <typename T, typename V>
double exponentials(std::vector<V>& e, const T* x, int64_t step, bool logarithm) {
  V largest = static_cast<V>(x[0]);
  const auto length = static_cast<int64_t>(e.size());
  for (int64_t i = 1; i < length; ++i) largest = std::max(largest, static_cast<V>(x[i * step]));
  double sum = 0;
  for (int64_t i = 0; i < length; ++i) {
    const V difference = static_cast<V>(x[i * step]) - largest, power = std::exp(difference);
    e[static_cast<size_t>(i)] = logarithm ? difference : power;
    sum += static_cast<double>(power);
  }
  return sum;
}

void run_softmax(RunContext& c) {
  for_rows(c, [](auto& e, auto* x, auto* y, int64_t step) {
    using T = std::remove_pointer_t<decltype(y)>;
    const double sum = exponentials(e, x, step, false);
    for (size_t i = 0; i < e.size(); ++i)
      y[static_cast<int64_t>(i) * step] = static_cast<T>(static_cast<double>(e[i]) / sum);
  });
}
void run_log_softmax(RunContext& c) {
  for_rows(c, [](auto& e, auto* x, auto* y, int64_t step) {
    using T = std::remove_pointer_t<decltype(y)>;
    const double logarithm = std::log(exponentials(e, x, step, true));
    for (size_t i = 0; i < e.size(); ++i)
      y[static_cast<int64_t>(i) * step] = static_cast<T>(static_cast<double>(e[i]) - logarithm);
  });
}
/// 1 at the first of the largest elements, else 0.
void run_hardmax(RunContext& c) {
  for_rows(c, [](auto& e, auto* x, auto* y, int64_t step) {
    using T = std::remove_pointer_t<decltype(y)>;
    int64_t best = 0;
    const auto length = static_cast<int64_t>(e.size());
    for (int64_t i = 1; i < length; ++i)
      if (static_cast<double>(x[i * step]) > static_cast<double>(x[best * step])) best = i;
    for (int64_t i = 0; i < length; ++i) y[i * step] = static_cast<T>(i == best ? 1.0f : 0.0f);
  });
}

}  // namespace

#define NIBBLE_SOFTMAX(function, onnx_name, body)                                                 \
  const Operator& function() {                                                                    \
    static const Operator op{onnx_name, "", 1, 1, 1, infer_softmax, body, Layout::kFixed, false}; \
    return op;                                                                                    \
  }
NIBBLE_SOFTMAX(softmax, "Softmax", run_softmax)
NIBBLE_SOFTMAX(log_softmax, "LogSoftmax", run_log_softmax)
NIBBLE_SOFTMAX(hardmax, "Hardmax", run_hardmax)
#undef NIBBLE_SOFTMAX

}  // namespace nibble::ops
