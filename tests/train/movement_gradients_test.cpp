// Operators that move values, and those that make tensors from sizes: forward and gradient.
#include "train/one_operator.h"

namespace nibble::test {

using tensor::Tensor;

namespace {

Attributes text(const char* key, const char* value) { return {{key, std::string(value)}}; }

void add_generation(std::vector<OperatorCase>& all) {
  const auto add = [&](const char* op, const char* name, std::vector<Tensor> inputs, Attributes attributes = {}) {
    all.push_back({name, op, std::move(inputs), std::move(attributes)});
  };
  add("ConstantOfShape", "plain", {list_of({2, 3})});
  add("ConstantOfShape", "value", {list_of({2})}, {{"value", Tensor::of<int64_t>({1}, std::vector<int64_t>{7})}});
  add("Range", "up", {Tensor::scalar(int64_t{2}), Tensor::scalar(int64_t{9}), Tensor::scalar(int64_t{3})});
  add("Range", "down", {Tensor::scalar(int64_t{2}), Tensor::scalar(int64_t{-9}), Tensor::scalar(int64_t{-3})});
  all.push_back(
      {"floats", "Range", {Tensor::scalar(0.5f), Tensor::scalar(2.1f), Tensor::scalar(0.25f)}, {}, 1, {0, 1, 2}});
  add("OneHot", "plain", {list_of({1, -1, 5}), Tensor::scalar(int64_t{3}), normal({2})});
  add("OneHot", "axis", {list_of({1, 0, 2}), Tensor::scalar(int64_t{3}), normal({2})}, {{"axis", int64_t{0}}});
  add("Trilu", "upper", {normal({2, 3, 4})});
  add("Trilu", "lower", {normal({3, 4}), Tensor::scalar(int64_t{1})}, {{"upper", int64_t{0}}});
  add("Trilu", "diagonal", {normal({3, 4}), Tensor::scalar(int64_t{-1})});
  add("Cast", "to_floats", {list_of({1, -2})}, {{"to", int64_t{1}}});
  add("Cast", "same", {normal({4})}, {{"to", int64_t{1}}});
  add("Cast", "to_integers", {eighths({24})}, {{"to", int64_t{7}}});
  add("Cast", "to_truths", {list_of({0, 3})}, {{"to", int64_t{9}}});
  add("CastLike", "plain", {list_of({1, -2}), Tensor::scalar(1.0f)});
  add("Shape", "all", {normal({2, 3, 4})});
  add("Shape", "part", {normal({2, 3, 4})}, {{"start", int64_t{-2}}, {"end", int64_t{-1}}});
  add("Size", "plain", {normal({2, 3})});
}

}  // namespace

std::vector<OperatorCase> movement_cases() {
  restart_numbers();
  std::vector<OperatorCase> all;
  const auto add = [&](const char* op, const char* name, std::vector<Tensor> inputs, Attributes attributes = {},
                       int outputs = 1) {
    all.push_back({name, op, std::move(inputs), std::move(attributes), outputs});
  };
  const Tensor x = normal({2, 3, 4}), image = normal({1, 8, 2, 3}), wide = normal({1, 2, 4, 6});
  add("Identity", "plain", {x});
  add("Dropout", "plain", {x});
  add("Dropout", "mask", {x, Tensor::scalar(0.5f)}, {}, 2);
  all.back().fixed = {1};
  add("Reshape", "open", {x, list_of({0, -1})});
  add("Reshape", "exact", {x, list_of({4, 3, 2})}, {{"allowzero", int64_t{1}}});
  add("Flatten", "plain", {x});
  add("Flatten", "first", {x}, {{"axis", int64_t{0}}});
  add("Flatten", "negative", {x}, {{"axis", int64_t{-1}}});
  add("Squeeze", "all", {normal({1, 3, 1, 2})});
  add("Squeeze", "axes", {normal({1, 3, 1, 2}), list_of({-2})});
  add("Unsqueeze", "plain", {x, list_of({-1, 0})});
  add("Transpose", "plain", {x});
  add("Transpose", "order", {x}, {{"perm", Ints{1, 2, 0}}});
  add("Concat", "three", {x, normal({2, 1, 4}), normal({2, 2, 4})}, {{"axis", int64_t{-2}}});
  add("Concat", "integers", {list_of({1}), list_of({2, 3})}, {{"axis", int64_t{0}}});
  add("Slice", "plain", {x, list_of({0, 1}), list_of({9, 3})});
  add("Slice", "steps", {x, list_of({1, 0}), list_of({-1, 3}), list_of({-1, 1}), list_of({1, 2})});
  add("Slice", "backwards", {x, list_of({-1, 2}), list_of({-100, 0}), list_of({2, 1}), list_of({-2, -1})});
  for (const char* mode : {"constant", "reflect", "edge", "wrap"})
    add("Pad", mode, {x, list_of({0, 1, 2, 0, 2, 1})}, text("mode", mode));
  add("Pad", "value", {x, list_of({1, 0, 2, 0, 0, 1}), Tensor::scalar(0.5f)});
  all.back().fixed = {2};
  add("Pad", "axes", {x, list_of({1, -1}), {}, list_of({-1})});
  add("Expand", "both", {normal({3, 1}), list_of({2, 1, 4})});
  add("Expand", "shorter", {x, list_of({1})});
  add("Tile", "plain", {normal({2, 3}), list_of({2, 3})});
  add("Split", "equal", {normal({2, 5})}, {{"axis", int64_t{1}}, {"num_outputs", int64_t{2}}}, 2);
  add("Split", "sizes", {normal({6, 2}), list_of({1, 3, 2})}, {}, 3);
  for (const char* mode : {"DCR", "CRD"}) {
    add("DepthToSpace", mode, {image}, {{"blocksize", int64_t{2}}, {"mode", std::string(mode)}});
    add("SpaceToDepth", mode, {wide}, {{"blocksize", int64_t{2}}, {"mode", std::string(mode)}});
  }
  add_generation(all);
  return all;
}

NIBBLE_OPERATOR_CASES(MovementGradients, movement_cases());

}  // namespace nibble::test
