// Arithmetic with broadcasting, comparisons and choices: forward and gradient.
#include "train/one_operator.h"

namespace nibble::test {

using tensor::Tensor;

std::vector<OperatorCase> arithmetic_cases() {
  restart_numbers();
  std::vector<OperatorCase> all;
  const auto add = [&](const char* op, const char* name, std::vector<Tensor> inputs, Attributes attributes = {},
                       std::vector<size_t> fixed = {}) {
    all.push_back({name, op, std::move(inputs), std::move(attributes), 1, std::move(fixed)});
  };
  const Tensor whole = list_of({7, -7, 5, 0}), divisor = list_of({2, 2, -3, 4});
  for (const char* op : {"Add", "Sub", "Mul"}) {
    add(op, "same", {normal({3, 4}), normal({3, 4})});
    add(op, "broadcast", {normal({2, 1, 4}), normal({3, 1})});
    add(op, "scalar", {normal({2, 3}), normal({})});
    add(op, "integers", {whole, divisor});
  }
  add("Div", "same", {normal({3, 4}), spread({3, 4}, 0.75, 2)});
  add("Div", "broadcast", {normal({2, 1, 4}), spread({3, 1}, -2, -0.75)});
  add("Div", "integers", {whole, divisor});
  // A sixteenth away from every multiple of the divisor.
  add("Mod", "c", {spread({8}, -2, 2), Tensor::scalar(1.0f)}, {{"fmod", int64_t{1}}}, {1});
  add("Mod", "integers", {whole, divisor});
  add("Mod", "integers_c", {whole, divisor}, {{"fmod", int64_t{1}}});
  add("Pow", "square", {normal({2, 5}), Tensor::scalar(2.0f)}, {}, {1});
  add("Pow", "both", {spread({2, 5}, 0.5, 2), normal({5})});
  add("Pow", "whole_exponent", {normal({2, 5}), Tensor::scalar(int64_t{3})});
  for (const char* op : {"Max", "Min"}) {
    // Multiples of an eighth against numbers a sixteenth off: no two are equal.
    add(op, "two", {eighths({3, 4}), spread({4}, -0.3125, 0.1875)});
    add(op, "three", {spread({8}, -1, 1), Tensor::scalar(0.25f), spread({2, 1}, -1.0625, 0.9375)});
    add(op, "one", {normal({3})});
    add(op, "integers", {whole, divisor});
  }
  for (const char* op : {"Sum", "Mean"}) {
    add(op, "three", {normal({3, 4}), normal({4}), normal({3, 1})});
    add(op, "one", {normal({3})});
  }
  add("PRelu", "channels", {eighths({2, 3, 4}), normal({3, 1})});
  add("PRelu", "one", {eighths({2, 3, 4}), normal({1})});
  for (const char* op : {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}) {
    add(op, "integers", {list_of({1, 2, 3, 4}), list_of({2, 2, 2, 5})});
    add(op, "floats", {eighths({3, 4}), spread({4}, -0.3125, 0.1875)});
  }
  for (const char* op : {"And", "Or", "Xor"}) add(op, "plain", {truths({2, 2}, {0, 1, 0, 1}), truths({2, 1}, {0, 1})});
  add("Where", "broadcast", {truths({3, 1}, {0, 1, 1}), normal({3, 4}), normal({4})});
  add("Where", "integers", {truths({4}, {0, 1, 1, 0}), whole, divisor});
  return all;
}

NIBBLE_OPERATOR_CASES(ArithmeticGradients, arithmetic_cases());

}  // namespace nibble::test
