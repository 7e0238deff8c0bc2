// Operators that map every element by itself. Formulas: the ONNX operator specifications.
#include <algorithm>
#include <cmath>

#include "ops/element_types.h"

namespace nibble::ops {
namespace {

void infer_same(InferContext& c) {
  if (c.shape_known(0))
    c.output(0, c.dtype(0), c.shape(0));
  else
    c.output_of_unknown_rank(0, c.dtype(0));
}

template <typename T, typename F>
void map_elements(RunContext& c, F f) {
  const T* x = data_of<T>(c.input(0));
  T* y = mutable_data_of<T>(c.output(0));
  for_ranges(c.pool(), c.input(0).elements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = static_cast<T>(f(static_cast<ComputeOf<T>>(x[i])));
  });
}

/// Runs `make(c)`'s function over float types.
template <typename F>
void map_floats(RunContext& c, F f) {
  if (!visit_float(c.input(0).dtype(), [&](auto t) { map_elements<decltype(t)>(c, f); }))
    c.unsupported("takes elements of type " + std::string(name_of(c.input(0).dtype())) + ", which is not supported");
}
template <typename F>
void map_numbers(RunContext& c, F f) {
  if (!visit_number(c.input(0).dtype(), [&](auto t) { map_elements<decltype(t)>(c, f); }))
    c.unsupported("takes elements of type " + std::string(name_of(c.input(0).dtype())) + ", which is not supported");
}

/// -x; the lowest integer stays what it is, as in numpy.
template <typename V>
V negated(V x) {
  if constexpr (std::is_integral_v<V>)
    return static_cast<V>(uint64_t{0} - static_cast<uint64_t>(x));
  else
    return -x;
}

void run_relu(RunContext& c) {
  map_numbers(c, [](auto x) { return x > decltype(x){} ? x : decltype(x){}; });
}
void run_leaky_relu(RunContext& c) {
  const float alpha = c.node().real("alpha", 0.01f);
  map_floats(c, [alpha](auto x) { return x < 0 ? static_cast<decltype(x)>(alpha) * x : x; });
}
void run_sigmoid(RunContext& c) {
  map_floats(c, [](auto x) { return 1 / (1 + std::exp(-x)); });
}
void run_hard_sigmoid(RunContext& c) {
  const float alpha = c.node().real("alpha", 0.2f), beta = c.node().real("beta", 0.5f);
  map_floats(c, [=](auto x) {
    using T = decltype(x);
    return std::max(T{0}, std::min(T{1}, static_cast<T>(alpha) * x + static_cast<T>(beta)));
  });
}
void run_hard_swish(RunContext& c) {
  map_floats(c, [](auto x) {
    using T = decltype(x);
    return x * std::max(T{0}, std::min(T{1}, x / 6 + T{0.5}));
  });
}
void run_tanh(RunContext& c) {
  map_floats(c, [](auto x) { return std::tanh(x); });
}
void run_elu(RunContext& c) {
  const float alpha = c.node().real("alpha", 1.0f);
  map_floats(c, [alpha](auto x) { return x < 0 ? static_cast<decltype(x)>(alpha) * std::expm1(x) : x; });
}
void run_exp(RunContext& c) {
  map_floats(c, [](auto x) { return std::exp(x); });
}
void run_log(RunContext& c) {
  map_floats(c, [](auto x) { return std::log(x); });
}
void run_sqrt(RunContext& c) {
  map_floats(c, [](auto x) { return std::sqrt(x); });
}
void run_neg(RunContext& c) {
  map_numbers(c, [](auto x) { return negated(x); });
}
void run_abs(RunContext& c) {
  map_numbers(c, [](auto x) {
    if constexpr (std::is_unsigned_v<decltype(x)>)
      return x;
    else
      return x < 0 ? negated(x) : x + decltype(x){};  // the sum makes -0 a 0
  });
}

void infer_clip(InferContext& c) {
  for (size_t i = 1; i < 3; ++i)
    if (c.has(i)) c.require(c.dtype(i) == c.dtype(0), "its limits are of another type than its input");
  infer_same(c);
}
void run_clip(RunContext& c) {
  const auto clip_as = [&](auto t) {
    using T = decltype(t);
    using V = ComputeOf<T>;
    for (size_t i = 1; i < 3; ++i)
      if (c.has(i) && c.input(i).elements() != 1) c.malformed("its limits must be single numbers");
    V low = std::numeric_limits<V>::lowest(), high = std::numeric_limits<V>::max();
    if constexpr (is_float<T>) low = -std::numeric_limits<V>::infinity(), high = std::numeric_limits<V>::infinity();
    if (c.has(1)) low = static_cast<V>(data_of<T>(c.input(1))[0]);
    if (c.has(2)) high = static_cast<V>(data_of<T>(c.input(2))[0]);
    map_elements<T>(c, [=](V x) { return std::min(std::max(x, low), high); });  // high wins over low, as in ONNX
  };
  if (!visit_number(c.input(0).dtype(), clip_as)) c.unsupported("takes a type that is not supported");
}

}  // namespace

#define NIBBLE_ACTIVATION(function, onnx_name, body)                                                 \
  const Operator& function() {                                                                       \
    static const Operator op{onnx_name, "", 1, 1, 1, infer_same, body, Layout::kElementwise, false}; \
    return op;                                                                                       \
  }
NIBBLE_ACTIVATION(relu, "Relu", run_relu)
NIBBLE_ACTIVATION(leaky_relu, "LeakyRelu", run_leaky_relu)
NIBBLE_ACTIVATION(sigmoid, "Sigmoid", run_sigmoid)
NIBBLE_ACTIVATION(hard_sigmoid, "HardSigmoid", run_hard_sigmoid)
NIBBLE_ACTIVATION(hard_swish, "HardSwish", run_hard_swish)
NIBBLE_ACTIVATION(tanh_op, "Tanh", run_tanh)
NIBBLE_ACTIVATION(elu, "Elu", run_elu)
NIBBLE_ACTIVATION(exp_op, "Exp", run_exp)
NIBBLE_ACTIVATION(log_op, "Log", run_log)
NIBBLE_ACTIVATION(sqrt_op, "Sqrt", run_sqrt)
NIBBLE_ACTIVATION(neg, "Neg", run_neg)
NIBBLE_ACTIVATION(abs_op, "Abs", run_abs)
#undef NIBBLE_ACTIVATION

const Operator& clip() {
  static const Operator op{"Clip", "", 1, 3, 1, infer_clip, run_clip, Layout::kElementwise, false};
  return op;
}

}  // namespace nibble::ops
