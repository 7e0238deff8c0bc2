// Products in branches of an If: planned, quantized and written as others are.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "data/temporary_folder.h"
#include "model/open.h"
#include "model/save.h"
#include "model/stored_weights.h"
#include "quant/apply.h"
#include "quant/prepare/prepare.h"
#include "runtime/infer_shapes.h"
#include "runtime/session.h"
#include "support/if_network.h"

namespace nibble::quant {
namespace {

using graph::Graph;
using tensor::Tensor;
using test::GraphBuilder;

graph::ValueId captured(GraphBuilder& b, const char* name) {
  graph::Value v;
  v.name = name;
  const auto id = b.graph.add_value(std::move(v));
  b.graph.captures.push_back(id);
  return id;
}

/// y = If(c, x a, (x b) d), where x = s m, and b lies outside of the branches. Another product reads b too where
/// `shared`.
Graph network(bool shared = false) {
  GraphBuilder outer, yes, no;
  const auto c = outer.input("c", {}, tensor::DType::boolean), s = outer.input("s", {tensor::kUnknown, 64});
  const auto x = outer.node("MatMul", {s, outer.weights("m", {64, 64}, 0.1)}, "x");
  const auto b = outer.weights("b", {64, 64}, 0.1);
  yes.graph.outputs = {yes.node("MatMul", {captured(yes, "x"), yes.weights("a", {64, 64}, 0.1)}, "product")};
  yes.graph.captures.push_back(graph::kNoValue);
  const auto x_no = captured(no, "x"), b_no = captured(no, "b");
  no.graph.outputs = {
      no.node("MatMul", {no.node("MatMul", {x_no, b_no}, "product"), no.weights("d", {64, 64}, 0.1)}, "second")};
  const auto y = outer.node(
      "If", {c, x, b}, "choice",
      {{"then_branch", std::make_shared<Graph>(yes.graph)}, {"else_branch", std::make_shared<Graph>(no.graph)}});
  std::vector<graph::ValueId> outputs{y};
  if (shared) outputs.push_back(outer.node("MatMul", {x, b}, "outside"));
  Graph g = outer.finish(outputs);
  runtime::infer_shapes(g);
  return g;
}

Tensor answer(const Graph& g, bool condition) {
  base::ThreadPool pool(1);
  runtime::Session session(g, pool);
  Tensor c(tensor::DType::boolean, {});
  c.mutable_values<uint8_t>()[0] = condition;
  const Tensor inputs[] = {c, GraphBuilder::random_tensor("s", {3, 64})};
  return session.run(inputs).at(0);
}

double distance(const Tensor& a, const Tensor& b) {
  double noise = 0, signal = 0;
  for (size_t i = 0; i < a.values<float>().size(); ++i) {
    const double x = a.values<float>()[i], y = b.values<float>()[i];
    noise += (x - y) * (x - y);
    signal += x * x;
  }
  return std::sqrt(noise / signal);
}

struct Quantized {
  Graph graph;
  Plan plan;
  std::vector<LayerResult> results;
};

Quantized quantize(Graph g, const std::string& scheme) {
  prepare(g);
  Quantized q;
  PlanOptions options;
  q.plan = make_plan(g, parse_scheme(scheme), nullptr, options);
  for (ActivationPlan& a : q.plan.activations) {
    a.calibrated = true;
    a.params.scale = 0.05f;
    a.params.zero = 128;
  }
  base::ThreadPool pool(2);
  base::NoProgress progress;
  q.results = apply(g, q.plan, nullptr, pool, progress);
  q.graph = std::move(g);
  return q;
}

TEST(Branches, TheirProductsAreLayersWithAPlace) {
  const Quantized q = quantize(network(), "W4A16");
  std::vector<std::string> names;
  for (const LayerPlan& layer : q.plan.layers) {
    names.push_back(layer.name);
    EXPECT_EQ(layer.bits, 4) << layer.name;
    EXPECT_EQ(layer.note, "") << layer.name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"x", "product in else_branch of choice", "second in else_branch of choice",
                                             "product in then_branch of choice"}));
  EXPECT_TRUE(q.plan.left_out.empty());
  ASSERT_EQ(q.results.size(), 4u);
  for (const LayerResult& r : q.results) EXPECT_GT(r.sqnr_db, 15.0) << r.name;
  int four = 0;
  for (const model::StoredWeight& w : model::stored_weights(q.graph)) four += w.bits == 4;
  EXPECT_EQ(four, 4);
}

TEST(Branches, KeepNamesThemByPlace) {
  const Quantized q = quantize(network(), "W4A16:keep=product in then_branch of choice:16");
  EXPECT_EQ(q.plan.quantized_layers(), 3);
  EXPECT_EQ(q.plan.layers.back().bits, 16);
  EXPECT_TRUE(q.plan.layers.back().last);
}

TEST(Branches, QuantizingLeavesTheFloatNetworkAlone) {
  const Graph g = network();
  const Tensor before[] = {answer(g, false), answer(g, true)};
  const Quantized q = quantize(g, "W4A16");
  for (const bool c : {false, true}) {
    EXPECT_EQ(distance(before[c], answer(g, c)), 0.0);
    const double d = distance(before[c], answer(q.graph, c));
    EXPECT_GT(d, 0.01);
    EXPECT_LT(d, 0.3);  // three products at 20 dB
  }
}

TEST(Branches, PreparingMovesWeightsWithoutAChange) {
  Graph g = network();
  const Graph before = g;
  const auto notes = prepare(g);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0], "branch-weights: 1 weight of products in branches moved into these");
  for (const bool c : {false, true}) EXPECT_EQ(distance(answer(before, c), answer(g, c)), 0.0);
}

TEST(Branches, AWeightThatIsReadOutsideTooIsQuantizedInBothPlaces) {
  const Quantized q = quantize(network(true), "W4A16");
  EXPECT_EQ(q.plan.quantized_layers(), 5);
  EXPECT_EQ(q.plan.layers.back().name, "outside");
}

TEST(Branches, ActivationsStayFloatsThereAndThePlanSaysSo) {
  const Quantized q = quantize(network(), "W4A8");
  for (const LayerPlan& layer : q.plan.layers) {
    EXPECT_EQ(layer.activation_bits, layer.path.empty() ? 8 : 16) << layer.name;
    EXPECT_EQ(layer.note, layer.path.empty() ? "" : "activations in branches stay floats");
    EXPECT_EQ(layer.bits, 4);
  }
  EXPECT_EQ(q.plan.activations.size(), 1u);
  EXPECT_EQ(observed_values(network(), q.plan).size(), 1u);
  answer(q.graph, true);
}

TEST(Branches, TheFileHasTheSameAnswersAndThePredictedSize) {
  const test::TemporaryFolder folder;
  const Quantized q = quantize(network(), "W4A16");
  for (const auto style : {model::OnnxStyle::kQdq, model::OnnxStyle::kMatMulNBits}) {
    model::SaveOptions options;
    options.style = style;
    options.force = true;
    const auto path = folder.path() / "q.onnx";
    const auto saved = model::save(q.graph, path, options);
    EXPECT_LT(saved.file_bytes, 4 * 64 * 64 * 4 / 5);  // four float weights
    io::Notes notes;
    const Graph back = model::open(path, {}, notes);
    // MatMulNBits adds up in another order: 64 terms in each of three products, half a unit of 2^-23 each.
    const double bound = style == model::OnnxStyle::kQdq ? 0.0 : 3 * 64 * 0x1p-24;
    for (const bool c : {false, true}) EXPECT_LE(distance(answer(q.graph, c), answer(back, c)), bound);
    int four = 0;
    for (const model::StoredWeight& w : model::stored_weights(back)) four += w.bits == 4;
    EXPECT_EQ(four, 4);
  }
}

}  // namespace
}  // namespace nibble::quant
