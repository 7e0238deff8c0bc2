#include "train/initialize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "codec/format.h"
#include "support/graph_builder.h"
#include "tensor/quantization.h"

namespace nibble::train {
namespace {

using graph::Graph;
using tensor::Tensor;
using test::GraphBuilder;
using test::Ints;

std::vector<float> constant(const Graph& g, const std::string& name) {
  const auto v = g.value(g.find_value(name)).constant.values<float>();
  return {v.begin(), v.end()};
}

/// Mean square over the variance that was asked for: 1 within four of its standard deviations, sqrt(2 / n).
void expect_variance(const Graph& g, const std::string& name, double variance) {
  const auto v = constant(g, name);
  double sum = 0, squares = 0;
  for (const float x : v) sum += x, squares += static_cast<double>(x) * x;
  const double n = static_cast<double>(v.size());
  EXPECT_NEAR(squares / n / variance, 1, 4 * std::sqrt(2 / n)) << name;
  EXPECT_NEAR(sum / n / std::sqrt(variance), 0, 4 / std::sqrt(n)) << name;
}

void expect_all(const Graph& g, const std::string& name, float value) {
  for (const float x : constant(g, name)) EXPECT_EQ(x, value) << name;
}

Graph network() {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 8, 16, 16});
  const auto c = b.node("Conv", {x, b.weights("w", {32, 8, 3, 3}, 5), b.weights("b", {32})}, "c");
  const auto n = b.node(
      "BatchNormalization",
      {c, b.weights("gamma", {32}), b.weights("beta", {32}), b.weights("mean", {32}), b.weights("var", {32})}, "n");
  const auto r = b.node("PRelu", {n, b.weights("slope", {32, 1, 1})}, "r");
  const auto d = b.node("Conv", {r, b.weights("wd", {32, 1, 5, 5}, 5)}, "d", {{"group", int64_t{32}}});
  const auto t = b.node("ConvTranspose", {d, b.weights("wt", {32, 8, 4, 4}, 5)}, "t",
                        {{"group", int64_t{2}}, {"strides", Ints{2, 2}}});
  const auto scaled = b.node("Mul", {t, b.weights("factor", {16, 1, 1})}, "scaled");
  const auto pool = b.node("GlobalAveragePool", {scaled}, "pool");
  const auto flat = b.node("Flatten", {pool}, "flat");
  const auto m = b.node("MatMul", {flat, b.weights("wm", {16, 64}, 5)}, "m");
  const auto a = b.node("Add", {m, b.weights("ba", {64})}, "a");
  const auto relu = b.node("Relu", {a}, "relu");
  return b.finish(
      {b.node("Gemm", {relu, b.weights("wg", {48, 64}, 5), b.weights("bg", {48})}, "y", {{"transB", int64_t{1}}})});
}

TEST(InitializeRandomly, GivesEachOperatorItsVariance) {
  Graph g = network();
  const auto factor = constant(g, "factor");
  const auto done = initialize_randomly(g, 1);
  expect_variance(g, "w", 2.0 / (8 * 9));
  expect_variance(g, "wd", 2.0 / 25);               // depthwise: the window alone
  expect_variance(g, "wt", 2.0 / (16 * 16 / 4.0));  // half the channels; each output meets a quarter of the window
  expect_variance(g, "wm", 2.0 / 16);
  expect_variance(g, "wg", 1.0 / 64);  // nothing rectifies the last product
  for (const char* name : {"b", "beta", "mean", "ba", "bg"}) expect_all(g, name, 0);
  for (const char* name : {"gamma", "var"}) expect_all(g, name, 1);
  expect_all(g, "slope", 0.25f);
  EXPECT_EQ(constant(g, "factor"), factor) << "no operator with weights reads it";
  ASSERT_EQ(done.size(), 13u);
  EXPECT_EQ(done[0].name, "w");
  EXPECT_EQ(done[0].how, "normal, variance 2 / 72");
  EXPECT_EQ(done[0].elements, 32 * 8 * 9);
}

TEST(InitializeRandomly, IsTheSameForASeedAndDiffersBetweenSeeds) {
  Graph a = network(), b = network(), c = network();
  initialize_randomly(a, 7);
  initialize_randomly(b, 7);
  initialize_randomly(c, 8);
  EXPECT_EQ(constant(a, "w"), constant(b, "w"));
  EXPECT_EQ(constant(a, "wg"), constant(b, "wg"));
  EXPECT_NE(constant(a, "w"), constant(c, "w"));
}

TEST(InitializeRandomly, LeavesTheTensorsOfOtherGraphsAlone) {
  Graph a = network();
  const auto before = constant(a, "w");
  Graph b = a;
  initialize_randomly(b, 1);
  EXPECT_EQ(constant(a, "w"), before);
}

TEST(InitializeRandomly, RecurrentNetworksAndEmbeddings) {
  GraphBuilder b;
  const auto tokens = b.input("tokens", {5, 2}, tensor::DType::i64);
  const auto e = b.node("Gather", {b.weights("table", {100, 24}, 5), tokens}, "e");
  const auto l =
      b.node("LSTM", {e, b.weights("W", {1, 64, 24}, 5), b.weights("R", {1, 64, 16}, 5), b.weights("B", {1, 128})}, "l",
             {{"hidden_size", int64_t{16}}});
  Graph g = b.finish({l});
  initialize_randomly(g, 3);
  expect_variance(g, "table", 0.02 * 0.02);
  expect_variance(g, "W", 1.0 / 24);
  expect_variance(g, "R", 1.0 / 16);
  const auto bias = constant(g, "B");
  for (size_t i = 0; i < bias.size(); ++i) EXPECT_EQ(bias[i], i >= 32 && i < 48 ? 1.0f : 0.0f) << i;
}

TEST(InitializeRandomly, ASharedWeightIsDrawnOnce) {
  GraphBuilder b;
  const auto x = b.input("x", {2, 8});
  const auto w = b.weights("w", {8, 8}, 5);
  const auto h = b.node("MatMul", {x, w}, "h");
  Graph g = b.finish({b.node("MatMul", {h, w}, "y")});
  EXPECT_EQ(initialize_randomly(g, 1).size(), 1u);
}

TEST(InitializeRandomly, RefusesQuantizedWeightsAndNetworksWithoutAny) {
  GraphBuilder b;
  const auto x = b.input("x", {2, 8});
  auto q = std::make_shared<tensor::Quantization>();
  q->format = codec::find_format("int4");
  q->code_shape = {8, 8};
  q->scale = Tensor::scalar(1.0f);
  const Tensor codes = codec::pack(tensor::DType::int4, {8, 8}, std::vector<int8_t>(64, 1)).with_quantization(q);
  Graph g = b.finish({b.node("MatMul", {x, b.constant("w", codes)}, "y")});
  const auto refusal = [](Graph& graph) {
    try {
      initialize_randomly(graph, 1);
    } catch (const base::Error& e) {
      EXPECT_EQ(e.kind(), base::ErrorKind::kUnsupported);
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal(g).find("is quantized"), std::string::npos);
  GraphBuilder none;
  Graph empty = none.finish({none.node("Relu", {none.input("x", {2, 8})}, "y")});
  EXPECT_NE(refusal(empty).find("no weights"), std::string::npos);
}

}  // namespace
}  // namespace nibble::train
