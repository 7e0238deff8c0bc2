// Add, Sub, Mul, Div, Min, Max with numpy broadcasting. Integer division truncates toward zero; by zero it is an Error.
#include <algorithm>

#include "ops/broadcast.h"
#include "ops/element_types.h"

namespace nibble::ops {
namespace {

void infer_broadcast(InferContext& c) {
  c.require(c.dtype(0) == c.dtype(1), "its two inputs have different element types");
  if (c.shape_known(0) && c.shape_known(1))
    c.output(0, c.dtype(0), broadcast_shape(c, c.shape(0), c.shape(1)));
  else
    c.output_of_unknown_rank(0, c.dtype(0));
}

/// One run along the innermost dimension, with the three stride patterns that occur spelled out so that they vectorise.
template <typename T, typename F>
void combine_run(const T* a, int64_t a_step, const T* b, int64_t b_step, T* y, int64_t n, F f) {
  using V = ComputeOf<T>;
  if (a_step == 1 && b_step == 1) {
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(f(static_cast<V>(a[i]), static_cast<V>(b[i])));
  } else if (a_step == 1 && b_step == 0) {
    const V fixed = static_cast<V>(b[0]);
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(f(static_cast<V>(a[i]), fixed));
  } else {
    for (int64_t i = 0; i < n; ++i)
      y[i] = static_cast<T>(f(static_cast<V>(a[i * a_step]), static_cast<V>(b[i * b_step])));
  }
}

template <typename T, typename F>
void combine(const RunContext& c, const Tensor& left, const Tensor& right, Tensor& out, F f) {
  const T* a = data_of<T>(left);
  const T* b = data_of<T>(right);
  T* y = mutable_data_of<T>(out);
  const BroadcastPlan plan = plan_broadcast(out.shape(), left.shape(), right.shape());
  const size_t last = plan.shape.size() - 1;
  const int64_t inner = plan.shape[last];
  if (inner == 0 || out.elements() == 0) return;
  const int64_t runs = out.elements() / inner;
  if (runs == 1) {
    for_ranges(c.pool(), inner, kGrain, [&](int64_t begin, int64_t end) {
      combine_run(a + begin * plan.a_strides[last], plan.a_strides[last], b + begin * plan.b_strides[last],
                  plan.b_strides[last], y + begin, end - begin, f);
    });
    return;
  }
  for_ranges(c.pool(), runs, std::max<int64_t>(1, kGrain / inner), [&](int64_t begin, int64_t end) {
    for (int64_t run = begin; run < end; ++run) {
      int64_t rest = run, a_at = 0, b_at = 0;
      for (size_t d = last; d-- > 0;) {
        const int64_t index = rest % plan.shape[d];
        rest /= plan.shape[d];
        a_at += index * plan.a_strides[d];
        b_at += index * plan.b_strides[d];
      }
      combine_run(a + a_at, plan.a_strides[last], b + b_at, plan.b_strides[last], y + run * inner, inner, f);
    }
  });
}

template <typename F>
void run_numbers(RunContext& c, F f) {
  if (!visit_number(c.input(0).dtype(),
                    [&](auto t) { combine<decltype(t)>(c, c.input(0), c.input(1), c.output(0), f); }))
    c.unsupported("takes elements of type " + std::string(name_of(c.input(0).dtype())) + ", which is not supported");
}

// Integers wrap, as numpy's do: signed ones are computed in their unsigned twin.
template <typename V>
auto wrapping(V v) {
  if constexpr (std::is_integral_v<V>)
    return static_cast<uint64_t>(v);
  else
    return v;
}

void run_add(RunContext& c) {
  run_numbers(c, [](auto a, auto b) { return static_cast<decltype(a)>(wrapping(a) + wrapping(b)); });
}
void run_sub(RunContext& c) {
  run_numbers(c, [](auto a, auto b) { return static_cast<decltype(a)>(wrapping(a) - wrapping(b)); });
}
void run_mul(RunContext& c) {
  run_numbers(c, [](auto a, auto b) { return static_cast<decltype(a)>(wrapping(a) * wrapping(b)); });
}
void run_div(RunContext& c) {
  visit_integer(c.input(1).dtype(), [&](auto t) {
    using T = decltype(t);
    const T* b = data_of<T>(c.input(1));
    for (int64_t i = 0; i < c.input(1).elements(); ++i)
      if (b[i] == 0) c.malformed("divides an integer by zero");
  });
  run_numbers(c, [](auto a, auto b) {
    using V = decltype(a);
    if constexpr (std::is_integral_v<V> && std::is_signed_v<V>)
      return b == V{-1} ? static_cast<V>(-wrapping(a)) : static_cast<V>(a / b);  // the lowest value wraps, no trap
    else
      return static_cast<V>(a / b);
  });
}

void infer_extremum(InferContext& c) {
  bool known = true;
  Shape shape;
  for (size_t i = 0; i < c.input_count(); ++i) {
    c.require(c.dtype(i) == c.dtype(0), "its inputs have different element types");
    known = known && c.shape_known(i);
    if (known) shape = i ? broadcast_shape(c, shape, c.shape(i)) : c.shape(0);
  }
  if (known)
    c.output(0, c.dtype(0), shape);
  else
    c.output_of_unknown_rank(0, c.dtype(0));
}

/// Any number of operands, taken in pairs from the left; NaN wins.
void run_extremum(RunContext& c, bool largest) {
  const bool done = visit_number(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    const auto pick = [largest](auto a, auto b) {
      if (a != a) return a;
      if (b != b) return b;
      return largest ? (a < b ? b : a) : (b < a ? b : a);
    };
    Tensor so_far = c.input(0);
    for (size_t i = 1; i <= std::max<size_t>(1, c.input_count() - 1); ++i) {
      const Tensor& next = c.input_count() == 1 ? c.input(0) : c.input(i);
      const bool last = i + 1 >= c.input_count();
      // Every partial result has the output's shape: it broadcasts no further.
      Tensor out = last ? c.output(0) : Tensor(c.output(0).dtype(), c.output(0).shape(), true);
      combine<T>(c, so_far, next, out, pick);
      so_far = out;
    }
  });
  if (!done)
    c.unsupported("takes elements of type " + std::string(name_of(c.input(0).dtype())) + ", which is not supported");
}
void run_min(RunContext& c) { run_extremum(c, false); }
void run_max(RunContext& c) { run_extremum(c, true); }

}  // namespace

const Operator& min_op() {
  static const Operator op{"Min", "", 1, 1 << 16, 1, infer_extremum, run_min, Layout::kElementwise, false};
  return op;
}
const Operator& max_op() {
  static const Operator op{"Max", "", 1, 1 << 16, 1, infer_extremum, run_max, Layout::kElementwise, false};
  return op;
}

#define NIBBLE_ARITHMETIC(function, onnx_name, body)                                                      \
  const Operator& function() {                                                                            \
    static const Operator op{onnx_name, "", 2, 2, 1, infer_broadcast, body, Layout::kElementwise, false}; \
    return op;                                                                                            \
  }
NIBBLE_ARITHMETIC(add, "Add", run_add)
NIBBLE_ARITHMETIC(sub, "Sub", run_sub)
NIBBLE_ARITHMETIC(mul, "Mul", run_mul)
NIBBLE_ARITHMETIC(div_op, "Div", run_div)
#undef NIBBLE_ARITHMETIC

}  // namespace nibble::ops
