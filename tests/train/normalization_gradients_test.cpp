// Normalizations: forward and gradient.
#include "train/one_operator.h"

namespace nibble::test {

using tensor::Tensor;

std::vector<OperatorCase> normalization_cases() {
  restart_numbers();
  std::vector<OperatorCase> all;
  // Sums of up to 24 numbers, and a root of their squares.
  const auto add = [&](const char* op, const char* name, std::vector<Tensor> inputs, Attributes attributes = {},
                       int outputs = 1) {
    all.push_back({name, op, std::move(inputs), std::move(attributes), outputs, {}, 1.0 / 16, 32});
  };
  const Tensor x = normal({2, 4, 3, 2});
  const auto channels = [] { return normal({4}); };
  add("BatchNormalization", "plain", {x, channels(), channels(), channels(), spread({4}, 0.5, 2)});
  add("BatchNormalization", "epsilon", {x, channels(), channels(), channels(), spread({4}, 0.5, 2)},
      {{"epsilon", 0.5f}});
  add("BatchNormalization", "rows", {normal({3, 4}), channels(), channels(), channels(), spread({4}, 0.5, 2)});
  for (OperatorCase& c : all) c.fixed = {3, 4};  // the running statistics are no parameters
  add("InstanceNormalization", "plain", {x, channels(), channels()});
  add("InstanceNormalization", "epsilon", {x, channels(), channels()}, {{"epsilon", 0.5f}});
  add("GroupNormalization", "plain", {x, channels(), channels()}, {{"num_groups", int64_t{2}}});
  add("GroupNormalization", "epsilon", {x, channels(), channels()}, {{"num_groups", int64_t{1}}, {"epsilon", 0.5f}});
  add("LayerNormalization", "plain", {normal({3, 6}), normal({6}), normal({6})});
  add("LayerNormalization", "no_bias", {normal({3, 6}), normal({6})}, {{"epsilon", 0.25f}});
  add("LayerNormalization", "axis", {x, normal({3, 2}), normal({3, 2})}, {{"axis", int64_t{2}}});
  add("LayerNormalization", "statistics", {normal({3, 6}), normal({6}), normal({6})}, {}, 3);
  add("RMSNormalization", "plain", {normal({3, 6}), normal({6})});
  add("RMSNormalization", "axis", {x, normal({2})}, {{"axis", int64_t{1}}, {"epsilon", 0.25f}});
  return all;
}

NIBBLE_OPERATOR_CASES(NormalizationGradients, normalization_cases());

}  // namespace nibble::test
