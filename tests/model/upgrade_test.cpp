#include "model/upgrade.h"

#include <gtest/gtest.h>

#include <cmath>

#include "io/onnx/model_bytes.h"

namespace nibble {
namespace {

using base::ErrorKind;
using graph::Graph;
using graph::kNoValue;
using graph::Node;
using tensor::DType;
using namespace test;

/// The network y = OP(x, more...) at `opset`, upgraded. Constants c0, c1, ... can be named as inputs.
Graph upgraded(int64_t opset, WireMessage node, const std::vector<int64_t>& shape = {1, 2, 4, 4},
               std::vector<WireMessage> initializers = {}, std::vector<std::string> outputs = {"y"}) {
  GraphBytes net;
  net.inputs = {value_info("x", shape)};
  for (const auto& name : outputs) {
    WireMessage info;
    info.text(1, name);
    net.outputs.push_back(info);
  }
  net.nodes = {std::move(node)};
  net.initializers = std::move(initializers);
  Graph g = read_text(net.model(opset, 8));
  model::upgrade(g);
  return g;
}

std::vector<int64_t> integers_of(const Graph& g, const Node& node, size_t input) {
  const auto v = node.input(input);
  if (!g.is_constant(v)) {
    ADD_FAILURE() << "input " << input << " is no constant";
    return {};
  }
  const auto values = g.value(v).constant.values<int64_t>();
  return {values.begin(), values.end()};
}

float real_of(const Graph& g, const Node& node, size_t input) {
  const auto v = node.input(input);
  if (!g.is_constant(v)) return NAN;
  return g.value(v).constant.values<float>()[0];
}

TEST(Upgrade, SetsTheOpsetAndRefusesOthers) {
  EXPECT_EQ(upgraded(7, node_proto("Relu", {"x"}, {"y"})).opset, model::kCanonicalOpset);
  EXPECT_EQ(upgraded(28, node_proto("Relu", {"x"}, {"y"})).opset, model::kCanonicalOpset);
  NIBBLE_EXPECT_ERROR(upgraded(6, node_proto("Relu", {"x"}, {"y"})), ErrorKind::kUnsupported,
                      "uses opset 6, nibble reads 7 to 28");
  NIBBLE_EXPECT_ERROR(upgraded(29, node_proto("Relu", {"x"}, {"y"})), ErrorKind::kUnsupported, "uses opset 29");
}

TEST(Upgrade, LeavesNewFormsAlone) {
  const Graph g = upgraded(13, node_proto("Softmax", {"x"}, {"y"}, {int_attribute("axis", 1)}));
  EXPECT_EQ(g.node_count(), 1);
  EXPECT_EQ(g.node(0).integer("axis", -9), 1);
}

TEST(Upgrade, PadAttributes) {
  Graph g = upgraded(
      10, node_proto("Pad", {"x"}, {"y"}, {ints_attribute("pads", {0, 1, 2, 3}), float_attribute("value", 0.5f)}));
  EXPECT_EQ(integers_of(g, g.node(0), 1), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(real_of(g, g.node(0), 2), 0.5f);
  EXPECT_FALSE(g.node(0).has("pads"));
  g = upgraded(10, node_proto("Pad", {"x"}, {"y"}, {ints_attribute("pads", {0, 1})}));
  EXPECT_EQ(g.node(0).inputs.size(), 2u);
}

TEST(Upgrade, SliceAttributes) {
  const Graph g = upgraded(
      9, node_proto("Slice", {"x"}, {"y"},
                    {ints_attribute("starts", {1}), ints_attribute("ends", {3}), ints_attribute("axes", {2})}));
  EXPECT_EQ(integers_of(g, g.node(0), 1), std::vector<int64_t>{1});
  EXPECT_EQ(integers_of(g, g.node(0), 2), std::vector<int64_t>{3});
  EXPECT_EQ(integers_of(g, g.node(0), 3), std::vector<int64_t>{2});
  NIBBLE_EXPECT_ERROR(
      upgraded(9, node_proto("Slice", {"x"}, {"y"}, {ints_attribute("starts", {1, 2}), ints_attribute("ends", {3})})),
      ErrorKind::kMalformed, "different lengths");
}

TEST(Upgrade, ClipAttributes) {
  Graph g =
      upgraded(6 + 1, node_proto("Clip", {"x"}, {"y"}, {float_attribute("min", 0.0f), float_attribute("max", 6.0f)}));
  EXPECT_EQ(real_of(g, g.node(0), 1), 0.0f);
  EXPECT_EQ(real_of(g, g.node(0), 2), 6.0f);
  g = upgraded(7, node_proto("Clip", {"x"}, {"y"}, {float_attribute("max", 6.0f)}));
  EXPECT_EQ(g.node(0).input(1), kNoValue);
  EXPECT_EQ(real_of(g, g.node(0), 2), 6.0f);
  g = upgraded(7, node_proto("Clip", {"x"}, {"y"}));
  EXPECT_EQ(g.node(0).inputs.size(), 1u);
}

TEST(Upgrade, ClipBoundsHaveTheTypeOfTheNetwork) {
  GraphBytes net;
  net.inputs = {value_info("x", {2}, 10)};
  net.outputs = {value_info("y", {2}, 10)};
  net.nodes = {node_proto("Relu", {"x"}, {"t"}), node_proto("Clip", {"t"}, {"y"}, {float_attribute("min", 1.0f)})};
  Graph g = read_text(net.model(10, 8));
  model::upgrade(g);
  const auto& bound = g.value(g.node(1).input(1)).constant;
  EXPECT_EQ(bound.dtype(), DType::f16);
  EXPECT_EQ(bound.values<uint16_t>()[0], 0x3C00);
}

TEST(Upgrade, AxesBecomeAnInput) {
  for (const char* op : {"Squeeze", "Unsqueeze", "ReduceSum"}) {
    const Graph g = upgraded(12, node_proto(op, {"x"}, {"y"}, {ints_attribute("axes", {0, 2})}));
    EXPECT_EQ(integers_of(g, g.node(0), 1), (std::vector<int64_t>{0, 2})) << op;
    EXPECT_FALSE(g.node(0).has("axes"));
  }
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                         "ReduceMin", "ReduceProd", "ReduceSumSquare"}) {
    Graph g = upgraded(17, node_proto(op, {"x"}, {"y"}, {ints_attribute("axes", {-1}), int_attribute("keepdims", 0)}));
    EXPECT_EQ(integers_of(g, g.node(0), 1), std::vector<int64_t>{-1}) << op;
    EXPECT_EQ(g.node(0).integer("keepdims", 1), 0);
    g = upgraded(17, node_proto(op, {"x"}, {"y"}));
    EXPECT_EQ(g.node(0).inputs.size(), 1u) << op;
  }
}

TEST(Upgrade, SoftmaxOverTheLastAxisStays) {
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"}) {
    Graph g = upgraded(12, node_proto(op, {"x"}, {"y"}), {2, 5});
    ASSERT_EQ(g.node_count(), 1) << op;
    EXPECT_EQ(g.node(0).integer("axis", 0), -1);
    g = upgraded(12, node_proto(op, {"x"}, {"y"}, {int_attribute("axis", 3)}));
    EXPECT_EQ(g.node_count(), 1) << op;
    g = upgraded(12, node_proto(op, {"x"}, {"y"}, {int_attribute("axis", -1)}), {2, 5, 7});
    EXPECT_EQ(g.node_count(), 1) << op;
  }
}

TEST(Upgrade, SoftmaxOverSeveralAxesIsWrittenOut) {
  const Graph g = upgraded(11, node_proto("Softmax", {"x"}, {"y"}));  // axis 1 of 4
  ASSERT_EQ(g.node_count(), 4);
  const auto producers = g.producers();
  const Node& reshape = g.node(producers[static_cast<size_t>(g.outputs[0])]);
  EXPECT_EQ(reshape.op, "Reshape");
  const Node& softmax = g.node(producers[static_cast<size_t>(reshape.input(0))]);
  EXPECT_EQ(softmax.op, "Softmax");
  EXPECT_EQ(softmax.integer("axis", 0), -1);
  const Node& flatten = g.node(producers[static_cast<size_t>(softmax.input(0))]);
  EXPECT_EQ(flatten.op, "Flatten");
  EXPECT_EQ(flatten.integer("axis", 0), 1);
  EXPECT_EQ(flatten.input(0), g.inputs[0]);
  const Node& shape = g.node(producers[static_cast<size_t>(reshape.input(1))]);
  EXPECT_EQ(shape.op, "Shape");
  EXPECT_EQ(shape.input(0), g.inputs[0]);
}

TEST(Upgrade, SoftmaxFindsTheRankThroughTheNodesBefore) {
  GraphBytes net;
  net.inputs = {value_info("x", {1, 2, 4, 4})};
  WireMessage y;
  y.text(1, "y");
  net.outputs = {y};
  net.initializers = {tensor_proto("s", 7, {2}, raw<int64_t>({1, -1}))};
  net.nodes = {node_proto("Relu", {"x"}, {"a"}), node_proto("Reshape", {"a", "s"}, {"b"}),
               node_proto("Softmax", {"b"}, {"y"})};
  Graph g = read_text(net.model(9, 8));
  model::upgrade(g);
  EXPECT_EQ(g.node_count(), 3);
}

TEST(Upgrade, BatchNormalization) {
  const std::vector<WireMessage> c = {tensor_proto("c", 1, {2}, raw<float>({1, 2}))};
  const std::vector<std::string> in = {"x", "c", "c", "c", "c"};
  Graph g = upgraded(8, node_proto("BatchNormalization", in, {"y"}, {int_attribute("spatial", 1)}), {1, 2, 4, 4}, c);
  EXPECT_FALSE(g.node(0).has("spatial"));
  NIBBLE_EXPECT_ERROR(
      upgraded(8, node_proto("BatchNormalization", in, {"y"}, {int_attribute("spatial", 0)}), {1, 2, 4, 4}, c),
      ErrorKind::kUnsupported, "spatial=0");
  g = upgraded(9, node_proto("BatchNormalization", in, {"y", "m", "v", "sm", "sv"}), {1, 2, 4, 4}, c);
  EXPECT_EQ(g.node(0).outputs.size(), 1u);
  NIBBLE_EXPECT_ERROR(upgraded(9, node_proto("BatchNormalization", in, {"y", "m", "v"}), {1, 2, 4, 4}, c, {"y", "m"}),
                      ErrorKind::kUnsupported, "outputs of training");
}

TEST(Upgrade, DropoutBecomesIdentity) {
  Graph g = upgraded(7, node_proto("Dropout", {"x"}, {"y"}, {float_attribute("ratio", 0.3f)}));
  EXPECT_EQ(g.node(0).op, "Identity");
  EXPECT_EQ(g.node(0).inputs.size(), 1u);
  g = upgraded(13, node_proto("Dropout", {"x"}, {"y", "mask"}));
  EXPECT_EQ(g.node(0).op, "Identity");
  g = upgraded(11, node_proto("Dropout", {"x"}, {"y", "mask"}, {float_attribute("ratio", 0.3f)}), {2}, {},
               {"y", "mask"});
  EXPECT_EQ(g.node(0).op, "Dropout");
  EXPECT_EQ(real_of(g, g.node(0), 1), 0.3f);
  const std::vector<WireMessage> c = {tensor_proto("on", 9, {}, "\x01"),
                                      tensor_proto("off", 9, {}, std::string(1, '\0'))};
  g = upgraded(13, node_proto("Dropout", {"x", "", "on"}, {"y"}), {2}, c);
  EXPECT_EQ(g.node(0).op, "Dropout");
  g = upgraded(13, node_proto("Dropout", {"x", "", "off"}, {"y"}), {2}, c);
  EXPECT_EQ(g.node(0).op, "Identity");
}

TEST(Upgrade, UpsampleBecomesResize) {
  WireMessage scales = attribute("scales", 6), mode = attribute("mode", 3);
  for (const float s : {1.0f, 1.0f, 2.0f, 2.0f}) scales.real(7, s);
  mode.text(4, "linear");
  Graph g = upgraded(7, node_proto("Upsample", {"x"}, {"y"}, {scales}));
  const Node& node = g.node(0);
  EXPECT_EQ(node.op, "Resize");
  EXPECT_EQ(node.input(1), kNoValue);
  EXPECT_EQ(g.value(node.input(2)).constant.values<float>()[3], 2.0f);
  EXPECT_EQ(node.text("coordinate_transformation_mode", ""), "asymmetric");
  EXPECT_EQ(node.text("nearest_mode", ""), "floor");
  const auto c = tensor_proto("c", 1, {4}, raw<float>({1, 1, 2, 2}));
  g = upgraded(9, node_proto("Upsample", {"x", "c"}, {"y"}, {mode}), {1, 2, 4, 4}, {c});
  EXPECT_EQ(g.node(0).op, "Resize");
  EXPECT_EQ(g.node(0).text("mode", ""), "linear");
  EXPECT_FALSE(g.node(0).has("nearest_mode"));
}

TEST(Upgrade, ResizeOfOpset10) {
  const auto down = tensor_proto("c", 1, {4}, raw<float>({1, 1, 0.5f, 0.5f})),
             mixed = tensor_proto("c", 1, {4}, raw<float>({1, 1, 0.5f, 2}));
  const Graph g = upgraded(10, node_proto("Resize", {"x", "c"}, {"y"}), {1, 2, 4, 4}, {down});
  EXPECT_EQ(g.node(0).inputs.size(), 3u);
  EXPECT_EQ(g.node(0).text("nearest_mode", ""), "ceil");
  NIBBLE_EXPECT_ERROR(upgraded(10, node_proto("Resize", {"x", "c"}, {"y"}), {1, 2, 4, 4}, {mixed}),
                      ErrorKind::kUnsupported, "two roundings");
}

TEST(Upgrade, TopKSplitScatterAndOthers) {
  Graph g = upgraded(9, node_proto("TopK", {"x"}, {"y", "i"}, {int_attribute("k", 3)}));
  EXPECT_EQ(integers_of(g, g.node(0), 1), std::vector<int64_t>{3});
  NIBBLE_EXPECT_ERROR(upgraded(9, node_proto("TopK", {"x"}, {"y", "i"})), ErrorKind::kMalformed, "has no k");
  g = upgraded(11, node_proto("Split", {"x"}, {"y", "z"}, {ints_attribute("split", {1, 1})}));
  EXPECT_EQ(integers_of(g, g.node(0), 1), (std::vector<int64_t>{1, 1}));
  EXPECT_FALSE(g.node(0).has("num_outputs"));
  g = upgraded(11, node_proto("Split", {"x"}, {"y", "z"}));
  EXPECT_EQ(g.node(0).integer("num_outputs", 0), 2);
  g = upgraded(10, node_proto("Scatter", {"x", "x", "x"}, {"y"}));
  EXPECT_EQ(g.node(0).op, "ScatterElements");
  g = upgraded(15, node_proto("RoiAlign", {"x", "x", "x"}, {"y"}));
  EXPECT_EQ(g.node(0).text("coordinate_transformation_mode", ""), "output_half_pixel");
  g = upgraded(19, node_proto("GridSample", {"x", "x"}, {"y"}));
  EXPECT_EQ(g.node(0).text("mode", ""), "linear");
  WireMessage cubic = attribute("mode", 3);
  cubic.text(4, "bicubic");
  g = upgraded(19, node_proto("GridSample", {"x", "x"}, {"y"}, {cubic}));
  EXPECT_EQ(g.node(0).text("mode", ""), "cubic");
  g = upgraded(17, node_proto("DFT", {"x"}, {"y"}, {int_attribute("axis", 2)}));
  EXPECT_EQ(g.node(0).input(1), kNoValue);
  EXPECT_EQ(integers_of(g, g.node(0), 2), std::vector<int64_t>{2});
}

TEST(Upgrade, OldFormsWithoutAnEqualAreRefused) {
  NIBBLE_EXPECT_ERROR(upgraded(8, node_proto("Scan", {"x"}, {"y"})), ErrorKind::kUnsupported, "Scan of opset 8");
  NIBBLE_EXPECT_ERROR(upgraded(20, node_proto("GroupNormalization", {"x", "x", "x"}, {"y"})), ErrorKind::kUnsupported,
                      "before opset 21");
}

TEST(Upgrade, ConstantsBecomeValues) {
  WireMessage ints = ints_attribute("value_ints", {1, 2}), floats = attribute("value_floats", 6),
              t = attribute("value", 4), text = attribute("value_string", 3);
  floats.real(7, 1.5f);
  t.message(5, tensor_proto("", 6, {1}, raw<int32_t>({7})));
  text.text(4, "no");
  const auto constant = [](WireMessage a) {
    const Graph g = upgraded(13, node_proto("Constant", {}, {"y"}, {std::move(a)}));
    EXPECT_EQ(g.node_count(), 0);
    return g.value(g.outputs[0]).constant;
  };
  EXPECT_EQ(constant(ints).values<int64_t>()[1], 2);
  EXPECT_EQ(constant(floats).values<float>()[0], 1.5f);
  EXPECT_EQ(constant(t).values<int32_t>()[0], 7);
  EXPECT_EQ(constant(int_attribute("value_int", 9)).shape(), tensor::Shape{});
  EXPECT_EQ(constant(float_attribute("value_float", 2.0f)).values<float>()[0], 2.0f);
  NIBBLE_EXPECT_ERROR(constant(text), ErrorKind::kUnsupported, "value_string");
  NIBBLE_EXPECT_ERROR(upgraded(13, node_proto("Constant", {}, {"y"})), ErrorKind::kMalformed, "one value");
}

TEST(Upgrade, ReachesIntoSubgraphs) {
  GraphBytes body;
  body.nodes = {node_proto("Unsqueeze", {"x"}, {"inner"}, {ints_attribute("axes", {0})})};
  body.outputs = {value_info("inner")};
  const Graph g = upgraded(11, node_proto("If", {"x"}, {"y"}, {graph_attribute("then_branch", body.proto())}));
  const auto& inner = *std::get<std::shared_ptr<Graph>>(g.node(0).attributes.at("then_branch"));
  EXPECT_EQ(integers_of(inner, inner.node(0), 1), std::vector<int64_t>{0});
}

TEST(Upgrade, NewNamesAreUniqueInTheWholeNetwork) {
  GraphBytes net;
  net.inputs = {value_info("x")};
  net.outputs = {value_info("y")};
  net.initializers = {tensor_proto("y_axes", 1, {1}, raw<float>({1}))};
  net.nodes = {node_proto("Add", {"x", "y_axes"}, {"t"}),
               node_proto("Squeeze", {"t"}, {"y"}, {ints_attribute("axes", {0})})};
  Graph g = read_text(net.model(11, 8));
  model::upgrade(g);
  EXPECT_EQ(g.value(g.node(1).input(1)).name, "y_axes_1");
}

}  // namespace
}  // namespace nibble
