// Reductions and softmaxes: forward and gradient, over one, several, all and no axes.
#include "train/one_operator.h"

namespace nibble::test {

using tensor::Tensor;

std::vector<OperatorCase> reduction_cases() {
  restart_numbers();
  std::vector<OperatorCase> all;
  const auto add = [&](const std::string& op, const char* name, std::vector<Tensor> inputs,
                       Attributes attributes = {}) {
    all.push_back({name, op, std::move(inputs), std::move(attributes)});
  };
  for (const char* kind : {"Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"}) {
    const std::string op = std::string("Reduce") + kind;
    // Far enough apart for the extremes, away from 0 for L1, above it for LogSum.
    const Tensor x = kind == std::string("LogSum") ? spread({2, 3, 4}, 0.5, 2) : eighths({2, 3, 4});
    add(op, "one_axis", {x, list_of({1})});
    add(op, "two_axes", {x, list_of({-1, 0})}, {{"keepdims", int64_t{0}}});
    add(op, "all", {x});
    add(op, "empty", {x, list_of({})}, {{"keepdims", int64_t{0}}});
    add(op, "each", {x, list_of({})}, {{"noop_with_empty_axes", int64_t{1}}});
    add(op, "scalar", {Tensor::scalar(0.75f)});
  }
  for (const char* op : {"ArgMax", "ArgMin"}) {
    add(op, "plain", {eighths({3, 5})});
    add(op, "last_axis", {eighths({3, 5})}, {{"axis", int64_t{-1}}, {"keepdims", int64_t{0}}});
    const Tensor ties = Tensor::of<float>({5}, std::vector<float>{1, 3, 3, 1, 2});
    add(op, "first", {ties});
    add(op, "last", {ties}, {{"select_last_index", int64_t{1}}});
  }
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    add(op, "plain", {normal({3, 5})});
    add(op, "axis", {normal({2, 4, 3})}, {{"axis", int64_t{1}}});
    add(op, "negative_axis", {normal({2, 4, 3})}, {{"axis", int64_t{-3}}});
  }
  return all;
}

NIBBLE_OPERATOR_CASES(ReductionGradients, reduction_cases());

}  // namespace nibble::test
