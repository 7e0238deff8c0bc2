// Functions of one number, applied to every element by itself; one line a function. Formulas: the ONNX operator
// specifications. Activations with attributes are in activations.cpp.
#include <algorithm>
#include <cmath>

#include "ops/map.h"

namespace nibble::ops {
namespace {

/// x rounded to the nearest integer, ties to even (the default rounding of the processor).
template <typename V>
V rounded(V x) {
  return std::nearbyint(x);
}
template <typename V>
V sign_of(V x) {
  return static_cast<V>((x > V{}) - (x < V{}));
}
template <typename V>
V softplus_of(V x) {
  // log(1 + e^x) without overflow: max(x, 0) + log(1 + e^-|x|).
  return std::max(x, V{}) + std::log1p(std::exp(-std::fabs(x)));
}

void infer_boolean(InferContext& c) { c.output_like(0, DType::boolean, 0); }

void run_is_nan(RunContext& c) {
  if (!visit_float(c.input(0).dtype(), [&](auto t) {
        using T = decltype(t);
        map_elements<T, uint8_t>(c, [](auto x) { return std::isnan(x); });
      }))
    c.unsupported_type();
}
void run_is_inf(RunContext& c) {
  const bool positive = c.node().integer("detect_positive", 1) != 0;
  const bool negative = c.node().integer("detect_negative", 1) != 0;
  if (!visit_float(c.input(0).dtype(), [&](auto t) {
        using T = decltype(t);
        map_elements<T, uint8_t>(c, [=](auto x) { return std::isinf(x) && (x > 0 ? positive : negative); });
      }))
    c.unsupported_type();
}

void infer_not(InferContext& c) {
  c.require(c.dtype(0) == DType::boolean, "its input must be truth values");
  infer_same(c);
}
void run_not(RunContext& c) {
  map_elements<uint8_t, uint8_t>(c, [](uint8_t x) { return x == 0; });
}
void run_bitwise_not(RunContext& c) {
  if (!visit_integer(c.input(0).dtype(), [&](auto t) { map_elements<decltype(t)>(c, [](auto x) { return ~x; }); }))
    c.unsupported_type();
}

}  // namespace

#define NIBBLE_UNARY_WITH(function, onnx_name, infer, body)                                     \
  const Operator& function() {                                                                  \
    static const Operator op{onnx_name, "", 1, 1, 1, infer, body, Layout::kElementwise, false}; \
    return op;                                                                                  \
  }
#define NIBBLE_UNARY(function, onnx_name, visit, expression) \
  NIBBLE_UNARY_WITH(function, onnx_name, infer_same, [](RunContext& c) { visit(c, [](auto x) { return expression; }); })

NIBBLE_UNARY(sign, "Sign", map_numbers, sign_of(x))
NIBBLE_UNARY(floor_op, "Floor", map_floats, std::floor(x))
NIBBLE_UNARY(ceil_op, "Ceil", map_floats, std::ceil(x))
NIBBLE_UNARY(round_op, "Round", map_floats, rounded(x))
NIBBLE_UNARY(reciprocal, "Reciprocal", map_floats, 1 / x)
NIBBLE_UNARY(sin_op, "Sin", map_floats, std::sin(x))
NIBBLE_UNARY(cos_op, "Cos", map_floats, std::cos(x))
NIBBLE_UNARY(tan_op, "Tan", map_floats, std::tan(x))
NIBBLE_UNARY(asin_op, "Asin", map_floats, std::asin(x))
NIBBLE_UNARY(acos_op, "Acos", map_floats, std::acos(x))
NIBBLE_UNARY(atan_op, "Atan", map_floats, std::atan(x))
NIBBLE_UNARY(sinh_op, "Sinh", map_floats, std::sinh(x))
NIBBLE_UNARY(cosh_op, "Cosh", map_floats, std::cosh(x))
NIBBLE_UNARY(asinh_op, "Asinh", map_floats, std::asinh(x))
NIBBLE_UNARY(acosh_op, "Acosh", map_floats, std::acosh(x))
NIBBLE_UNARY(atanh_op, "Atanh", map_floats, std::atanh(x))
NIBBLE_UNARY(erf_op, "Erf", map_floats, std::erf(x))
NIBBLE_UNARY(softplus, "Softplus", map_floats, softplus_of(x))
NIBBLE_UNARY(softsign, "Softsign", map_floats, x / (1 + std::fabs(x)))
NIBBLE_UNARY(mish, "Mish", map_floats, x* std::tanh(softplus_of(x)))
NIBBLE_UNARY_WITH(is_nan, "IsNaN", infer_boolean, run_is_nan)
NIBBLE_UNARY_WITH(is_inf, "IsInf", infer_boolean, run_is_inf)
NIBBLE_UNARY_WITH(not_op, "Not", infer_not, run_not)
NIBBLE_UNARY_WITH(bitwise_not, "BitwiseNot", infer_same, run_bitwise_not)
#undef NIBBLE_UNARY
#undef NIBBLE_UNARY_WITH

}  // namespace nibble::ops
