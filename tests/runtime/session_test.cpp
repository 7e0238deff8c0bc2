#include "runtime/session.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "codec/format.h"
#include "fit/quantize.h"
#include "runtime/infer_shapes.h"
#include "runtime/rewrite/rewrite.h"
#include "support/compare.h"
#include "support/graph_builder.h"

namespace nibble {
namespace {

using graph::Attribute;
using tensor::Shape;
using tensor::Tensor;
using test::GraphBuilder;
using test::Ints;

std::vector<Tensor> run(const graph::Graph& g, const std::vector<Tensor>& inputs, bool optimize, int threads = 2) {
  base::ThreadPool pool(threads);
  runtime::SessionOptions options;
  options.optimize = optimize;
  return runtime::Session(g, pool, options).run(inputs);
}

double relative_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double largest = 0, difference = 0;
  const auto x = a.values<float>(), y = b.values<float>();
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_FALSE(std::isnan(x[i]) || std::isnan(y[i]));
    largest = std::max(largest, std::fabs(static_cast<double>(x[i])));
    difference = std::max(difference, std::fabs(static_cast<double>(x[i]) - y[i]));
  }
  return difference / std::max(largest, 1e-30);
}

/// Two branches, a shortcut with Slice and Pad as the CIFAR ResNets have it, poolings, a concatenation, a product.
graph::Graph branched_network() {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 3, 17, 13});
  const auto c1 = b.node("Conv", {x, b.weights("w1", {8, 3, 3, 3}, 0.3)}, "c1", {{"pads", Ints{1, 1, 1, 1}}});
  const auto bn = b.node("BatchNormalization",
                         {c1, b.weights("gamma", {8}), b.weights("beta", {8}), b.weights("mean", {8}),
                          b.constant("var", Tensor::of<float>({8}, std::vector<float>(8, 0.7f)))},
                         "bn");
  const auto r1 = b.node("Relu", {bn}, "r1");
  const auto c2 = b.node("Conv", {r1, b.weights("w2", {16, 8, 3, 3}, 0.2), b.weights("b2", {16})}, "c2",
                         {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}});
  const auto i64 = [](std::vector<int64_t> v) { return Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v); };
  const auto sliced = b.node("Slice",
                             {r1, b.constant("starts", i64({0, 0})), b.constant("ends", i64({INT64_MAX, INT64_MAX})),
                              b.constant("axes", i64({2, 3})), b.constant("steps", i64({2, 2}))},
                             "sliced");
  const auto padded = b.node("Pad", {sliced, b.constant("pads", i64({0, 4, 0, 0, 0, 4, 0, 0}))}, "padded");
  const auto sum = b.node("Add", {c2, padded}, "sum");
  const auto r2 = b.node("LeakyRelu", {sum}, "r2", {{"alpha", 0.1f}});
  const auto dw = b.node("Conv", {r2, b.weights("wd", {16, 1, 3, 3}, 0.4)}, "dw",
                         {{"group", int64_t{16}}, {"pads", Ints{1, 1, 1, 1}}});
  const auto mp = b.node("MaxPool", {r2}, "mp", {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
  const auto cat = b.node("Concat", {dw, mp}, "cat", {{"axis", int64_t{1}}});
  const auto clip =
      b.node("Clip", {cat, b.constant("low", Tensor::scalar(-1.0f)), b.constant("high", Tensor::scalar(2.0f))}, "clip");
  const auto far = b.node("Conv", {clip, b.weights("w5", {8, 32, 1, 1}, 0.2)}, "far", {{"pads", Ints{1, 1, 1, 1}}});
  const auto ap = b.node("AveragePool", {far}, "ap", {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  const auto gp = b.node("GlobalAveragePool", {ap}, "gp");
  const auto flat = b.node("Flatten", {gp}, "flat");
  const auto y = b.node("Gemm", {flat, b.weights("wg", {5, 8}), b.weights("bg", {5})}, "y", {{"transB", int64_t{1}}});
  auto g = b.finish({b.node("Softmax", {y}, "prob"), sum});
  runtime::infer_shapes(g);
  return g;
}

TEST(Session, RewritingKeepsTheResults) {
  const auto g = branched_network();
  for (const int64_t batch : {1, 3}) {
    const std::vector<Tensor> inputs{GraphBuilder::random_tensor("in", {batch, 3, 17, 13})};
    const auto plain = run(g, inputs, false), fused = run(g, inputs, true);
    ASSERT_EQ(plain.size(), 2u);
    // Float sums in another order: the bound is a few hundred roundings, far below any structural error.
    for (size_t i = 0; i < 2; ++i) EXPECT_LT(relative_difference(plain[i], fused[i]), 3e-6) << i;
  }
}

TEST(Session, TheSameBytesForAnyNumberOfThreads) {
  const auto g = branched_network();
  for (const int64_t batch : {1, 5}) {
    const std::vector<Tensor> inputs{GraphBuilder::random_tensor("in", {batch, 3, 17, 13})};
    const auto one = run(g, inputs, true, 1);
    for (const int threads : {2, 7}) {
      const auto many = run(g, inputs, true, threads);
      for (size_t i = 0; i < one.size(); ++i)
        EXPECT_TRUE(
            std::equal(one[i].bytes().begin(), one[i].bytes().end(), many[i].bytes().begin(), many[i].bytes().end()))
            << threads;
    }
  }
}

TEST(Session, WatchedValuesHaveTheirOwnShapeAndLayout) {
  const auto g = branched_network();
  const std::vector<Tensor> inputs{GraphBuilder::random_tensor("in", {2, 3, 17, 13})};
  base::ThreadPool pool(2);
  std::map<std::string, Tensor> plain, fused;
  for (const bool optimize : {false, true}) {
    runtime::SessionOptions options;
    options.optimize = optimize;
    options.watched = {"x", "bn", "r2", "mp", "cat"};
    runtime::Session session(g, pool, options);
    session.watch([&](const std::string& name, const Tensor& value) { (optimize ? fused : plain)[name] = value; });
    session.run(inputs);
  }
  ASSERT_EQ(plain.size(), 5u);
  for (const auto& [name, value] : plain) EXPECT_LT(relative_difference(value, fused.at(name)), 3e-6) << name;
}

TEST(Session, InputsAreChecked) {
  const auto g = branched_network();
  EXPECT_THROW(run(g, {}, true), base::Error);
  EXPECT_THROW(run(g, {GraphBuilder::random_tensor("in", {1, 3, 17, 14})}, true), base::Error);
  EXPECT_THROW(run(g, {Tensor(tensor::DType::u8, {1, 3, 17, 13})}, true), base::Error);
  base::ThreadPool pool(1);
  runtime::SessionOptions options;
  options.watched = {"no such value"};
  EXPECT_THROW(runtime::Session(g, pool, options), base::Error);
}

TEST(Session, AllUnsupportedOperatorsAreNamedAtOnce) {
  GraphBuilder b;
  const auto x = b.input("x", {1});
  const auto y = b.node("Frobnicate", {x}, "y");
  const auto z = b.node("Frobnicate", {y}, "z");
  const auto g = b.finish({b.node("Grind", {z}, "u", {}, "custom.domain")});
  base::ThreadPool pool(1);
  try {
    runtime::Session session(g, pool);
    FAIL();
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), base::ErrorKind::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("Frobnicate x2, custom.domain.Grind x1"), std::string::npos) << e.what();
  }
}

TEST(Session, ARunBeyondTheMemoryLimitIsRefused) {
  const auto g = branched_network();
  base::ThreadPool pool(1);
  runtime::SessionOptions options;
  options.limits.run_bytes = 1000;
  runtime::Session session(g, pool, options);
  const std::vector<Tensor> inputs{GraphBuilder::random_tensor("in", {1, 3, 17, 13})};
  try {
    session.run(inputs);
    FAIL();
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), base::ErrorKind::kLimit);
  }
}

/// Quantize, dequantize, convolve with 4-bit weights, as a file writes it.
graph::Graph quantized_network(tensor::DType activation, const char* format, fit::Map map, bool depthwise) {
  GraphBuilder b;
  base::ThreadPool pool(1);
  const auto quantized = [&](const std::string& name, Shape shape, bool transposed) {
    const Tensor w = GraphBuilder::random_tensor(name, shape, 0.2);
    tensor::MatrixView view{w.values<float>().data(), shape[0], w.elements() / shape[0], w.elements() / shape[0], 1};
    if (transposed) view = {w.values<float>().data(), shape[1], shape[0], 1, shape[1]};
    const auto q =
        fit::quantize_matrix(view, fit::make_grid(*codec::find_format(format), map), 0, false,
                             *fit::find_clip_rule("minmax"), *fit::find_round_method("nearest"), {}, {}, pool);
    return b.constant(name, fit::to_tensor(q, shape, transposed));
  };
  const bool narrow = tensor::bits_of(activation) == 4,
             is_signed = activation == tensor::DType::i8 || activation == tensor::DType::int4;
  const int8_t zero = is_signed ? (narrow ? -3 : -11) : (narrow ? 5 : 117);
  const auto pair = [&](graph::ValueId v, const std::string& name, float scale) {
    const auto s = b.constant(name + "_scale", Tensor::scalar(scale));
    const auto z = b.constant(name + "_zero", narrow      ? codec::pack(activation, {}, {&zero, 1})
                                              : is_signed ? Tensor::scalar<int8_t>(zero)
                                                          : Tensor::scalar<uint8_t>(static_cast<uint8_t>(zero)));
    return b.node("DequantizeLinear", {b.node("QuantizeLinear", {v, s, z}, name + "_q"), s, z}, name + "_dq");
  };
  const auto x = b.input("x", {tensor::kUnknown, 6, 9, 7});
  const float fine = narrow ? 0.4f : 0.03f;
  const auto c1 =
      b.node("Conv",
             {pair(x, "x", fine), quantized("w1", {depthwise ? 6 : 10, depthwise ? 1 : 6, 3, 3}, false),
              b.weights("b1", {depthwise ? 6 : 10}, 0.1)},
             "c1", {{"pads", Ints{1, 0, 1, 2}}, {"strides", Ints{2, 1}}, {"group", int64_t{depthwise ? 6 : 1}}});
  const auto r1 = b.node("Relu", {c1}, "r1");
  const auto c2 = b.node("Conv", {pair(r1, "r1", fine), quantized("w2", {4, depthwise ? 6 : 10, 1, 1}, false)}, "c2");
  const auto flat = b.node("Flatten", {c2}, "flat");
  const auto y = b.node("MatMul", {pair(flat, "flat", fine), quantized("w3", {4 * 5 * 7, 8}, true)}, "y");
  auto g = b.finish({y, c2});
  runtime::infer_shapes(g);
  return g;
}

TEST(IntegerExecution, EqualsTheFilesOwnArithmeticUpToFloatRounding) {
  using tensor::DType;
  for (const DType activation : {DType::u8, DType::i8, DType::uint4, DType::int4})
    for (const auto& [format, map] : {std::pair{"int4", fit::Map::kSymmetric}, std::pair{"uint4", fit::Map::kAffine},
                                      std::pair{"int8", fit::Map::kRestricted}})
      for (const bool depthwise : {false, true}) {
        const auto g = quantized_network(activation, format, map, depthwise);
        const std::vector<Tensor> inputs{GraphBuilder::random_tensor("in", {3, 6, 9, 7})};
        base::ThreadPool pool(2);
        runtime::Session session(g, pool);
        int64_t integer = 0;
        for (graph::NodeId id = 0; id < session.graph().node_count(); ++id)
          integer += session.graph().node(id).op.rfind("Integer", 0) == 0;
        EXPECT_EQ(integer, 3) << name_of(activation) << " " << format;  // a silent fall back to floats would pass below
        const auto plain = run(g, inputs, false);
        const auto exact = session.run(inputs);
        // The float path rounds each sum; near a tie the next layer's code may then differ by one: compare the first
        // product's output closely and the rest within one step of the coarsest quantizer.
        EXPECT_LT(relative_difference(plain[1], exact[1]), tensor::bits_of(activation) == 4 ? 0.2 : 0.02)
            << name_of(activation) << " " << format;
        EXPECT_LT(relative_difference(plain[0], exact[0]), tensor::bits_of(activation) == 4 ? 0.3 : 0.03)
            << name_of(activation) << " " << format;
      }
}

TEST(IntegerExecution, OneProductEqualsFloatWithinRounding) {
  using tensor::DType;
  for (const DType activation : {DType::u8, DType::i8, DType::uint4, DType::int4}) {
    auto g = quantized_network(activation, "int4", fit::Map::kSymmetric, false);
    g.outputs = {g.find_value("c1")};
    runtime::remove_dead_nodes(g);
    g.compact();
    const std::vector<Tensor> inputs{GraphBuilder::random_tensor("in", {2, 6, 9, 7})};
    EXPECT_LT(relative_difference(run(g, inputs, false)[0], run(g, inputs, true)[0]), 1e-6) << name_of(activation);
  }
}

TEST(FoldConstants, ComputesWhatDependsOnConstantsOnly) {
  GraphBuilder b;
  const auto x = b.input("x", {2});
  const auto one = b.constant("one", Tensor::of<float>({2}, std::vector<float>{1, 2}));
  const auto two = b.node("Add", {one, one}, "two");
  auto g = b.finish({b.node("Mul", {x, two}, "y")});
  base::ThreadPool pool(1);
  runtime::fold_constants(g, pool, {});
  g.compact();
  EXPECT_EQ(g.node_count(), 1);
  const std::vector<Tensor> inputs{Tensor::of<float>({2}, std::vector<float>{3, 5})};
  const auto y = run(g, inputs, true)[0];
  EXPECT_EQ(y.values<float>()[0], 6);
  EXPECT_EQ(y.values<float>()[1], 20);
}

TEST(FoldConstants, StaysWithinItsBudget) {
  GraphBuilder b;
  const auto big = b.constant("big", Tensor(tensor::DType::f32, {1000, 1000}));
  auto g = b.finish({b.node("Add", {big, big}, "y")});
  base::Limits limits;
  limits.fold_one = 1000;
  base::ThreadPool pool(1);
  runtime::fold_constants(g, pool, limits);
  g.compact();
  EXPECT_EQ(g.node_count(), 1);
}

TEST(InferShapes, FollowsAnUnknownBatchThroughReshape) {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 4, 5});
  const auto shape = b.constant("shape", Tensor::of<int64_t>({2}, std::vector<int64_t>{0, -1}));
  auto g = b.finish({b.node("Reshape", {x, shape}, "y")});
  runtime::infer_shapes(g);
  EXPECT_EQ(g.value(g.outputs[0]).shape, (Shape{tensor::kUnknown, 20}));
}

}  // namespace
}  // namespace nibble
