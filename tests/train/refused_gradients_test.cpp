// What training does not follow is refused with a sentence that names the node.
#include "base/error.h"
#include "train/one_operator.h"

namespace nibble::test {
namespace {

using tensor::Tensor;

/// Runs one node of training; its first input varies where it is of floats.
void follow(const std::string& op, const std::vector<Tensor>& inputs, Attributes attributes, int outputs = 1) {
  GraphBuilder b;
  graph::Node node;
  node.op = op;
  node.name = "n";
  node.attributes = std::move(attributes);
  train::TrainableGraph t;
  for (size_t i = 0; i < inputs.size(); ++i)
    node.inputs.push_back(inputs[i] ? b.constant("in" + std::to_string(i), inputs[i]) : graph::kNoValue);
  for (int i = 0; i < outputs; ++i) {
    graph::Value v;
    v.name = "out" + std::to_string(i);
    node.outputs.push_back(b.graph.add_value(std::move(v)));
  }
  const auto results = node.outputs;
  b.graph.add_node(std::move(node));
  t.graph = b.finish(results);
  train::load_module().make_autograd(std::move(t))->forward({});
}

struct Refusal {
  const char *says, *op;
  std::vector<Tensor> inputs;
  Attributes attributes = {};
  int outputs = 1;
};
void PrintTo(const Refusal& r, std::ostream* out) { *out << r.op << ": " << r.says; }

class RefusedGradients : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedGradients, NameTheNode) {
  NIBBLE_REQUIRE_TRAINING();
  const Refusal& r = GetParam();
  try {
    follow(r.op, r.inputs, r.attributes, r.outputs);
    FAIL() << "nothing was refused";
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), base::ErrorKind::kUnsupported) << e.what();
    EXPECT_NE(e.place().find("node \"n\""), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find(r.says), std::string::npos) << e.what();
  }
}

std::vector<Refusal> refusals() {
  restart_numbers();
  const Tensor x = normal({2, 3}), plane = normal({1, 1, 4, 4}), whole = list_of({1, 2, 3});
  const Tensor sizes = list_of({1, 1, 2, 2});
  const auto text = [](const char* key, const char* value) { return Attributes{{key, std::string(value)}}; };
  return {
      {"alpha above 0", "Celu", {x}, {{"alpha", -1.0f}}},
      {"training_mode is true", "Dropout", {x, {}, truths({}, {1})}},
      {"powers of floats", "Pow", {whole, whole}},
      {"means of floats", "Mean", {whole, whole}},
      {"reductions of floats", "ReduceSum", {whole}},
      {"output of indices", "MaxPool", {plane}, {{"kernel_shape", Ints{2, 2}}}, 2},
      {"1 to 3 dimensions", "MaxPool", {normal({1, 1, 2, 2, 2, 2})}, {{"kernel_shape", Ints{1, 1, 1, 1}}}},
      {"1 to 3 dimensions", "AveragePool", {normal({1, 1, 2, 2, 2, 2})}, {{"kernel_shape", Ints{1, 1, 1, 1}}}},
      {"without dilations", "AveragePool", {plane}, {{"kernel_shape", Ints{2, 2}}, {"dilations", Ints{2, 2}}}},
      {"antialias", "Resize", {plane, {}, {}, sizes}, {{"antialias", int64_t{1}}}},
      {"exclude_outside", "Resize", {plane, {}, {}, sizes}, {{"exclude_outside", int64_t{1}}}},
      {"tf_crop_and_resize",
       "Resize",
       {plane, {}, {}, sizes},
       text("coordinate_transformation_mode", "tf_crop_and_resize")},
      {"keep_aspect_ratio_policy", "Resize", {plane, {}, {}, sizes}, text("keep_aspect_ratio_policy", "not_larger")},
      {"do not fit its axes", "Resize", {plane, {}, {}, list_of({2, 2})}},
      {"do not end", "Range", {Tensor::scalar(0.0f), Tensor::scalar(1.0f), Tensor::scalar(0.0f)}},
      {"Sigmoid, Tanh and Relu",
       "RNN",
       {normal({2, 1, 3}), normal({1, 4, 3}), normal({1, 4, 4})},
       {{"activations", std::vector<std::string>{"Affine"}}}},
      {"do not fit its data", "GatherND", {x, Tensor::of<int64_t>({1, 3}, std::vector<int64_t>{0, 0, 0})}},
      {"writes or adds",
       "ScatterND",
       {x, Tensor::of<int64_t>({1, 1}, std::vector<int64_t>{0}), normal({1, 3})},
       text("reduction", "mul")},
      {"does not follow values of type", "Cast", {x}, {{"to", int64_t{10}}}},
      {"this padding", "Pad", {x, list_of({0, 0, 0, 9})}, text("mode", "reflect")},
      {"keeps a size", "Reshape", {x, list_of({2, 3, 0})}},
      {"libtorch refuses it", "Add", {x, normal({4})}},
  };
}
INSTANTIATE_TEST_SUITE_P(Operators, RefusedGradients, testing::ValuesIn(refusals()));

TEST(RefusedGradients, AnOperatorWithoutAGradientIsNamedBeforeAnythingRuns) {
  NIBBLE_REQUIRE_TRAINING();
  try {
    follow("NonZero", {normal({3})}, {});
    FAIL() << "nothing was refused";
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), base::ErrorKind::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("training cannot follow 1 node: node \"n\" (NonZero)"), std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace nibble::test
