#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "quant/apply.h"
#include "quant/prepare/prepare.h"
#include "runtime/infer_shapes.h"
#include "runtime/session.h"
#include "support/graph_builder.h"

namespace nibble::quant {
namespace {

using graph::Graph;
using graph::ValueId;
using tensor::Tensor;
using test::GraphBuilder;
using test::Ints;

/// Weights whose output channels differ by up to 3^4, as folded batch normalizations leave them; `turned` has the large
/// ones where the others have the small ones.
ValueId uneven(GraphBuilder& b, const std::string& name, tensor::Shape shape, bool outputs_last = false,
               bool turned = false) {
  Tensor w = GraphBuilder::random_tensor(name, shape, 0.3);
  auto values = w.mutable_values<float>();
  const auto outputs = static_cast<size_t>(outputs_last ? shape.back() : shape[0]);
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t channel = outputs_last ? i % outputs : i / (values.size() / outputs);
    values[i] *= static_cast<float>(std::pow(turned ? 1 / 3.0 : 3.0, static_cast<double>(channel % 5) - 2));
  }
  return b.constant(name, w);
}

Graph separable() {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 4, 8, 8});
  const auto c1 = b.node("Conv", {x, uneven(b, "w1", {12, 4, 3, 3}), b.weights("b1", {12})}, "c1");
  const auto r1 = b.node("Relu", {c1}, "r1");
  const auto dw = b.node("Conv", {r1, uneven(b, "wd", {12, 1, 3, 3}, false, true), b.weights("bd", {12})}, "dw",
                         {{"group", int64_t{12}}, {"pads", Ints{1, 1, 1, 1}}});
  const auto r2 = b.node("LeakyRelu", {dw}, "r2", {{"alpha", 0.1f}});
  const auto pool = b.node("MaxPool", {r2}, "pool", {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  auto g = b.finish({b.node("Conv", {pool, b.weights("w2", {6, 12, 1, 1}, 0.3), b.weights("b2", {6})}, "y")});
  runtime::infer_shapes(g);
  return g;
}

Graph grouped() {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 4, 8, 8});
  const auto c1 = b.node("Conv", {x, uneven(b, "w1", {12, 4, 1, 1}), b.weights("b1", {12})}, "c1");
  const auto c2 = b.node("Conv", {c1, b.weights("w2", {8, 3, 3, 3}, 0.3)}, "c2", {{"group", int64_t{4}}});
  auto g = b.finish({b.node("Sigmoid", {c2}, "y")});
  runtime::infer_shapes(g);
  return g;
}

Graph perceptron() {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 4});
  const auto m = b.node("MatMul", {x, uneven(b, "w1", {4, 10}, true)}, "m");
  const auto a = b.node("Add", {b.weights("b1", {10}), m}, "a");
  const auto r = b.node("Relu", {a}, "r");
  const auto g1 = b.node("Gemm", {r, uneven(b, "w2", {7, 10}), b.weights("b2", {7})}, "g1", {{"transB", int64_t{1}}});
  const auto r1 = b.node("Relu", {g1}, "r1");
  auto g = b.finish({b.node("Gemm", {r1, b.weights("w3", {7, 3})}, "y")});
  runtime::infer_shapes(g);
  return g;
}

/// What ends a pair: values that others read too, residual additions, functions that are not homogeneous, shared
/// weights.
Graph unpaired() {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 4, 8, 8});
  const auto shared = uneven(b, "ws", {4, 4, 1, 1});
  const auto c1 = b.node("Conv", {x, uneven(b, "w1", {4, 4, 1, 1})}, "c1");
  const auto s1 = b.node("Sigmoid", {c1}, "s1");
  const auto c2 = b.node("Conv", {s1, uneven(b, "w2", {4, 4, 1, 1})}, "c2");
  const auto sum = b.node("Add", {c2, s1}, "sum");
  const auto c3 = b.node("Conv", {sum, shared}, "c3");
  const auto c4 = b.node("Conv", {c3, shared}, "c4");
  const auto c5 = b.node("Conv", {c4, uneven(b, "w5", {4, 4, 1, 1})}, "c5");
  const auto y1 = b.node("Conv", {c5, uneven(b, "w6", {4, 4, 1, 1})}, "y1");
  auto g = b.finish({y1, b.node("Conv", {c5, uneven(b, "w7", {4, 4, 1, 1})}, "y2")});
  runtime::infer_shapes(g);
  return g;
}

std::vector<float> output(const Graph& g) {
  base::ThreadPool pool(1);
  tensor::Shape shape = g.value(g.inputs[0]).shape;
  shape[0] = 4;
  const std::vector<Tensor> inputs{GraphBuilder::random_tensor("in", shape)};
  std::vector<float> all;
  for (const Tensor& y : runtime::Session(g, pool).run(inputs))
    all.insert(all.end(), y.values<float>().begin(), y.values<float>().end());
  return all;
}

double relative_error(const std::vector<float>& want, const std::vector<float>& got) {
  double largest = 0, miss = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::fabs(double{want[i]}));
    miss = std::max(miss, std::fabs(double{want[i]} - double{got[i]}));
  }
  return miss / largest;
}

std::vector<const Preparation*> chosen() {
  std::vector<const Preparation*> all;
  for (const Preparation* p : all_preparations())
    if (!p->always) all.push_back(p);
  return all;
}

/// The promise of every preparation of the table, alone and together.
TEST(EveryPreparation, DoesNotChangeTheFloatOutput) {
  for (const auto& make : {separable, grouped, perceptron, unpaired}) {
    const auto before = output(make());
    for (const Preparation* p : all_preparations()) {
      Graph g = make();
      p->run(g);
      g.compact();
      runtime::infer_shapes(g);
      EXPECT_LT(relative_error(before, output(g)), 1e-5) << p->name;
      EXPECT_EQ(find_preparation(p->name), p);
    }
    Graph g = make();
    prepare(g, chosen());
    EXPECT_LT(relative_error(before, output(g)), 1e-5);
  }
  EXPECT_EQ(find_preparation("magic"), nullptr);
}

/// Powers of two commute with every rounding: not even the last bit moves.
TEST(Equalize, GivesTheSameBits) {
  for (const auto& make : {separable, grouped, perceptron}) {
    Graph g = make();
    const auto before = output(g);
    const auto note = find_preparation("equalize")->run(g);
    EXPECT_EQ(note.find(" 0 channels"), std::string::npos) << note;
    EXPECT_EQ(output(g), before);
  }
}

std::vector<float> ranges(const Graph& g, const std::string& weight, size_t channels,
                          const std::function<size_t(size_t)>& channel) {
  std::vector<float> r(channels, 0.0f);
  const auto w = g.value(g.find_value(weight)).constant.values<float>();
  for (size_t i = 0; i < w.size(); ++i) r[channel(i)] = std::max(r[channel(i)], std::fabs(w[i]));
  return r;
}

TEST(Equalize, BringsBothRangesWithinAFactorOfTwo) {
  Graph g = separable();
  EXPECT_EQ(find_preparation("equalize")->run(g).substr(0, 18), "2 pairs of layers,");
  const auto first = ranges(g, "w1", 12, [](size_t i) { return i / 36; });
  const auto middle = ranges(g, "wd", 12, [](size_t i) { return i / 9; });
  const auto last = ranges(g, "w2", 12, [](size_t i) { return i % 12; });
  for (size_t c = 0; c < 12; ++c) {
    EXPECT_LE(std::fabs(std::log2(first[c] / middle[c])), 1.0f) << c;
    EXPECT_LE(std::fabs(std::log2(middle[c] / last[c])), 1.0f) << c;
  }
  Graph p = perceptron();
  EXPECT_EQ(find_preparation("equalize")->run(p).substr(0, 18), "2 pairs of layers,");
  const auto matmul = ranges(p, "w1", 10, [](size_t i) { return i % 10; });
  const auto gemm = ranges(p, "w2", 10, [](size_t i) { return i % 10; });
  for (size_t c = 0; c < 10; ++c) EXPECT_LE(std::fabs(std::log2(matmul[c] / gemm[c])), 1.0f) << c;
}

TEST(Equalize, LeavesAloneWhatItMayNotTouch) {
  Graph g = unpaired();
  const Graph before = g;
  // Only c4 to c5 could be one, and ws belongs to c3 and c4.
  EXPECT_NE(find_preparation("equalize")->run(g).find("no two layers"), std::string::npos);
  for (ValueId v = 0; v < g.value_count(); ++v)
    EXPECT_EQ(g.value(v).constant.bytes().data(), before.value(v).constant.bytes().data());
}

TEST(Equalize, KeepsDeadChannels) {
  GraphBuilder b;
  Tensor w = GraphBuilder::random_tensor("w", {3, 2, 1, 1});
  w.mutable_values<float>()[2] = w.mutable_values<float>()[3] = 0.0f;
  const auto c = b.node("Conv", {b.input("x", {1, 2, 3, 3}), b.constant("w", w), b.weights("b", {3})}, "c");
  auto g = b.finish({b.node("Conv", {c, b.weights("w2", {2, 3, 1, 1}, 100.0)}, "y")});
  runtime::infer_shapes(g);
  const float bias = g.value(g.find_value("b")).constant.values<float>()[1];
  find_preparation("equalize")->run(g);
  EXPECT_EQ(g.value(g.find_value("b")).constant.values<float>()[1], bias);
}

/// The case that it was made for: one scale for a weight whose channels differ by two orders of magnitude.
TEST(Equalize, LowersTheErrorWhereOneScaleServesATensor) {
  const auto before = output(separable());
  const auto error = [&](const char* text) {
    Graph g = separable();
    const Scheme scheme = parse_scheme(text);
    prepare(g, scheme.preparations);
    const Plan plan = make_plan(g, scheme, nullptr, {});
    base::ThreadPool pool(1);
    base::NoProgress progress;
    apply(g, plan, nullptr, pool, progress);
    const auto after = output(g);
    double sum = 0;
    for (size_t i = 0; i < before.size(); ++i) sum += std::pow(double{before[i]} - double{after[i]}, 2);
    return sum;
  };
  EXPECT_LT(error("W4A16:int4,map=symmetric,group=tensor,prepare=equalize"),
            0.5 * error("W4A16:int4,map=symmetric,group=tensor"));
}

TEST(Equalize, IsPartOfTheSchemesText) {
  const Scheme s = parse_scheme("W4A16:prepare=equalize");
  EXPECT_NE(to_text(s).find(",prepare=equalize"), std::string::npos);
  EXPECT_EQ(to_text(parse_scheme(to_text(s))), to_text(s));
  EXPECT_EQ(to_text(parse_scheme("W4A16:prepare=equalize,prepare=none")), to_text(parse_scheme("W4A16")));
  EXPECT_THROW(parse_scheme("W4A16:prepare=magic"), base::Error);
  EXPECT_THROW(parse_scheme("W4A16:prepare=fold-bias"), base::Error) << "it always runs";
}

TEST(Equalize, RefusesRangesOfANetworkThatWasNotEqualized) {
  Graph g = separable();
  const Scheme scheme = parse_scheme("W4A8:prepare=equalize");
  prepare(g, scheme.preparations);
  Plan plan = make_plan(g, scheme, nullptr, {});
  Calibration calibration;
  for (const auto& [name, axis] : observed_values(g, plan)) calibration.activations[name].max = 1.0f;
  EXPECT_THROW(use_calibration(plan, calibration), base::Error);
  calibration.prepared = preparations_text(scheme);
  use_calibration(plan, calibration_from_json(to_json(calibration), "ranges", {}));
  EXPECT_TRUE(plan.activations[0].calibrated);
}

}  // namespace
}  // namespace nibble::quant
