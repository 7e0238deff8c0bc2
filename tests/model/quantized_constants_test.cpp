#include "model/quantized_constants.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "io/onnx/model_bytes.h"
#include "model/quantized_networks.h"
#include "model/save.h"

namespace nibble {
namespace {

using base::ErrorKind;
using graph::Graph;
using graph::Node;
using namespace test;

int count(const Graph& g, const std::string& op) {
  int n = 0;
  for (graph::NodeId id = 0; id < g.node_count(); ++id) n += g.node(id).op == op && !g.node(id).removed;
  return n;
}
const Node& only(const Graph& g, const std::string& op) {
  for (graph::NodeId id = 0; id < g.node_count(); ++id)
    if (g.node(id).op == op) return g.node(id);
  throw std::runtime_error("no " + op);
}
const Tensor& constant(const Graph& g, const std::string& name) { return g.value(g.find_value(name)).constant; }

/// expand then fold gives the same Graph, bit for bit.
void expect_round_trip(const Graph& g) {
  Graph copy = g;
  model::expand_quantized_constants(copy);
  for (graph::ValueId v = 0; v < copy.value_count(); ++v)
    EXPECT_FALSE(copy.is_constant(v) && copy.value(v).constant.quantization()) << copy.value(v).name;
  model::fold_quantized_constants(copy);
  Graph expected = g;
  expected.compact();
  EXPECT_EQ(model::first_difference(expected, copy), "");
}

TEST(QuantizedConstants, RoundTripInEveryGranularity) {
  for (const char* format : {"int4", "uint4", "int8", "uint8"})
    for (const DType scale : {DType::f16, DType::f32})
      for (const bool zero : {false, true}) {
        SCOPED_TRACE(format);
        QuantizedParts p;
        p.format = format;
        p.scale_type = scale;
        p.zero = zero;
        expect_round_trip(quantized_network(quantized_tensor(p)));  // per tensor
        p.scale_shape = {4};
        p.axis = 1;
        expect_round_trip(quantized_network(quantized_tensor(p)));
        p.scale_shape = {6};
        p.axis = 0;
        expect_round_trip(quantized_network(quantized_tensor(p)));
        p.block = 4;  // the last group is shorter
        p.scale_shape = {2, 4};
        expect_round_trip(quantized_network(quantized_tensor(p)));
        p.block = 2;
        p.axis = 1;
        p.scale_shape = {6, 2};
        expect_round_trip(quantized_network(quantized_tensor(p)));
      }
}

TEST(QuantizedConstants, RoundTripWithOffsetsAndShapes) {
  QuantizedParts p;
  p.format = "uint4";
  p.offset = true;
  expect_round_trip(quantized_network(quantized_tensor(p)));
  p.scale_shape = {6};
  expect_round_trip(quantized_network(quantized_tensor(p)));
  p.shape = {4, 2, 3, 3};  // a convolution's weight, codes along the flattened reduction axis
  p.code_shape = {4, 18};
  p.scale_shape = {4};
  expect_round_trip(quantized_network(quantized_tensor(p)));
  p.offset = false;
  p.zero = true;
  p.axis = 1;
  p.block = 16;
  p.scale_shape = {4, 2};
  expect_round_trip(quantized_network(quantized_tensor(p)));
  p.shape = {};  // a scalar
  p.code_shape = {};
  p.scale_shape = {};
  p.block = 0;
  p.axis = 0;
  expect_round_trip(quantized_network(quantized_tensor(p)));
}

TEST(QuantizedConstants, ExpandsToTheFormThatRuntimesRead) {
  QuantizedParts p;
  p.format = "uint4";
  p.shape = {4, 2, 3, 3};
  p.code_shape = {4, 18};
  p.axis = 1;
  p.block = 16;
  p.scale_shape = {4, 2};
  p.zero = true;
  const Tensor weight = quantized_tensor(p);
  Graph g = quantized_network(weight);
  model::expand_quantized_constants(g);
  const Node &dq = only(g, "DequantizeLinear"), &cast = only(g, "Cast"), &reshape = only(g, "Reshape");
  EXPECT_EQ(dq.integer("axis", -1), 1);
  EXPECT_EQ(dq.integer("block_size", -1), 16);
  EXPECT_EQ(g.value(dq.input(0)).name, "w_quantized");
  EXPECT_EQ(g.value(dq.input(0)).shape, (Shape{4, 18}));
  EXPECT_EQ(dq.input(1), cast.output(0));
  EXPECT_EQ(cast.integer("to", 0), 1);
  EXPECT_EQ(constant(g, "w_scale").dtype(), DType::f16);
  EXPECT_EQ(constant(g, "w_zero_point").dtype(), DType::uint4);
  EXPECT_EQ(reshape.input(0), dq.output(0));
  EXPECT_EQ(g.value(reshape.output(0)).name, "w");
  EXPECT_EQ(g.value(only(g, "MatMul").input(1)).name, "w");
}

TEST(QuantizedConstants, FloatScalesNeedNoCast) {
  QuantizedParts p;
  p.scale_type = DType::f32;
  Graph g = quantized_network(quantized_tensor(p));
  model::expand_quantized_constants(g);
  EXPECT_EQ(count(g, "Cast"), 0);
  EXPECT_FALSE(only(g, "DequantizeLinear").has("axis"));
}

TEST(QuantizedConstants, EveryReaderGetsItsOwnDequantizeLinear) {
  QuantizedParts p;
  p.scale_shape = {6};
  Graph g = quantized_network(quantized_tensor(p), 3);
  expect_round_trip(g);
  model::expand_quantized_constants(g);
  EXPECT_EQ(count(g, "DequantizeLinear"), 3);
  EXPECT_EQ(count(g, "Cast"), 1);
  const auto readers = g.consumers();
  for (graph::NodeId id = 0; id < g.node_count(); ++id) {
    if (g.node(id).op != "DequantizeLinear") continue;
    EXPECT_EQ(readers[static_cast<size_t>(g.node(id).output(0))].size(), 1u);
  }
}

TEST(QuantizedConstants, NewNamesAvoidThoseTaken) {
  QuantizedParts p;
  Graph g = quantized_network(quantized_tensor(p));
  g.value(g.inputs[0]).name = "w_scale";
  model::expand_quantized_constants(g);
  EXPECT_EQ(g.value(only(g, "Cast").input(0)).name, "w_scale_1");
}

TEST(QuantizedConstants, FormatsWithoutAnOnnxFormAreRefused) {
  QuantizedParts p;
  p.scale_type = DType::f32;
  for (const char* format : {"nf4", "fp4"}) {
    p.format = format;
    Graph g = quantized_network(quantized_tensor(p));
    NIBBLE_EXPECT_ERROR(model::expand_quantized_constants(g), ErrorKind::kUnsupported,
                        std::string("the number format ") + format);
  }
  p.format = "uint4";
  p.offset = true;
  p.block = 3;
  p.scale_shape = {2, 4};
  Graph g = quantized_network(quantized_tensor(p));
  NIBBLE_EXPECT_ERROR(model::expand_quantized_constants(g), ErrorKind::kUnsupported, "minmax with groups");
}

TEST(QuantizedConstants, WideningKeepsEveryValue) {
  for (const char* format : {"int4", "uint4"}) {
    QuantizedParts p;
    p.format = format;
    p.zero = true;
    p.scale_shape = {6};
    const Tensor narrow = quantized_tensor(p);
    Graph g = quantized_network(narrow);
    model::widen_quantized_constants(g);
    const Tensor wide = constant(g, "w");
    EXPECT_EQ(wide.dtype(), p.format == "int4" ? DType::i8 : DType::u8);
    const Tensor a = codec::dequantize(narrow), b = codec::dequantize(wide);
    EXPECT_TRUE(std::ranges::equal(a.values<float>(), b.values<float>()));
    expect_round_trip(g);
  }
}

/// A DequantizeLinear of constants as a foreign file has it; `edit` changes the Graph before folding.
template <typename Edit>
Graph folded(const Edit& edit, DType codes_type = DType::i8) {
  Graph g;
  g.opset = model::kCanonicalOpset;
  Tensor codes(codes_type, {2, 3});
  const auto x = g.add_constant("codes", codes), s = g.add_constant("scale", Tensor::scalar(0.5f));
  graph::Value out;
  out.name = "w";
  const auto w = g.add_value(out);
  out.name = "y";
  const auto y = g.add_value(out);
  g.add_node({"DequantizeLinear", "", "dq", {x, s}, {w}, {}});
  g.add_node({"Relu", "", "relu", {w}, {y}, {}});
  g.outputs = {y};
  edit(g);
  model::fold_quantized_constants(g);
  return g;
}

TEST(QuantizedConstants, FoldsForeignForms) {
  EXPECT_EQ(count(folded([](Graph&) {}), "DequantizeLinear"), 0);
  const Graph g = folded([](Graph& f) {
    f.value(f.find_value("scale")).constant = Tensor::of<float>({3}, std::vector<float>{1, 2, 3});
    f.node(0).attributes["axis"] = int64_t{-1};
  });
  EXPECT_EQ(constant(g, "w").quantization()->axis, 1);
  const Graph one =
      folded([](Graph& f) { f.value(f.find_value("scale")).constant = Tensor::of<float>({1}, std::vector<float>{2}); });
  EXPECT_EQ(constant(one, "w").quantization()->scale.shape(), Shape{});
}

TEST(QuantizedConstants, LeavesAloneWhatIsNoWeight) {
  EXPECT_EQ(count(folded([](Graph& g) { g.outputs.push_back(g.find_value("w")); }), "DequantizeLinear"), 1);
  EXPECT_EQ(count(folded([](Graph&) {}, DType::i32), "DequantizeLinear"), 1);
  EXPECT_EQ(count(folded([](Graph& g) { g.value(g.find_value("codes")).constant = {}; }), "DequantizeLinear"), 1);
  EXPECT_EQ(count(folded([](Graph& g) { g.value(g.find_value("scale")).constant = {}; }), "DequantizeLinear"), 1);
  EXPECT_EQ(count(folded([](Graph& g) { g.node(0).attributes["output_dtype"] = int64_t{10}; }), "DequantizeLinear"), 1);
}

TEST(QuantizedConstants, AnAddOrReshapeWithAnotherReaderIsNotPartOfIt) {
  const auto with = [](const std::string& op, Tensor operand, bool second_reader, DType codes = DType::u8) {
    const auto edit = [&](Graph& g) {
      const auto c = g.add_constant("c", operand);
      graph::Value out;
      out.name = "moved";
      const auto moved = g.add_value(out);
      const auto w = g.find_value("w");
      g.add_node({op, "", "step", {w, c}, {moved}, {}});
      if (second_reader)
        g.outputs.push_back(moved);
      else
        g.node(1).inputs = {moved};
    };
    return folded(edit, codes);
  };
  const Tensor shape = Tensor::of<int64_t>({1}, std::vector<int64_t>{-1});
  EXPECT_EQ(constant(with("Reshape", shape, false), "moved").shape(), Shape{6});
  EXPECT_EQ(count(with("Reshape", shape, true), "Reshape"), 1);
  const auto shifted = constant(with("Add", Tensor::scalar(1.0f), false), "moved").quantization();
  ASSERT_TRUE(shifted);
  EXPECT_TRUE(shifted->offset);
  EXPECT_EQ(count(with("Add", Tensor::scalar(1.0f), true), "Add"), 1);
  EXPECT_EQ(count(with("Add", Tensor::scalar(1.0f), false, DType::i8), "Add"), 1) << "int8 stores no real offset";
  const Tensor row = Tensor::of<float>({3}, std::vector<float>{1, 2, 3});
  EXPECT_EQ(count(with("Add", row, false), "Add"), 1) << "the scale is per tensor, the addend is not";
  const Tensor bad = Tensor::of<int64_t>({1}, std::vector<int64_t>{5});
  EXPECT_EQ(count(with("Reshape", bad, false), "Reshape"), 1) << "6 elements have no shape [5]";
}

TEST(QuantizedConstants, ParametersThatDoNotFitAreRefused) {
  NIBBLE_EXPECT_ERROR(folded([](Graph& g) { g.value(g.find_value("scale")).constant = Tensor(DType::f32, {5}); }),
                      ErrorKind::kMalformed, "node \"dq\"");
  NIBBLE_EXPECT_ERROR(folded([](Graph& g) {
                        g.value(g.find_value("scale")).constant =
                            Tensor::scalar(std::numeric_limits<float>::infinity());
                      }),
                      ErrorKind::kMalformed, "not finite");
  NIBBLE_EXPECT_ERROR(
      folded([](Graph& g) { g.node(0).inputs.push_back(g.add_constant("zero", Tensor(DType::u8, {}))); }),
      ErrorKind::kMalformed, "zero points");
}

}  // namespace
}  // namespace nibble
