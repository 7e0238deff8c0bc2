// Activations and functions of one number: forward and gradient, with every attribute.
#include "train/one_operator.h"

namespace nibble::test {

using tensor::Tensor;

std::vector<OperatorCase> activation_cases() {
  restart_numbers();
  std::vector<OperatorCase> all;
  const auto add = [&](const char* op, const char* name, Tensor x, Attributes attributes = {}) {
    all.push_back({name, op, {std::move(x)}, std::move(attributes)});
  };
  // Kinks lie at 0, or, where a comment says so, elsewhere; no number is nearer to one than a sixteenth.
  const Tensor x = eighths({4, 6});
  for (const char* op :
       {"Relu", "LeakyRelu", "Elu",  "Selu", "Celu",  "Swish", "Gelu",     "Sigmoid",  "Tanh", "Neg", "Abs",  "Sin",
        "Cos",  "Atan",      "Sinh", "Cosh", "Asinh", "Erf",   "Softplus", "Softsign", "Mish", "Exp", "IsNaN"})
    add(op, "plain", x);
  add("LeakyRelu", "alpha", x, {{"alpha", 0.25f}});
  add("Elu", "alpha", x, {{"alpha", 0.5f}});
  add("Selu", "both", x, {{"alpha", 1.5f}, {"gamma", 0.75f}});
  add("Celu", "alpha", x, {{"alpha", 0.5f}});
  add("Swish", "alpha", x, {{"alpha", 1.5f}});
  add("Gelu", "tanh", x, {{"approximate", std::string("tanh")}});
  add("HardSigmoid", "plain", eighths({64}));                                     // kinks at -2.5 and 2.5
  add("HardSigmoid", "both", eighths({64}), {{"alpha", 0.5f}, {"beta", 0.25f}});  // kinks at -0.5 and 1.5
  add("HardSwish", "plain", eighths({64}));                                       // kinks at -3 and 3
  add("ThresholdedRelu", "plain", x);                                             // a step at 1
  add("ThresholdedRelu", "alpha", x, {{"alpha", 0.5f}});
  add("Shrink", "plain", x);  // steps at -0.5 and 0.5
  add("Shrink", "both", x, {{"bias", 0.25f}, {"lambd", 1.0f}});
  for (const char* op : {"Sign", "Floor", "Ceil"}) add(op, "plain", x);
  add("Round", "plain", spread({16}, 0.0, 0.4));
  for (const char* op : {"Log", "Sqrt", "Reciprocal"}) add(op, "plain", spread({20}, 0.5, 3));
  for (const char* op : {"Asin", "Acos", "Atanh"}) add(op, "plain", spread({20}, -0.75, 0.75));
  add("Tan", "plain", spread({20}, -1, 1));
  add("Acosh", "plain", spread({20}, 1.5, 4));
  const auto clip = [&](const char* name, std::vector<Tensor> inputs) {
    all.push_back({name, "Clip", std::move(inputs), {}, 1, {1, 2}});
  };
  clip("nowhere", {x});
  clip("both", {x, Tensor::scalar(-0.5f), Tensor::scalar(1.0f)});
  clip("below", {x, Tensor::scalar(-0.5f)});
  clip("above", {x, {}, Tensor::scalar(1.0f)});
  clip("crossed", {x, Tensor::scalar(1.0f), Tensor::scalar(-0.5f)});
  all.push_back({"plain", "Not", {truths({4}, {0, 1, 1, 0})}});
  return all;
}

NIBBLE_OPERATOR_CASES(ActivationGradients, activation_cases());

}  // namespace nibble::test
