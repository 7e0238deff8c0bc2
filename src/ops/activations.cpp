// Activations and other operators that map every element by itself, with attributes or with a rule for integers; plain
// functions of one number are in unary.cpp. Formulas: the ONNX operator specifications.
#include <algorithm>
#include <cmath>

#include "ops/map.h"

namespace nibble::ops {
namespace {

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
void run_selu(RunContext& c) {
  const float alpha = c.node().real("alpha", 1.67326319217681884765625f);
  const float gamma = c.node().real("gamma", 1.05070102214813232421875f);
  map_floats(c, [=](auto x) {
    using T = decltype(x);
    return static_cast<T>(gamma) * (x > 0 ? x : static_cast<T>(alpha) * std::expm1(x));
  });
}
void run_celu(RunContext& c) {
  const float alpha = c.node().real("alpha", 1.0f);
  map_floats(c, [alpha](auto x) {
    using T = decltype(x);
    return std::max(T{0}, x) + std::min(T{0}, static_cast<T>(alpha) * std::expm1(x / static_cast<T>(alpha)));
  });
}
void run_thresholded_relu(RunContext& c) {
  const float alpha = c.node().real("alpha", 1.0f);
  map_floats(c, [alpha](auto x) { return x > static_cast<decltype(x)>(alpha) ? x : decltype(x){0}; });
}
void run_shrink(RunContext& c) {
  const float bias = c.node().real("bias", 0.0f), lambda = c.node().real("lambd", 0.5f);
  map_numbers(c, [=](auto x) {
    using T = decltype(x);
    const float v = static_cast<float>(x);
    return v < -lambda ? static_cast<T>(v + bias) : v > lambda ? static_cast<T>(v - bias) : T{0};
  });
}
void run_swish(RunContext& c) {
  const float alpha = c.node().real("alpha", 1.0f);
  map_floats(c, [alpha](auto x) { return x / (1 + std::exp(-static_cast<decltype(x)>(alpha) * x)); });
}
/// x P(X <= x) of a normal X, exact or by the approximation with tanh.
void infer_gelu(InferContext& c) {
  const std::string kind = c.node().text("approximate", "none");
  c.require(kind == "none" || kind == "tanh", "approximate is " + base::in_quotes(kind));
  infer_same(c);
}
void run_gelu(RunContext& c) {
  if (c.node().text("approximate", "none") == "tanh")
    return map_floats(c, [](auto x) {
      using T = decltype(x);
      return x / 2 *
             (1 + std::tanh(static_cast<T>(0.79788456080286535588) * (x + static_cast<T>(0.044715) * x * x * x)));
    });
  map_floats(c, [](auto x) { return x / 2 * (1 + std::erf(x * static_cast<decltype(x)>(0.70710678118654752440))); });
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
NIBBLE_ACTIVATION(selu, "Selu", run_selu)
NIBBLE_ACTIVATION(celu, "Celu", run_celu)
NIBBLE_ACTIVATION(thresholded_relu, "ThresholdedRelu", run_thresholded_relu)
NIBBLE_ACTIVATION(shrink, "Shrink", run_shrink)
NIBBLE_ACTIVATION(swish, "Swish", run_swish)
NIBBLE_ACTIVATION(exp_op, "Exp", run_exp)
NIBBLE_ACTIVATION(log_op, "Log", run_log)
NIBBLE_ACTIVATION(sqrt_op, "Sqrt", run_sqrt)
NIBBLE_ACTIVATION(neg, "Neg", run_neg)
NIBBLE_ACTIVATION(abs_op, "Abs", run_abs)
#undef NIBBLE_ACTIVATION

const Operator& gelu() {
  static const Operator op{"Gelu", "", 1, 1, 1, infer_gelu, run_gelu, Layout::kElementwise, false};
  return op;
}
const Operator& clip() {
  static const Operator op{"Clip", "", 1, 3, 1, infer_clip, run_clip, Layout::kElementwise, false};
  return op;
}

}  // namespace nibble::ops
