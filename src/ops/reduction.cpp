// Reductions over axes, and ArgMax/ArgMin. One sum, in double for floats, walks in a fixed order for every output
// element: results do not depend on the number of threads.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/element_types.h"

namespace nibble::ops {
namespace {

/// The axes that a reduction runs over, by dimension; input 1 names them, none means all (or nothing, where
/// noop_with_empty_axes is set).
std::vector<bool> reduced_axes(const InferContext& c, size_t rank) {
  std::vector<bool> reduced(rank, false);
  std::vector<int64_t> axes;
  if (c.has(1)) {
    c.require(c.dtype(1) == DType::i64 || c.dtype(1) == DType::i32, "its axes must be integers");
    axes = integers_of(*c.data(1));
  }
  if (axes.empty()) return std::vector<bool>(rank, c.node().integer("noop_with_empty_axes", 0) == 0);
  for (const int64_t a : axes) reduced[static_cast<size_t>(checked_axis(c, a, static_cast<int64_t>(rank)))] = true;
  return reduced;
}

Shape reduced_shape(const Shape& x, const std::vector<bool>& reduced, bool keep) {
  Shape shape;
  for (size_t d = 0; d < x.size(); ++d)
    if (!reduced[d])
      shape.push_back(x[d]);
    else if (keep)
      shape.push_back(1);
  return shape;
}

void infer_reduction(InferContext& c) {
  const bool keep = c.node().integer("keepdims", 1) != 0;
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  if (c.has(1) && !c.data(1)) {
    if (!keep) return c.output_of_unknown_rank(0, c.dtype(0));
    return c.output(0, c.dtype(0), Shape(c.shape(0).size(), kUnknown));
  }
  c.output(0, c.dtype(0), reduced_shape(c.shape(0), reduced_axes(c, c.shape(0).size()), keep));
}

/// Where the elements of one output lie: `outer` strides lead to its first element, `inner` ones through all of them.
/// Neighbouring dimensions of one kind are merged.
struct ReductionPlan {
  Shape kept, reduced;
  std::vector<int64_t> kept_strides, reduced_strides;
};
ReductionPlan plan_reduction(const Shape& x, const std::vector<bool>& reduced) {
  ReductionPlan plan;
  int64_t stride = 1, last = -1;
  for (size_t d = x.size(); d-- > 0; stride *= x[d]) {
    Shape& sizes = reduced[d] ? plan.reduced : plan.kept;
    auto& strides = reduced[d] ? plan.reduced_strides : plan.kept_strides;
    if (last == static_cast<int64_t>(reduced[d])) {
      sizes.back() *= x[d];
    } else {
      sizes.push_back(x[d]);
      strides.push_back(stride);
    }
    last = static_cast<int64_t>(reduced[d]);
  }
  return plan;  // innermost first
}

/// Calls body(output, first): `first` is the place of the first element of that output.
template <typename Body>
void for_each_output(RunContext& c, const ReductionPlan& plan, int64_t outputs, int64_t each, Body&& body) {
  for_ranges(c.pool(), outputs, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, each)),
             [&](int64_t begin, int64_t end) {
               for (int64_t o = begin; o < end; ++o) {
                 int64_t rest = o, at = 0;
                 for (size_t d = 0; d < plan.kept.size(); rest /= plan.kept[d++])
                   at += rest % plan.kept[d] * plan.kept_strides[d];
                 body(o, at);
               }
             });
}

/// Calls visit(element) over the elements of one output, outermost dimension first.
template <typename T, typename Visit>
void for_each_element(const T* x, const ReductionPlan& plan, size_t depth, Visit&& visit) {
  if (depth == 0) return void(visit(*x));
  const int64_t stride = plan.reduced_strides[depth - 1], size = plan.reduced[depth - 1];
  if (depth == 1)
    for (int64_t i = 0; i < size; ++i) visit(x[i * stride]);
  else
    for (int64_t i = 0; i < size; ++i) for_each_element(x + i * stride, plan, depth - 1, visit);
}

/// What a reduction computes: `start` is the state before the first element, `step` takes one, `end` makes the result.
/// Sums of floats are kept in double, those of integers in 64 bits, wrapping.
template <typename Start, typename Step, typename End>
void reduce(RunContext& c, Start start, Step step, End end) {
  const Tensor& x = c.input(0);
  const auto facts = facts_of(c);
  const auto reduced = reduced_axes(InferContext(c.node(), facts, {}), x.shape().size());
  const ReductionPlan plan = plan_reduction(x.shape(), reduced);
  const int64_t each = element_count(plan.reduced);
  const auto as = [&](auto t) {
    using T = decltype(t);
    using V = ComputeOf<T>;
    using Sum = std::conditional_t<is_float<T>, double, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;
    T* y = mutable_data_of<T>(c.output(0));
    for_each_output(c, plan, c.output(0).elements(), each, [&](int64_t o, int64_t first) {
      Sum sum = static_cast<Sum>(start(V{}));
      if (each > 0)
        for_each_element(data_of<T>(x) + first, plan, plan.reduced.size(),
                         [&](T v) { sum = step(sum, static_cast<Sum>(static_cast<V>(v))); });
      y[o] = static_cast<T>(end(sum, each));
    });
  };
  if (x.dtype() == DType::boolean) return as(uint8_t{});
  if (!visit_number(x.dtype(), as)) c.unsupported_type();
}

constexpr auto kZero = [](auto v) { return decltype(v){}; };
constexpr auto kOne = [](auto v) { return static_cast<decltype(v)>(1); };
constexpr auto kAsIs = [](auto sum, int64_t) { return sum; };
template <typename S>
S plus(S a, S b) {
  if constexpr (std::is_integral_v<S>)
    return static_cast<S>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return a + b;
}
template <typename S>
S times(S a, S b) {
  if constexpr (std::is_integral_v<S>)
    return static_cast<S>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else
    return a * b;
}
template <typename S>
S magnitude(S v) {
  if constexpr (std::is_unsigned_v<S>)
    return v;
  else if constexpr (std::is_integral_v<S>)
    return v < 0 ? static_cast<S>(-static_cast<uint64_t>(v)) : v;
  else
    return std::fabs(v);
}
/// The double nearest the root, of integers its whole part.
constexpr auto kRoot = [](auto sum, int64_t) {
  return static_cast<decltype(sum)>(std::sqrt(static_cast<double>(sum)));
};
constexpr auto kLog = [](auto sum, int64_t) { return static_cast<decltype(sum)>(std::log(static_cast<double>(sum))); };

void run_sum(RunContext& c) {
  reduce(
      c, kZero, [](auto s, auto v) { return plus(s, v); }, kAsIs);
}
void run_mean(RunContext& c) {
  reduce(
      c, kZero, [](auto s, auto v) { return plus(s, v); },
      [](auto sum, int64_t n) {
        if constexpr (std::is_integral_v<decltype(sum)>)
          return n ? static_cast<decltype(sum)>(sum / static_cast<decltype(sum)>(n)) : decltype(sum){};
        else
          return sum / static_cast<double>(n);
      });
}
void run_prod(RunContext& c) {
  reduce(
      c, kOne, [](auto s, auto v) { return times(s, v); }, kAsIs);
}
void run_l1(RunContext& c) {
  reduce(
      c, kZero, [](auto s, auto v) { return plus(s, magnitude(v)); }, kAsIs);
}
void run_l2(RunContext& c) {
  reduce(
      c, kZero, [](auto s, auto v) { return plus(s, times(v, v)); }, kRoot);
}
void run_sum_square(RunContext& c) {
  reduce(
      c, kZero, [](auto s, auto v) { return plus(s, times(v, v)); }, kAsIs);
}
void run_log_sum(RunContext& c) {
  reduce(
      c, kZero, [](auto s, auto v) { return plus(s, v); }, kLog);
}
template <typename V>
V lowest_of(V) {
  if constexpr (std::is_floating_point_v<V>)
    return -std::numeric_limits<V>::infinity();
  else
    return std::numeric_limits<V>::lowest();
}
template <typename V>
V highest_of(V) {
  if constexpr (std::is_floating_point_v<V>)
    return std::numeric_limits<V>::infinity();
  else
    return std::numeric_limits<V>::max();
}
/// NaN wins.
void run_max(RunContext& c) {
  reduce(
      c, [](auto v) { return lowest_of(v); }, [](auto s, auto v) { return v > s || v != v ? v : s; }, kAsIs);
}
void run_min(RunContext& c) {
  reduce(
      c, [](auto v) { return highest_of(v); }, [](auto s, auto v) { return v < s || v != v ? v : s; }, kAsIs);
}
/// log(sum(e^x)) = m + log(sum(e^(x - m))) for the largest x, in one pass: the sum is scaled down as m grows.
void run_log_sum_exp(RunContext& c) {
  const Tensor& x = c.input(0);
  const auto facts = facts_of(c);
  const ReductionPlan plan =
      plan_reduction(x.shape(), reduced_axes(InferContext(c.node(), facts, {}), x.shape().size()));
  const int64_t each = element_count(plan.reduced);
  if (!visit_number(x.dtype(), [&](auto t) {
        using T = decltype(t);
        T* y = mutable_data_of<T>(c.output(0));
        for_each_output(c, plan, c.output(0).elements(), each, [&](int64_t o, int64_t first) {
          double most = -std::numeric_limits<double>::infinity(), sum = 0;
          const auto take = [&](T element) {
            const double v = static_cast<double>(element);
            if (v > most) {
              sum = std::isinf(most) ? 0.0 : sum * std::exp(most - v);
              most = v;
            }
            sum += std::isinf(v) && v == most ? 1.0 : std::exp(v - most);
          };
          if (each > 0) for_each_element(data_of<T>(x) + first, plan, plan.reduced.size(), take);
          y[o] = static_cast<T>(sum == 0 ? most : most + std::log(sum));
        });
      }))
    c.unsupported_type();
}

void infer_arg(InferContext& c) {
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, DType::i64);
  const Shape& x = c.shape(0);
  std::vector<bool> reduced(x.size(), false);
  const auto axis = static_cast<size_t>(checked_axis(c, c.node().integer("axis", 0), static_cast<int64_t>(x.size())));
  c.require(x[axis] != 0, "its axis is empty");
  reduced[axis] = true;
  c.output(0, DType::i64, reduced_shape(x, reduced, c.node().integer("keepdims", 1) != 0));
}
void run_arg(RunContext& c, bool largest) {
  const Tensor& x = c.input(0);
  int64_t axis = c.node().integer("axis", 0);
  if (axis < 0) axis += x.rank();
  const bool last = c.node().integer("select_last_index", 0) != 0;
  std::vector<bool> reduced(x.shape().size(), false);
  reduced[static_cast<size_t>(axis)] = true;
  const ReductionPlan plan = plan_reduction(x.shape(), reduced);
  const int64_t each = x.shape()[static_cast<size_t>(axis)], stride = plan.reduced_strides[0];
  int64_t* y = mutable_data_of<int64_t>(c.output(0));
  if (!visit_number(x.dtype(), [&](auto t) {
        using T = decltype(t);
        using V = ComputeOf<T>;
        for_each_output(c, plan, c.output(0).elements(), each, [&](int64_t o, int64_t first) {
          const T* row = data_of<T>(x) + first;
          int64_t best = 0;
          for (int64_t i = 1; i < each; ++i) {
            const V v = static_cast<V>(row[i * stride]), b = static_cast<V>(row[best * stride]);
            if ((largest ? v > b : v < b) || (last && v == b)) best = i;
          }
          y[o] = best;
        });
      }))
    c.unsupported_type();
}
void run_arg_max(RunContext& c) { run_arg(c, true); }
void run_arg_min(RunContext& c) { run_arg(c, false); }

}  // namespace

#define NIBBLE_REDUCTION(function, onnx_name, inputs, infer, body)                             \
  const Operator& function() {                                                                 \
    static const Operator op{onnx_name, "", 1, inputs, 1, infer, body, Layout::kFixed, false}; \
    return op;                                                                                 \
  }
NIBBLE_REDUCTION(reduce_sum, "ReduceSum", 2, infer_reduction, run_sum)
NIBBLE_REDUCTION(reduce_mean, "ReduceMean", 2, infer_reduction, run_mean)
NIBBLE_REDUCTION(reduce_max, "ReduceMax", 2, infer_reduction, run_max)
NIBBLE_REDUCTION(reduce_min, "ReduceMin", 2, infer_reduction, run_min)
NIBBLE_REDUCTION(reduce_prod, "ReduceProd", 2, infer_reduction, run_prod)
NIBBLE_REDUCTION(reduce_l1, "ReduceL1", 2, infer_reduction, run_l1)
NIBBLE_REDUCTION(reduce_l2, "ReduceL2", 2, infer_reduction, run_l2)
NIBBLE_REDUCTION(reduce_sum_square, "ReduceSumSquare", 2, infer_reduction, run_sum_square)
NIBBLE_REDUCTION(reduce_log_sum, "ReduceLogSum", 2, infer_reduction, run_log_sum)
NIBBLE_REDUCTION(reduce_log_sum_exp, "ReduceLogSumExp", 2, infer_reduction, run_log_sum_exp)
NIBBLE_REDUCTION(arg_max, "ArgMax", 1, infer_arg, run_arg_max)
NIBBLE_REDUCTION(arg_min, "ArgMin", 1, infer_arg, run_arg_min)
#undef NIBBLE_REDUCTION

}  // namespace nibble::ops
