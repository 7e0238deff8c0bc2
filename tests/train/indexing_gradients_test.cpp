// Operators that read and write at computed places or in order: forward and gradient.
#include "train/one_operator.h"

namespace nibble::test {

using tensor::Tensor;

std::vector<OperatorCase> indexing_cases() {
  restart_numbers();
  std::vector<OperatorCase> all;
  const auto add = [&](const char* op, const std::string& name, std::vector<Tensor> inputs, Attributes attributes = {},
                       int outputs = 1) {
    all.push_back({name, op, std::move(inputs), std::move(attributes), outputs});
  };
  const auto places = [](tensor::Shape shape, const std::vector<int64_t>& values) {
    return Tensor::of<int64_t>(std::move(shape), values);
  };
  const Tensor x = normal({3, 4, 2});
  add("Gather", "embedding", {normal({5, 3}), places({2, 2}, {4, 0, 4, -1})});
  add("Gather", "axis", {x, places({3}, {1, 1, -4})}, {{"axis", int64_t{1}}});
  add("Gather", "scalar", {x, Tensor::scalar(int64_t{1})}, {{"axis", int64_t{-1}}});
  add("Gather", "integers", {list_of({5, 6, 7}), Tensor::scalar(int64_t{-1})});
  add("Gather", "narrow_indices", {x, Tensor::of<int32_t>({2}, std::vector<int32_t>{2, -3})});
  add("GatherElements", "plain", {normal({3, 4}), places({2, 4}, {0, 2, -1, 1, 1, 1, 0, -3})});
  add("GatherElements", "axis", {normal({3, 4}), places({3, 2}, {0, 3, -1, 1, 1, 1})}, {{"axis", int64_t{1}}});
  add("GatherND", "elements", {x, places({2, 3}, {0, 1, 1, -1, 3, 0})});
  add("GatherND", "slices", {x, places({3, 1}, {2, 0, 2})});
  add("GatherND", "batch", {x, places({3, 1}, {2, 0, -1})}, {{"batch_dims", int64_t{1}}});
  for (const char* kind : {"none", "add"}) {
    const Attributes by{{"reduction", std::string(kind)}};
    add("ScatterElements", kind, {normal({3, 4}), places({2, 4}, {0, 2, -1, 1, 1, 0, 0, -1}), normal({2, 4})}, by);
    add("ScatterND", kind, {normal({3, 4}), places({2, 1}, {2, 0}), normal({2, 4})}, by);
  }
  add("ScatterElements", "axis", {normal({2, 3}), places({2, 1}, {2, 0}), normal({2, 1})}, {{"axis", int64_t{1}}});
  add("ScatterElements", "twice", {normal({3}), places({3}, {1, 1, 0}), normal({3})},
      {{"reduction", std::string("add")}});
  add("ScatterND", "elements", {normal({2, 3}), places({2, 2}, {1, 2, 0, -1}), normal({2})});
  for (const int64_t exclusive : {0, 1})
    for (const int64_t reverse : {0, 1})
      add("CumSum", "mode" + std::to_string(2 * exclusive + reverse), {normal({2, 4, 2}), Tensor::scalar(int64_t{-2})},
          {{"exclusive", exclusive}, {"reverse", reverse}});
  add("TopK", "largest", {eighths({3, 6}), list_of({2})}, {}, 2);
  add("TopK", "smallest", {eighths({4, 3}), list_of({3})}, {{"axis", int64_t{0}}, {"largest", int64_t{0}}}, 2);
  return all;
}

NIBBLE_OPERATOR_CASES(IndexingGradients, indexing_cases());

}  // namespace nibble::test
