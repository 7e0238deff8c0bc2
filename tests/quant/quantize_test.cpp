// The whole way from a float Graph to a quantized one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "codec/format.h"
#include "model/save.h"
#include "model/stored_weights.h"
#include "quant/apply.h"
#include "quant/calibrate/calibrate.h"
#include "quant/prepare/prepare.h"
#include "runtime/infer_shapes.h"
#include "runtime/session.h"
#include "support/graph_builder.h"

namespace nibble::quant {
namespace {

using graph::Graph;
using tensor::Tensor;
using test::GraphBuilder;
using test::Ints;

Graph network() {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 4, 8, 8});
  const auto c1 = b.node("Conv", {x, b.weights("w1", {16, 4, 3, 3}, 0.3)}, "c1", {{"pads", Ints{1, 1, 1, 1}}});
  const auto bn = b.node("BatchNormalization",
                         {c1, b.weights("gamma", {16}), b.weights("beta", {16}), b.weights("mean", {16}),
                          b.constant("var", Tensor::of<float>({16}, std::vector<float>(16, 0.5f)))},
                         "bn");
  const auto r1 = b.node("Relu", {bn}, "r1");
  const auto dw = b.node("Conv", {r1, b.weights("wd", {16, 1, 3, 3}, 0.3)}, "dw",
                         {{"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{16}}});
  const auto c2 = b.node("Conv", {dw, b.weights("w2", {16, 16, 3, 3}, 0.1), b.weights("b2", {16})}, "c2",
                         {{"pads", Ints{1, 1, 1, 1}}});
  const auto sum = b.node("Add", {c2, r1}, "sum");
  const auto gp = b.node("GlobalAveragePool", {sum}, "gp");
  const auto flat = b.node("Flatten", {gp}, "flat");
  auto g = b.finish({b.node("MatMul", {flat, b.weights("w3", {16, 10})}, "y")});
  runtime::infer_shapes(g);
  return g;
}

Calibration calibration_of(const Graph& g, const std::vector<Observed>& values) {
  base::ThreadPool pool(1);
  base::NoProgress progress;
  int64_t at = 0;
  return calibrate(g, values,
                   [&]() -> std::vector<Tensor> {
                     if (at == 4) return {};
                     return {GraphBuilder::random_tensor("calibration" + std::to_string(at++), {8, 4, 8, 8})};
                   },
                   32, pool, progress, {});
}

struct Quantized {
  Graph graph;
  Plan plan;
  std::vector<LayerResult> results;
};

Quantized quantize(Graph g, const std::string& scheme, int threads = 2, PlanOptions options = {}) {
  prepare(g);
  Quantized q;
  q.plan = make_plan(g, parse_scheme(scheme), nullptr, options);
  Calibration calibration;
  if (!q.plan.activations.empty()) {
    calibration = calibration_of(g, observed_values(g, q.plan));
    use_calibration(q.plan, calibration);
  }
  base::ThreadPool pool(threads);
  base::NoProgress progress;
  q.results = apply(g, q.plan, &calibration, pool, progress);
  q.graph = std::move(g);
  return q;
}

std::vector<float> output(const Graph& g) {
  base::ThreadPool pool(1);
  const std::vector<Tensor> inputs{GraphBuilder::random_tensor("in", {4, 4, 8, 8})};
  const Tensor y = runtime::Session(g, pool).run(inputs)[0];
  const auto v = y.values<float>();
  return {v.begin(), v.end()};
}

double sqnr_db(const std::vector<float>& x, const std::vector<float>& y) {
  double signal = 0, noise = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    signal += static_cast<double>(x[i]) * x[i];
    noise += std::pow(static_cast<double>(x[i]) - y[i], 2);
  }
  return 10 * std::log10(signal / noise);
}

std::string refusal(const std::function<void()>& work, base::ErrorKind kind) {
  try {
    work();
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

TEST(Prepare, DoesNotChangeTheOutput) {
  Graph g = network();
  const auto before = output(g);
  prepare(g);
  for (graph::NodeId id = 0; id < g.node_count(); ++id) EXPECT_NE(g.node(id).op, "BatchNormalization");
  EXPECT_GT(sqnr_db(before, output(g)), 120);
}

TEST(Quantize, WiderSchemesLoseLess) {
  const auto before = output(network());
  const double w8a16 = sqnr_db(before, output(quantize(network(), "W8A16").graph)),
               w4a16 = sqnr_db(before, output(quantize(network(), "W4A16").graph)),
               w4a8 = sqnr_db(before, output(quantize(network(), "W4A8").graph)),
               w4a4 = sqnr_db(before, output(quantize(network(), "W4A4").graph));
  EXPECT_GT(w8a16, w4a16 + 10);
  EXPECT_GT(w4a16, w4a8);
  EXPECT_GT(w4a8, w4a4);
  EXPECT_GT(w4a4, 3);
}

/// Inputs with a large mean, as pixels from 0 to 255 have: every weight's error moves the output's mean.
TEST(BiasCorrection, TakesBackTheShiftOfTheMean) {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 3, 6, 6});
  const auto plus = b.node("Add", {x, b.constant("offset", Tensor::scalar(30.0f))}, "plus");
  const auto c = b.node("Conv", {plus, b.weights("w", {8, 3, 3, 3}, 0.3)}, "c");
  const auto r = b.node("Relu", {c}, "r");
  auto g = b.finish({b.node("Conv", {r, b.weights("w2", {4, 8, 1, 1}, 0.3), b.weights("b2", {4})}, "y")});
  runtime::infer_shapes(g);
  const auto error = [&](const std::string& scheme) {
    Graph q = g;
    prepare(q);
    const Plan plan = make_plan(q, parse_scheme(scheme), nullptr, {});
    base::ThreadPool pool(1);
    base::NoProgress progress;
    int64_t at = 0;
    const Calibration calibration =
        calibrate(q, observed_values(q, plan),
                  [&]() -> std::vector<Tensor> {
                    if (at == 4) return {};
                    return {GraphBuilder::random_tensor("calibration" + std::to_string(at++), {8, 3, 6, 6})};
                  },
                  32, pool, progress, {});
    apply(q, plan, &calibration, pool, progress);
    const std::vector<Tensor> inputs{GraphBuilder::random_tensor("in", {8, 3, 6, 6})};
    const Tensor before = runtime::Session(g, pool).run(inputs)[0], after = runtime::Session(q, pool).run(inputs)[0];
    double sum = 0;
    for (size_t i = 0; i < before.values<float>().size(); ++i)
      sum += std::pow(static_cast<double>(before.values<float>()[i]) - after.values<float>()[i], 2);
    return sum;
  };
  // The inputs' mean is 30 times their spread, so nearly all of the error is the shift.
  EXPECT_LT(error("W4A16:int4,map=symmetric,group=channel"),
            0.2 * error("W4A16:int4,map=symmetric,group=channel,bias-correction=off"));
}

TEST(Quantize, EveryFormatRuns) {
  const auto before = output(network());
  for (const auto* format : codec::all_formats()) {
    if (format->name == "uint8") continue;
    const auto q = quantize(network(), "W4A16:" + std::string(format->name) + (format->block ? "" : ",group=channel"));
    EXPECT_GT(sqnr_db(before, output(q.graph)), 8) << format->name;
  }
}

TEST(Quantize, TheSameBytesForAnyNumberOfThreads) {
  for (const char* scheme : {"W4A16", "W4A8", "W4A4:positions=all"}) {
    const auto one = quantize(network(), scheme, 1), many = quantize(network(), scheme, 5);
    ASSERT_EQ(one.graph.value_count(), many.graph.value_count());
    for (graph::ValueId v = 0; v < one.graph.value_count(); ++v) {
      const auto a = one.graph.value(v).constant.bytes(), b = many.graph.value(v).constant.bytes();
      EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << one.graph.value(v).name;
    }
  }
}

TEST(Plan, SaysWhatBecomesOfEveryLayer) {
  Graph g = network();
  prepare(g);
  const Plan plan = make_plan(g, parse_scheme("W4A8:keep=first,keep=depthwise:16"), nullptr, {});
  ASSERT_EQ(plan.layers.size(), 4u);
  EXPECT_EQ(plan.layers[0].bits, 8);
  EXPECT_NE(plan.layers[0].note.find("keep=first"), std::string::npos);
  EXPECT_EQ(plan.layers[1].bits, 16);
  EXPECT_TRUE(plan.layers[1].depthwise);
  EXPECT_EQ(plan.layers[2].bits, 4);
  EXPECT_EQ(plan.layers[3].rows, 10);
  EXPECT_TRUE(plan.layers[3].transposed);
  EXPECT_TRUE(plan.layers[3].last);
  // c1 reads the network's input, c2 the depthwise output, the product its own; the depthwise layer stays float.
  ASSERT_EQ(plan.activations.size(), 3u);
  EXPECT_EQ(plan.activations[0].position, "network input, input of convolutions");
  // 16 x 144 int4 codes and 16 f16 scales
  EXPECT_EQ(plan.layers[2].bytes_after, 16 * 144 / 2 + 32);
}

TEST(Plan, GroupsNeedTwoOfThemElseAScaleAChannel) {
  Graph g = network();
  prepare(g);
  const Plan plan = make_plan(g, parse_scheme("W4A16"), nullptr, {});
  EXPECT_EQ(plan.layers[2].group, 32);  // 144 inputs
  EXPECT_EQ(plan.layers[1].group, 0);   // 9 inputs
  EXPECT_NE(plan.layers[1].note.find("fewer than two groups"), std::string::npos);
}

TEST(Plan, PositionsAllAddsResidualAdditions) {
  const auto compute = quantize(network(), "W4A8"), all = quantize(network(), "W4A8:positions=all");
  EXPECT_EQ(all.plan.activations.size(), compute.plan.activations.size() + 1);  // r1 is quantized already, c2 is new
  int64_t dequantized_operands = 0;
  const auto producers = all.graph.producers();
  for (graph::NodeId id = 0; id < all.graph.node_count(); ++id)
    if (all.graph.node(id).op == "Add")
      for (const auto v : all.graph.node(id).inputs)
        dequantized_operands += all.graph.node(producers[static_cast<size_t>(v)]).op == "DequantizeLinear";
  EXPECT_EQ(dequantized_operands, 2);
}

TEST(Plan, PredictedBytesAreTheStoredBytes) {
  for (const char* scheme : {"W4A16", "W4A16:int4,group=16", "W4A8", "W4A16:map=minmax,group=channel", "W4A16:mxfp4",
                             "W4A16:nvfp4", "W4A16:nf4,group=64", "W4A8:group=tensor", "W8A8"}) {
    const auto q = quantize(network(), scheme);
    for (size_t i = 0; i < q.results.size(); ++i)
      EXPECT_EQ(q.plan.layers[i].bytes_after, q.results[i].bytes) << scheme << " " << q.results[i].name;
  }
}

/// Token numbers, an embedding, two products: what onnxruntime's own operators are for.
Graph embedded() {
  GraphBuilder b;
  const auto ids = b.input("ids", {4}, tensor::DType::i64);
  const auto e = b.node("Gather", {b.weights("table", {120, 40}), ids}, "e");
  const auto m = b.node("MatMul", {e, b.weights("w1", {40, 70})}, "m");
  auto g =
      b.finish({b.node("Gemm", {m, b.weights("w2", {9, 70}), b.weights("b2", {9})}, "y", {{"transB", int64_t{1}}})});
  runtime::infer_shapes(g);
  return g;
}

TEST(Plan, TheStyleMatmulnbitsQuantizesTablesAndCountsItsOwnForm) {
  PlanOptions packed;
  packed.style = model::OnnxStyle::kMatMulNBits;
  for (const char* scheme :
       {"W4A16", "W4A16:int4,map=symmetric", "W4A16:int4,map=affine,group=16", "W4A16:map=minmax"}) {
    auto q = quantize(embedded(), scheme, 1, packed);
    const bool offsets = std::string(scheme).find("minmax") != std::string::npos;
    ASSERT_EQ(q.plan.layers.size(), offsets ? 2u : 3u) << scheme;
    EXPECT_EQ(q.plan.left_out.size(), offsets ? 1u : 0u) << scheme;
    Graph g = embedded();
    prepare(g);
    q.graph.metadata["nibble.float_bytes"] = std::to_string(q.plan.bytes_before);
    EXPECT_EQ(static_cast<int64_t>(model::saved_size(q.graph, packed.style)), predicted_file_bytes(g, q.plan))
        << scheme;
    model::use_matmul_nbits(q.graph);
    for (graph::NodeId id = 0; id < q.graph.node_count(); ++id)
      EXPECT_TRUE(q.graph.node(id).domain == "com.microsoft" || (offsets && q.graph.node(id).op == "Gather")) << scheme;
    // What the plan says, the report says and the file holds.
    const auto stored = model::stored_weights(q.graph);
    for (const LayerPlan& layer : q.plan.layers) {
      const auto result =
          std::find_if(q.results.begin(), q.results.end(), [&](const auto& r) { return r.name == layer.name; });
      EXPECT_EQ(result->bytes, layer.bytes_after) << scheme << " " << layer.name;
      const auto it = std::find_if(stored.begin(), stored.end(), [&](const auto& w) { return w.layer == layer.name; });
      if (layer.table) continue;  // its operator is not read back by stored_weights, only after folding
      ASSERT_NE(it, stored.end());
      EXPECT_EQ(it->bytes, layer.bytes_after) << scheme << " " << layer.name;
    }
  }
}

TEST(Plan, TheStylesHaveTheSameWeights) {
  PlanOptions packed;
  packed.style = model::OnnxStyle::kMatMulNBits;
  for (const char* scheme : {"W4A16:int4,map=symmetric", "W4A16:int4,map=restricted"}) {
    const auto a = quantize(embedded(), scheme), b = quantize(embedded(), scheme, 1, packed);
    EXPECT_EQ(a.plan.layers[0].grid.format->name, "int4");
    EXPECT_EQ(b.plan.layers[1].grid.format->name, "uint4");
    for (const char* name : {"w1", "w2"}) {
      const Tensor v = codec::dequantize(a.graph.value(a.graph.find_value(name)).constant),
                   w = codec::dequantize(b.graph.value(b.graph.find_value(name)).constant);
      EXPECT_TRUE(std::equal(v.values<float>().begin(), v.values<float>().end(), w.values<float>().begin())) << name;
    }
  }
}

TEST(Plan, TablesStayAsTheyAreInTheStandardStyle) {
  Graph g = embedded();
  const Plan plan = make_plan(g, parse_scheme("W4A16:keep=first"), nullptr, {});
  ASSERT_EQ(plan.layers.size(), 2u);
  EXPECT_EQ(plan.left_out.size(), 1u);
  EXPECT_EQ(plan.layers[0].bits, 8);
  PlanOptions packed;
  packed.style = model::OnnxStyle::kMatMulNBits;
  const Plan other = make_plan(g, parse_scheme("W4A16:keep=first,keep=e"), nullptr, packed);
  EXPECT_TRUE(other.layers[0].table);
  EXPECT_EQ(other.layers[0].bits, 8) << "named";
  EXPECT_EQ(other.layers[1].bits, 8) << "the first product, which no table is";
  EXPECT_NE(other.layers[1].why_qdq, "");
}

TEST(Plan, WhatCannotBeQuantizedIsAnErrorUnlessFallbackIsAllowed) {
  GraphBuilder b;
  const auto x = b.input("x", {1, 2, 3});
  const auto y = b.node("MatMul", {x, b.weights("stack", {1, 3, 3})}, "y");
  auto g = b.finish({b.node("MatMul", {y, b.weights("w", {3, 4})}, "z")});
  runtime::infer_shapes(g);
  const std::string text =
      refusal([&] { make_plan(g, parse_scheme("W4A16"), nullptr, {}); }, base::ErrorKind::kUnsupported);
  EXPECT_NE(text.find("\"y\""), std::string::npos) << text;
  PlanOptions options;
  options.allow_fallback = true;
  const Plan plan = make_plan(g, parse_scheme("W4A16"), nullptr, options);
  EXPECT_EQ(plan.layers[0].bits, 16);
  EXPECT_FALSE(plan.layers[0].note.empty());
  EXPECT_EQ(plan.quantized_layers(), 1);
}

TEST(Plan, NothingToQuantizeIsAnError) {
  GraphBuilder b;
  auto g = b.finish({b.node("Relu", {b.input("x", {1})}, "y")});
  runtime::infer_shapes(g);
  refusal([&] { make_plan(g, parse_scheme("W4A16"), nullptr, {}); }, base::ErrorKind::kUnsupported);
}

TEST(Plan, AKeepRuleThatMatchesNothingIsAnError) {
  Graph g = network();
  refusal([&] { make_plan(g, parse_scheme("W4A16:keep=conv99"), nullptr, {}); }, base::ErrorKind::kUsage);
}

TEST(Plan, NaNWeightsNameTensorAndIndex) {
  GraphBuilder b;
  Tensor w = GraphBuilder::random_tensor("w", {4, 3});
  w.mutable_values<float>()[7] = std::numeric_limits<float>::infinity();
  auto g = b.finish({b.node("MatMul", {b.input("x", {1, 4}), b.constant("w", w)}, "y")});
  runtime::infer_shapes(g);
  const std::string text =
      refusal([&] { make_plan(g, parse_scheme("W4A16"), nullptr, {}); }, base::ErrorKind::kMalformed);
  EXPECT_NE(text.find("\"w\""), std::string::npos) << text;
  EXPECT_NE(text.find("index 7"), std::string::npos) << text;
  PlanOptions options;
  options.zero_nonfinite = true;
  Quantized q;
  Plan plan = make_plan(g, parse_scheme("W4A16:int4,group=channel,map=symmetric"), nullptr, options);
  base::ThreadPool pool(1);
  base::NoProgress progress;
  apply(g, plan, nullptr, pool, progress);
  EXPECT_EQ(codec::dequantize(g.value(g.node(0).input(1)).constant).values<float>()[7], 0.0f);
}

TEST(Calibration, ValuesWithoutARangeAreAnError) {
  Graph g = network();
  prepare(g);
  Plan plan = make_plan(g, parse_scheme("W4A8"), nullptr, {});
  Calibration empty;
  const std::string text = refusal([&] { use_calibration(plan, empty); }, base::ErrorKind::kUsage);
  EXPECT_NE(text.find("4 values"), std::string::npos) << text;
  base::ThreadPool pool(1);
  base::NoProgress progress;
  refusal([&] { apply(g, plan, nullptr, pool, progress); }, base::ErrorKind::kUsage);
}

TEST(Calibration, AGivenRangeIsUsedAsItIs) {
  Graph g = network();
  prepare(g);
  Plan plan = make_plan(g, parse_scheme("W4A8"), nullptr, {});
  Calibration c;
  for (const auto& [name, axis] : observed_values(g, plan)) {
    c.activations[name].min = -1.0f;
    c.activations[name].max = 0.275f;
  }
  use_calibration(plan, c);
  for (const auto& a : plan.activations) {
    EXPECT_FLOAT_EQ(a.params.scale, 1.275f / 255.0f);
    EXPECT_EQ(a.params.zero, 200);
    EXPECT_TRUE(a.is_signed);
  }
}

TEST(Calibration, AnActivationThatIsAlwaysZeroGetsScaleOne) {
  Graph g = network();
  prepare(g);
  Plan plan = make_plan(g, parse_scheme("W4A4"), nullptr, {});
  Calibration c;
  for (const auto& [name, axis] : observed_values(g, plan))
    observe(c.activations[name], name, Tensor(tensor::DType::f32, {5}));
  use_calibration(plan, c);
  for (const auto& a : plan.activations) {
    EXPECT_EQ(a.params.scale, 1.0f);
    EXPECT_EQ(a.params.zero, 0);
  }
}

TEST(Calibration, AConstantActivationIsExact) {
  Graph g = network();
  prepare(g);
  for (const char* scheme : {"W4A8", "W4A4:act-clip=minmax", "W4A8:act-clip=percentile"}) {
    Plan plan = make_plan(g, parse_scheme(scheme), nullptr, {});
    Calibration c;
    for (const auto& [name, axis] : observed_values(g, plan))
      observe(c.activations[name], name, Tensor::of<float>({3}, std::vector<float>{-2.5f, -2.5f, -2.5f}));
    use_calibration(plan, c);
    for (const auto& a : plan.activations) {
      const auto& grid = activation_grid(a.bits);
      const int code = grid.format->quantize(-2.5f, a.params);
      EXPECT_NEAR(grid.format->decode(code, a.params), -2.5f, 1e-6) << scheme;
    }
  }
}

TEST(Quantize, DeadChannelsAndOneValueGroupsAreExact) {
  GraphBuilder b;
  Tensor w(tensor::DType::f32, {4, 2, 1, 1});
  const float values[] = {0, 0, 0.5f, 0.5f, -3, 0, 1e-8f, 1e-8f};
  std::copy(std::begin(values), std::end(values), w.mutable_values<float>().begin());
  auto g = b.finish({b.node("Conv", {b.input("x", {1, 2, 3, 3}), b.constant("w", w)}, "y")});
  runtime::infer_shapes(g);
  for (const char* scheme : {"W4A16", "W4A16:int4,map=symmetric", "W4A16:clip=minmax", "W4A16:nf4"}) {
    auto q = quantize(g, scheme);
    const auto decoded = codec::dequantize(q.graph.value(q.graph.node(0).input(1)).constant);
    const auto d = decoded.values<float>();
    EXPECT_EQ(d[0], 0.0f) << scheme;
    EXPECT_EQ(d[1], 0.0f) << scheme;
    EXPECT_NEAR(d[2], 0.5f, 0.5f / 1024) << scheme;
    EXPECT_NEAR(d[4], -3.0f, 3.0f / 1024) << scheme;
    EXPECT_EQ(d[5], 0.0f) << scheme;
    EXPECT_TRUE(std::isfinite(d[6]));
  }
}

}  // namespace
}  // namespace nibble::quant
