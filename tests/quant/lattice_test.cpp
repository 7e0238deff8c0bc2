// Float networks whose weights already lie on a 4-bit lattice: what they lie on is kept.
#include "quant/plan/lattice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include <unistd.h>

#include "base/small_float.h"
#include "codec/format.h"
#include "model/open.h"
#include "model/save.h"
#include "quant/apply.h"
#include "quant/calibrate/calibrate.h"
#include "quant/prepare/prepare.h"
#include "runtime/infer_shapes.h"
#include "support/graph_builder.h"

namespace nibble::quant {
namespace {

using graph::Graph;
using graph::ValueId;
using tensor::Tensor;
using test::GraphBuilder;
using test::Ints;

Graph network() {
  GraphBuilder b;
  const auto x = b.input("x", {tensor::kUnknown, 4, 8, 8});
  const auto c1 = b.node("Conv", {x, b.weights("w1", {16, 4, 3, 3}, 0.3), b.weights("b1", {16})}, "c1",
                         {{"pads", Ints{1, 1, 1, 1}}});
  const auto r1 = b.node("Relu", {c1}, "r1");
  const auto c2 =
      b.node("Conv", {r1, b.weights("w2", {32, 16, 3, 3}, 0.1)}, "c2", {{"pads", Ints{1, 1, 1, 1}}});  // no bias
  const auto gp = b.node("GlobalAveragePool", {c2}, "gp");
  const auto flat = b.node("Flatten", {gp}, "flat");
  const auto m = b.node("MatMul", {flat, b.weights("w3", {32, 64})}, "m");
  auto g =
      b.finish({b.node("Gemm", {m, b.weights("w4", {10, 64}), b.weights("b4", {10})}, "y", {{"transB", int64_t{1}}})});
  runtime::infer_shapes(g);
  return g;
}

struct Quantized {
  Graph graph;
  Plan plan;
  std::vector<LayerResult> results;
};

Quantized quantize(Graph g, const std::string& scheme, PlanOptions options = {}) {
  prepare(g);
  base::ThreadPool pool(2);
  base::NoProgress progress;
  Quantized q;
  q.plan = make_plan(g, parse_scheme(scheme), nullptr, options);
  int64_t batches = 2;
  const auto next = [&]() -> std::vector<Tensor> {
    if (batches-- == 0) return {};
    return {GraphBuilder::random_tensor("calibration" + std::to_string(batches), {8, 4, 8, 8})};
  };
  const Calibration calibration = calibrate(g, observed_values(g, q.plan), next, 16, pool, progress, {});
  use_calibration(q.plan, calibration);
  q.results = apply(g, q.plan, &calibration, pool, progress);
  q.graph = std::move(g);
  return q;
}

Graph with_float_weights(Graph g) {
  for (ValueId v = 0; v < g.value_count(); ++v)
    if (g.is_constant(v) && g.value(v).constant.quantization()) {
      g.value(v).constant = codec::dequantize(g.value(v).constant);
      g.value(v).dtype = tensor::DType::f32;
    }
  return g;
}

/// Through a file, as a checkpoint from elsewhere comes.
Graph saved_and_opened(const Graph& g) {
  const auto path = std::filesystem::temp_directory_path() / ("nibble_lattice_" + std::to_string(::getpid()) + ".onnx");
  model::SaveOptions save;
  save.force = true;
  model::save(g, path, save);
  io::Notes notes;
  Graph back = model::open(path, {}, notes);
  std::filesystem::remove(path);
  return back;
}

const Tensor& constant(const Graph& g, const std::string& name) { return g.value(g.find_value(name)).constant; }

void expect_same_bytes(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_EQ(static_cast<bool>(a), static_cast<bool>(b)) << what;
  ASSERT_EQ(a.dtype(), b.dtype()) << what;
  ASSERT_EQ(a.bytes().size(), b.bytes().size()) << what;
  EXPECT_EQ(std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()), 0) << what;
}

const std::vector<std::string> kWeights = {"w1", "w2", "w3", "w4"};

class RoundTrip : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Schemes, RoundTrip,
                         ::testing::Values("W4A16:int4,map=symmetric,group=channel",
                                           "W4A16:int4,group=channel,clip=minmax",
                                           "W4A16:int4,map=restricted,group=channel,clip=percentile",
                                           "W4A16:int4,map=symmetric,group=tensor", "W4A16:uint4,map=minmax",
                                           "W4A16:uint4,map=affine,group=32"),
                         [](const auto& row) { return "Scheme" + std::to_string(row.index); });

/// Quantized, decoded to floats, written, opened and quantized again: the same scales, and the same decoded values.
TEST_P(RoundTrip, QuantizedTwiceIsQuantizedOnce) {
  const Quantized once = quantize(network(), GetParam());
  EXPECT_EQ(lattice_text(once.plan), "") << "random weights";
  const Quantized twice = quantize(saved_and_opened(with_float_weights(once.graph)), GetParam());
  EXPECT_EQ(lattice_text(twice.plan), "4 of 4 weights lie on a 4-bit lattice already: kept as they are");
  for (const LayerResult& r : twice.results) EXPECT_EQ(r.sqnr_db, std::numeric_limits<double>::infinity()) << r.name;
  const std::string scheme = GetParam();
  // Codes that are not in use leave a choice of zero points, and of offsets with their scales.
  const bool offsets = scheme.find("minmax") != std::string::npos && scheme.find("uint4") != std::string::npos;
  const bool affine = scheme.find("affine") != std::string::npos;
  for (const std::string& name : kWeights) {
    const Tensor &a = constant(once.graph, name), &b = constant(twice.graph, name);
    expect_same_bytes(codec::dequantize(a), codec::dequantize(b), name + " decoded");
    if (offsets) continue;
    expect_same_bytes(a.quantization()->scale, b.quantization()->scale, name + " scale");
    if (affine) continue;  // see below
    expect_same_bytes(a, b, name + " codes");
    expect_same_bytes(a.quantization()->zero, b.quantization()->zero, name + " zero");
  }
}

/// Where a group uses all 16 codes there is one zero point, which comes back; where it does not, another one may stand
/// for the same values.
TEST(Lattice, AffineGroupsThatUseAllCodesComeBackToTheBit) {
  const std::string scheme = "W4A16:uint4,map=affine,group=32";
  const Quantized once = quantize(network(), scheme);
  const Quantized twice = quantize(saved_and_opened(with_float_weights(once.graph)), scheme);
  int64_t full = 0;
  for (const std::string& name : {std::string("w2"), std::string("w4")}) {
    const Tensor &a = constant(once.graph, name), &b = constant(twice.graph, name);
    const auto codes_a = codec::unpack(a), codes_b = codec::unpack(b);
    const auto zero_a = codec::unpack(a.quantization()->zero), zero_b = codec::unpack(b.quantization()->zero);
    const auto columns = static_cast<size_t>(a.elements() / a.shape()[0]), groups = (columns + 31) / 32;
    for (size_t i = 0; i < zero_a.size(); ++i) {
      const size_t first = i / groups * columns + i % groups * 32,
                   count = std::min<size_t>(32, columns - i % groups * 32);
      const auto begin = codes_a.begin() + static_cast<int64_t>(first), end = begin + static_cast<int64_t>(count);
      if (*std::min_element(begin, end) != 0 || *std::max_element(begin, end) != 15) continue;
      ++full;
      EXPECT_EQ(zero_a[i], zero_b[i]) << name << " group " << i;
      EXPECT_TRUE(std::equal(begin, end, codes_b.begin() + static_cast<int64_t>(first))) << name << " group " << i;
    }
  }
  EXPECT_GT(full, 50);
}

/// Nothing is left to take back from biases: they stay, and a layer without one gets none.
TEST(Lattice, BiasesStayAsTheyAre) {
  const std::string scheme = "W4A16:int4,map=symmetric,group=channel";
  const Quantized once = quantize(network(), scheme);
  const auto bias_of = [](const Graph& g, const std::string& layer) {
    for (graph::NodeId id = 0; id < g.node_count(); ++id)
      if (g.node(id).name == layer) return g.node(id).input(2);
    return graph::kNoValue;
  };
  ASSERT_NE(bias_of(once.graph, "c2"), graph::kNoValue) << "a correction of random weights makes one";
  Graph g = with_float_weights(once.graph);
  for (graph::NodeId id = 0; id < g.node_count(); ++id)
    if (g.node(id).name == "c2") g.node(id).inputs.resize(2);
  const Quantized twice = quantize(g, scheme);
  EXPECT_EQ(bias_of(twice.graph, "c2"), graph::kNoValue);
  const ValueId before = bias_of(g, "c1"), after = bias_of(twice.graph, "c1");
  EXPECT_EQ(g.value(before).name, twice.graph.value(after).name);
  expect_same_bytes(g.value(before).constant, twice.graph.value(after).constant, "bias");
}

/// Scales that no f16 holds, as training makes them: f32 scales keep every bit.
TEST(Lattice, ScalesThatF16CannotHoldAreStoredAsF32) {
  Graph g = with_float_weights(quantize(network(), "W4A16:int4,map=symmetric,group=channel").graph);
  Tensor& w = g.value(g.find_value("w2")).constant;
  Tensor scaled(tensor::DType::f32, w.shape(), true);
  for (size_t i = 0; i < static_cast<size_t>(w.elements()); ++i) {
    // s * k for a scale s of 24 bits, rounded once.
    const float s = 0.0123456789f * (1.0f + 0.1f * static_cast<float>(i / 144));
    scaled.mutable_values<float>()[i] = s * static_cast<float>(static_cast<int64_t>((i * 2654435761u >> 7) % 16) - 8);
  }
  w = scaled;
  const Quantized q = quantize(saved_and_opened(g), "W4A8");
  EXPECT_EQ(lattice_text(q.plan), "4 of 4 weights lie on a 4-bit lattice already: kept as they are");
  const Tensor& kept = constant(q.graph, "w2");
  EXPECT_EQ(kept.quantization()->scale.dtype(), tensor::DType::f32);
  EXPECT_EQ(constant(q.graph, "w1").quantization()->scale.dtype(), tensor::DType::f16);
  const Tensor decoded = codec::dequantize(kept);
  for (size_t i = 0; i < static_cast<size_t>(scaled.elements()); ++i)
    ASSERT_EQ(decoded.values<float>()[i], scaled.values<float>()[i]) << i;
  // The bytes that the plan promises are those that are stored.
  for (const LayerPlan& l : q.plan.layers)
    if (l.weight_name == "w2") {
      EXPECT_EQ(l.bytes_after, codec::stored_bytes(kept));
      EXPECT_NE(l.note.find("every value is exact"), std::string::npos) << l.note;
    }
}

TEST(Lattice, ACheckpointInBf16IsKeptWithinItsRounding) {
  Graph g = with_float_weights(quantize(network(), "W4A16:int4,map=symmetric,group=channel").graph);
  for (const std::string& name : kWeights) {
    Tensor& w = g.value(g.find_value(name)).constant;
    Tensor rounded(tensor::DType::f32, w.shape(), true);
    for (size_t i = 0; i < static_cast<size_t>(w.elements()); ++i)
      rounded.mutable_values<float>()[i] = base::bf16_to_f32(base::f32_to_bf16(w.values<float>()[i]));
    w = rounded;
  }
  const Quantized q = quantize(g, "W4A8");
  EXPECT_EQ(lattice_text(q.plan),
            "4 of 4 weights lie on a 4-bit lattice already: kept as they are (0 to the last bit, the others within the "
            "rounding of their floats)");
  // Each value within a relative 2^-8: a bound on the noise of 48 dB.
  for (const LayerResult& r : q.results) EXPECT_GT(r.sqnr_db, 48) << r.name;
  EXPECT_NE(q.plan.layers[0].note.find("bfloat16"), std::string::npos) << q.plan.layers[0].note;
}

/// An affine lattice does not fit a symmetric scheme: searched as any other weight.
TEST(Lattice, AnotherGridThanTheSchemesIsNone) {
  const Graph g = with_float_weights(quantize(network(), "W4A16:uint4,map=affine,group=channel").graph);
  EXPECT_EQ(lattice_text(quantize(g, "W4A8:map=restricted").plan), "");
  EXPECT_NE(lattice_text(quantize(g, "W4A16:uint4,map=affine,group=channel").plan), "");
}

TEST(Lattice, InTheStyleOfMatMulNBitsToo) {
  PlanOptions options;
  options.style = model::OnnxStyle::kMatMulNBits;
  const Quantized once = quantize(network(), "W4A16:int4,map=symmetric,group=32", options);
  const Quantized twice = quantize(with_float_weights(once.graph), "W4A16:int4,map=symmetric,group=32", options);
  EXPECT_EQ(lattice_text(twice.plan), "4 of 4 weights lie on a 4-bit lattice already: kept as they are");
  for (const std::string& name : kWeights) {
    expect_same_bytes(constant(once.graph, name), constant(twice.graph, name), name);
    expect_same_bytes(constant(once.graph, name).quantization()->scale,
                      constant(twice.graph, name).quantization()->scale, name);
  }
}

TEST(Lattice, EightBitsAreNoneOfIt) {
  const Graph g = with_float_weights(quantize(network(), "W4A16:int4,map=symmetric,group=channel").graph);
  const Quantized q = quantize(g, "W4A8:keep=first");
  EXPECT_EQ(lattice_text(q.plan), "3 of 4 weights lie on a 4-bit lattice already: kept as they are");
}

}  // namespace
}  // namespace nibble::quant
