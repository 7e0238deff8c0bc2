// Comparisons and logic with numpy broadcasting: their results are truth values, one byte each.
#include "ops/combine.h"

namespace nibble::ops {
namespace {

void infer_comparison(InferContext& c) { infer_broadcast(c, DType::boolean); }
void infer_logic(InferContext& c) {
  c.require(c.dtype(0) == DType::boolean, "its inputs must be truth values");
  infer_broadcast(c, DType::boolean);
}

/// Over numbers and, as 0 and 1, truth values.
template <typename F>
void compare(RunContext& c, F f) {
  const auto as = [&](auto t) { combine<decltype(t), uint8_t>(c.pool(), c.input(0), c.input(1), c.output(0), f); };
  if (c.input(0).dtype() == DType::boolean) return as(uint8_t{});
  if (!visit_number(c.input(0).dtype(), as)) c.unsupported_type();
}

/// Where(condition, X, Y), all three broadcast; elements of X and Y are opaque bytes.
void infer_where(InferContext& c) {
  c.require(c.dtype(0) == DType::boolean, "its condition must be truth values");
  infer_broadcast_of_all(c, 1);
}
template <typename T>
void choose(RunContext& c) {
  const Shape& shape = c.output(0).shape();
  const size_t rank = shape.size();
  std::array<std::vector<int64_t>, 3> strides;
  for (size_t i = 0; i < 3; ++i) strides[i] = repeated_strides(c.input(i).shape(), rank);
  const auto* condition = data_of<uint8_t>(c.input(0));
  const T *x = data_of<T>(c.input(1)), *y = data_of<T>(c.input(2));
  T* out = mutable_data_of<T>(c.output(0));
  const int64_t inner = rank ? shape[rank - 1] : 1;
  std::array<int64_t, 3> step{};
  for (size_t i = 0; i < 3; ++i) step[i] = rank ? strides[i][rank - 1] : 0;
  for_ranges(
      c.pool(), c.output(0).elements() / inner, std::max<int64_t>(1, kGrain / inner), [&](int64_t begin, int64_t end) {
        for (int64_t run = begin; run < end; ++run) {
          std::array<int64_t, 3> at{};
          int64_t rest = run;
          for (size_t d = rank ? rank - 1 : 0; d-- > 0; rest /= shape[d])
            for (size_t i = 0; i < 3; ++i) at[i] += rest % shape[d] * strides[i][d];
          for (int64_t k = 0; k < inner; ++k)
            out[run * inner + k] = condition[at[0] + k * step[0]] ? x[at[1] + k * step[1]] : y[at[2] + k * step[2]];
        }
      });
}
void run_where(RunContext& c) {
  if (c.output(0).elements() == 0) return;
  switch (bits_of(c.input(1).dtype())) {
    case 8:
      return choose<uint8_t>(c);
    case 16:
      return choose<uint16_t>(c);
    case 32:
      return choose<uint32_t>(c);
    case 64:
      return choose<uint64_t>(c);
    default:
      c.unsupported_type(1);
  }
}

}  // namespace

#define NIBBLE_COMPARISON(function, onnx_name, infer, expression)                                         \
  const Operator& function() {                                                                            \
    static const auto run = [](RunContext& c) { compare(c, [](auto a, auto b) { return expression; }); }; \
    static const Operator op{onnx_name, "", 2, 2, 1, infer, run, Layout::kBroadcast, false};              \
    return op;                                                                                            \
  }
NIBBLE_COMPARISON(equal, "Equal", infer_comparison, a == b)
NIBBLE_COMPARISON(less, "Less", infer_comparison, a < b)
NIBBLE_COMPARISON(less_or_equal, "LessOrEqual", infer_comparison, a <= b)
NIBBLE_COMPARISON(greater, "Greater", infer_comparison, a > b)
NIBBLE_COMPARISON(greater_or_equal, "GreaterOrEqual", infer_comparison, a >= b)
NIBBLE_COMPARISON(and_op, "And", infer_logic, (a != 0 && b != 0))
NIBBLE_COMPARISON(or_op, "Or", infer_logic, (a != 0 || b != 0))
NIBBLE_COMPARISON(xor_op, "Xor", infer_logic, ((a != 0) != (b != 0)))
#undef NIBBLE_COMPARISON

const Operator& where() {
  static const Operator op{"Where", "", 3, 3, 1, infer_where, run_where, Layout::kBroadcast, false};
  return op;
}

}  // namespace nibble::ops
