#include "train/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/session.h"
#include "support/compare.h"
#include "train/training_network.h"

namespace nibble::train {
namespace {

using graph::Graph;
using tensor::Tensor;
using test::GraphBuilder;
using test::Ints;

/// Convolution and normalisation, whose output is the network's: nothing hides what folding changes.
Graph pair(float sign = 1, bool bias = true, const std::string& reader = "") {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 2, 6, 6});
  std::vector<graph::ValueId> inputs{x, b.weights("w", {8, 2, 3, 3}, 0.4)};
  if (bias) inputs.push_back(b.weights("b", {8}, 0.5));
  const auto c = b.node("Conv", inputs, "c");
  Tensor gamma = GraphBuilder::random_tensor("gamma", {8}), variance = GraphBuilder::random_tensor("v", {8});
  for (size_t i = 0; i < 8; ++i) {
    float& g = gamma.mutable_values<float>()[i];
    g = (std::fabs(g) + 0.1f) * (i % 3 == 0 ? sign : 1.0f);
    float& v = variance.mutable_values<float>()[i];
    v = std::fabs(v) + 0.01f;
  }
  const auto n = b.node(
      "BatchNormalization",
      {c, b.constant("gamma", gamma), b.weights("beta", {8}), b.weights("mean", {8}), b.constant("variance", variance)},
      "y", {{"epsilon", 1e-3f}});
  std::vector<graph::ValueId> outputs{n};
  if (!reader.empty()) outputs.push_back(b.node(reader, {c}, "also"));
  auto g = b.finish(outputs);
  runtime::infer_shapes(g);
  return g;
}

Tensor output(const Graph& g) {
  base::ThreadPool pool(1);
  const std::vector<Tensor> inputs{GraphBuilder::random_tensor("in", {4, 2, 6, 6})};
  return runtime::Session(g, pool).run(inputs)[0];
}

const Tensor& constant(const Graph& g, const std::string& name) { return g.value(g.find_value(name)).constant; }

/// How far a sum of 18 products and what follows may be off in float32: each term's size times a few roundings.
double rounding(const Graph& g) {
  double largest = 0;
  const auto gamma = constant(g, "gamma").values<float>(), variance = constant(g, "variance").values<float>(),
             beta = constant(g, "beta").values<float>(), mean = constant(g, "mean").values<float>();
  const Tensor w = codec::dequantize(constant(g, "w"));
  for (size_t c = 0; c < 8; ++c) {
    double size = std::fabs(double{mean[c]}) + 2;                                                  // a bias is below 2
    for (size_t i = 0; i < 18; ++i) size += 5 * std::fabs(double{w.values<float>()[c * 18 + i]});  // inputs are below 5
    largest = std::max(
        largest, size * std::fabs(double{gamma[c]}) / std::sqrt(double{variance[c]}) + std::fabs(double{beta[c]}));
  }
  return 40 * std::ldexp(1.0, -24) * largest;
}

TEST(BatchNorm, PositiveScalesAreAnEqualNetwork) {
  for (const bool bias : {false, true}) {
    Graph g = pair(-1, bias);
    const double bound = rounding(g);
    const Tensor before = output(g);
    EXPECT_EQ(make_scales_positive(g), 3);  // channels 0, 3 and 6
    for (const float v : constant(g, "gamma").values<float>()) EXPECT_GT(v, 0);
    const Tensor after = output(g);
    double largest = 0;
    for (size_t i = 0; i < before.values<float>().size(); ++i) {
      EXPECT_NEAR(double{after.values<float>()[i]}, double{before.values<float>()[i]}, bound);
      largest = std::max(largest, std::fabs(double{before.values<float>()[i]}));
    }
    EXPECT_LT(bound, largest / 1000);  // the comparison means something
    EXPECT_EQ(make_scales_positive(g), 0);
  }
}

TEST(BatchNorm, PositiveScalesAreLeftAlone) {
  Graph g = pair();
  EXPECT_EQ(make_scales_positive(g), 0);
  Graph read_twice = pair(-1, true, "Relu");
  EXPECT_EQ(make_scales_positive(read_twice), 0);
}

class Folding : public testing::TestWithParam<const char*> {};

TEST_P(Folding, KeepsCodesAndOutputs) {
  const auto q = test::quantize_network(pair(), GetParam(), true);
  Graph folded = q.quantized;
  ASSERT_GE(folded.find_value("gamma"), 0);
  EXPECT_EQ(fold_into_codes(folded), 1);
  for (graph::NodeId id = 0; id < folded.node_count(); ++id) EXPECT_FALSE(folded.node(id).is("BatchNormalization"));
  const Tensor &before = constant(q.quantized, "w"), &after = constant(folded, "w");
  EXPECT_TRUE(std::ranges::equal(before.bytes(), after.bytes()));
  const auto &p = *before.quantization(), &r = *after.quantization();
  // Zero points stay, and scales are multiplied: one a channel where there was one in all.
  const size_t scales = static_cast<size_t>(r.scale.elements());
  ASSERT_EQ(scales % 8, 0u);
  const auto gamma = constant(q.quantized, "gamma").values<float>();
  const auto variance = constant(q.quantized, "variance").values<float>();
  for (size_t i = 0; i < scales; ++i) {
    const size_t c = i * 8 / scales;
    const auto was = codec::params_at(p, static_cast<int64_t>(p.scale.elements() == 1 ? 0 : i));
    const auto is = codec::params_at(r, static_cast<int64_t>(i));
    const double factor = double{gamma[c]} / std::sqrt(double{variance[c]} + 1e-3);
    EXPECT_EQ(is.zero, was.zero);
    EXPECT_NEAR(double{is.scale}, double{was.scale} * factor, double{was.scale} * factor * std::ldexp(1.0, -22));
    EXPECT_NEAR(double{is.offset}, double{was.offset} * factor,
                std::fabs(double{was.offset} * factor) * std::ldexp(1.0, -22));
  }
  const Tensor y = output(q.quantized), z = output(folded);
  const double bound = rounding(q.quantized);
  double largest = 0;
  for (size_t i = 0; i < y.values<float>().size(); ++i) {
    ASSERT_NEAR(double{z.values<float>()[i]}, double{y.values<float>()[i]}, bound) << i;
    largest = std::max(largest, std::fabs(double{y.values<float>()[i]}));
  }
  EXPECT_LT(bound, largest / 1000);
}

INSTANTIATE_TEST_SUITE_P(Schemes, Folding,
                         testing::Values("W4A16:int4,group=channel", "W4A16:group=channel", "W4A16:group=tensor",
                                         "W4A16:group=16", "W4A16:map=minmax,group=channel",
                                         "W4A16:map=minmax,group=16", "W4A8", "W4A4", "W8A8"));

TEST(BatchNorm, WhatCannotBeFoldedStays) {
  auto negative = test::quantize_network(pair(-1), "W4A16:group=channel", true).quantized;
  EXPECT_EQ(fold_into_codes(negative), 0);
  EXPECT_GE(negative.find_value("gamma"), 0);
  auto twice = test::quantize_network(pair(1, true, "Relu"), "W4A16:group=channel", true).quantized;
  EXPECT_EQ(fold_into_codes(twice), 0);
  Graph floats = pair();
  EXPECT_EQ(fold_into_codes(floats), 0);
}

}  // namespace
}  // namespace nibble::train
