// Arithmetic of two or more operands with numpy broadcasting. Integers wrap; integer division truncates toward zero; by
// zero it is an Error.
#include <algorithm>
#include <cmath>

#include "ops/combine.h"
#include "ops/numbers.h"

namespace nibble::ops {
namespace {

template <typename F>
void run_numbers(RunContext& c, F f) {
  if (!visit_number(c.input(0).dtype(),
                    [&](auto t) { combine<decltype(t)>(c.pool(), c.input(0), c.input(1), c.output(0), f); }))
    c.unsupported_type();
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
void refuse_zero_divisor(RunContext& c) {
  visit_integer(c.input(1).dtype(), [&](auto t) {
    using T = decltype(t);
    const T* b = data_of<T>(c.input(1));
    for (int64_t i = 0; i < c.input(1).elements(); ++i)
      if (b[i] == 0) c.malformed("divides an integer by zero");
  });
}

void run_div(RunContext& c) {
  refuse_zero_divisor(c);
  run_numbers(c, [](auto a, auto b) {
    using V = decltype(a);
    if constexpr (std::is_integral_v<V> && std::is_signed_v<V>)
      return b == V{-1} ? static_cast<V>(-wrapping(a)) : static_cast<V>(a / b);  // the lowest value wraps, no trap
    else
      return static_cast<V>(a / b);
  });
}

/// fmod = 1: the sign of the dividend, C's fmod; else that of the divisor, Python's %.
void run_mod(RunContext& c) {
  refuse_zero_divisor(c);
  const bool c_style = c.node().integer("fmod", 0) != 0;
  run_numbers(c, [c_style](auto a, auto b) {
    using V = decltype(a);
    if constexpr (std::is_integral_v<V>) {
      if constexpr (std::is_signed_v<V>)
        if (b == V{-1}) return V{0};  // the lowest value would trap
      const V r = static_cast<V>(a % b);
      return !c_style && r != 0 && (r < 0) != (b < 0) ? static_cast<V>(r + b) : r;
    } else {
      const V r = std::fmod(a, b);
      return !c_style && r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
  });
}

/// Integers by repeated squaring, wrapping; a negative exponent truncates the fraction toward zero.
template <typename V>
V integer_power(V base, double exponent) {
  if (exponent < 0)
    return base == 1                                           ? V{1}
           : base == static_cast<V>(-1) && std::is_signed_v<V> ? static_cast<V>(std::fmod(exponent, 2) == 0 ? 1 : -1)
                                                               : V{0};
  auto n = static_cast<uint64_t>(std::min(exponent, 9e18));
  uint64_t result = 1, factor = static_cast<uint64_t>(base);
  for (; n; n >>= 1, factor *= factor)
    if (n & 1) result *= factor;
  return static_cast<V>(result);
}

void infer_pow(InferContext& c) {
  if (c.shape_known(0) && c.shape_known(1))
    c.output(0, c.dtype(0), broadcast_shape(c, c.shape(0), c.shape(1)));
  else
    c.output_of_unknown_rank(0, c.dtype(0));
}
/// The exponent may be of another type than the base; where it is, it is read as double.
void run_pow(RunContext& c) {
  Tensor exponent = c.input(1);
  const bool same = exponent.dtype() == c.input(0).dtype();
  const bool whole = visit_integer(c.input(0).dtype(), [](auto) {});
  if (!same || whole) exponent = encode_numbers(DType::f64, exponent.shape(), decode_numbers(exponent), true);
  const auto done = visit_number(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    using V = ComputeOf<T>;
    const auto power = [](V a, auto b) {
      if constexpr (std::is_integral_v<V>) {
        return integer_power<V>(
            a, std::trunc(static_cast<double>(b)) == static_cast<double>(b) ? static_cast<double>(b) : 0.0);
      } else {
        return b == 2 ? a * a : static_cast<V>(std::pow(a, static_cast<V>(b)));  // exact, and by far the most common
      }
    };
    if constexpr (!std::is_integral_v<T>)
      if (same) return combine<T>(c.pool(), c.input(0), exponent, c.output(0), power);
    combine_mixed<T, double, T>(c.pool(), c.input(0), exponent, c.output(0), power);
  });
  if (!done) c.unsupported_type();
}

void infer_all(InferContext& c) { infer_broadcast_of_all(c); }

/// Any number of operands, taken in pairs from the left.
template <typename F>
void fold_left(RunContext& c, F f) {
  const bool done = visit_number(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    if (c.input_count() == 1) return void(c.output(0) = c.input(0));
    Tensor so_far = c.input(0);
    for (size_t i = 1; i < c.input_count(); ++i) {
      // Every partial result has the output's shape: it broadcasts no further.
      Tensor out = i + 1 == c.input_count() ? c.output(0) : Tensor(c.output(0).dtype(), c.output(0).shape(), true);
      combine<T>(c.pool(), so_far, c.input(i), out, f);
      so_far = out;
    }
  });
  if (!done) c.unsupported_type();
}
/// NaN wins.
void run_extremum(RunContext& c, bool largest) {
  fold_left(c, [largest](auto a, auto b) {
    if (a != a) return a;
    if (b != b) return b;
    return largest ? (a < b ? b : a) : (b < a ? b : a);
  });
}
void run_min(RunContext& c) { run_extremum(c, false); }
void run_max(RunContext& c) { run_extremum(c, true); }
void run_sum(RunContext& c) {
  fold_left(c, [](auto a, auto b) { return static_cast<decltype(a)>(wrapping(a) + wrapping(b)); });
}
void run_mean(RunContext& c) {
  run_sum(c);
  const bool done = visit_float(c.output(0).dtype(), [&](auto t) {
    using T = decltype(t);
    Tensor sum = c.output(0);
    Tensor mean(sum.dtype(), sum.shape(), true);  // the sum of one operand is the operand itself
    const auto count = static_cast<ComputeOf<T>>(c.input_count());
    for (int64_t i = 0; i < sum.elements(); ++i)
      mutable_data_of<T>(mean)[i] = static_cast<T>(static_cast<ComputeOf<T>>(data_of<T>(sum)[i]) / count);
    c.output(0) = mean;
  });
  if (!done) c.unsupported_type();
}

void infer_prelu(InferContext& c) {
  c.require(c.dtype(0) == c.dtype(1), "its two inputs have different element types");
  if (c.shape_known(0) && c.shape_known(1))
    for (const Shape joined = broadcast_shape(c, c.shape(0), c.shape(1)); joined.size() != c.shape(0).size();)
      c.malformed("its slope " + to_string(c.shape(1)) + " has more dimensions than its input " +
                  to_string(c.shape(0)));
  infer_same(c);
}
void run_prelu(RunContext& c) {
  run_numbers(c, [](auto x, auto slope) { return x < 0 ? static_cast<decltype(x)>(x * slope) : x; });
}

void infer_two(InferContext& c) { infer_broadcast(c, c.dtype(0)); }
template <typename F>
void run_integers(RunContext& c, F f) {
  if (!visit_integer(c.input(0).dtype(),
                     [&](auto t) { combine<decltype(t)>(c.pool(), c.input(0), c.input(1), c.output(0), f); }))
    c.unsupported_type();
}
void run_bitwise_and(RunContext& c) {
  run_integers(c, [](auto a, auto b) { return a & b; });
}
void run_bitwise_or(RunContext& c) {
  run_integers(c, [](auto a, auto b) { return a | b; });
}
void run_bitwise_xor(RunContext& c) {
  run_integers(c, [](auto a, auto b) { return a ^ b; });
}

/// Bits that leave the type are lost; a signed number keeps its sign to the right.
void run_bit_shift(RunContext& c) {
  const std::string direction = c.node().text("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") c.malformed("direction is " + base::in_quotes(direction));
  const bool left = direction == "LEFT";
  run_integers(c, [left](auto a, auto b) {
    using V = decltype(a);
    constexpr auto kBits = static_cast<V>(8 * sizeof(V));
    const bool all = b < 0 || b >= kBits;
    if (left) return all ? V{0} : static_cast<V>(static_cast<uint64_t>(a) << b);
    return all ? (a < 0 ? static_cast<V>(-1) : V{0}) : static_cast<V>(a >> b);
  });
}

}  // namespace

#define NIBBLE_VARIADIC(function, onnx_name, body)                                                      \
  const Operator& function() {                                                                          \
    static const Operator op{onnx_name, "", 1, 1 << 16, 1, infer_all, body, Layout::kBroadcast, false}; \
    return op;                                                                                          \
  }
NIBBLE_VARIADIC(min_op, "Min", run_min)
NIBBLE_VARIADIC(max_op, "Max", run_max)
NIBBLE_VARIADIC(sum_op, "Sum", run_sum)
NIBBLE_VARIADIC(mean_op, "Mean", run_mean)
#undef NIBBLE_VARIADIC

#define NIBBLE_ARITHMETIC(function, onnx_name, infer, body)                                   \
  const Operator& function() {                                                                \
    static const Operator op{onnx_name, "", 2, 2, 1, infer, body, Layout::kBroadcast, false}; \
    return op;                                                                                \
  }
NIBBLE_ARITHMETIC(add, "Add", infer_two, run_add)
NIBBLE_ARITHMETIC(sub, "Sub", infer_two, run_sub)
NIBBLE_ARITHMETIC(mul, "Mul", infer_two, run_mul)
NIBBLE_ARITHMETIC(div_op, "Div", infer_two, run_div)
NIBBLE_ARITHMETIC(mod_op, "Mod", infer_two, run_mod)
NIBBLE_ARITHMETIC(pow_op, "Pow", infer_pow, run_pow)
NIBBLE_ARITHMETIC(prelu, "PRelu", infer_prelu, run_prelu)
NIBBLE_ARITHMETIC(bitwise_and, "BitwiseAnd", infer_two, run_bitwise_and)
NIBBLE_ARITHMETIC(bitwise_or, "BitwiseOr", infer_two, run_bitwise_or)
NIBBLE_ARITHMETIC(bitwise_xor, "BitwiseXor", infer_two, run_bitwise_xor)
NIBBLE_ARITHMETIC(bit_shift, "BitShift", infer_two, run_bit_shift)
#undef NIBBLE_ARITHMETIC

}  // namespace nibble::ops
