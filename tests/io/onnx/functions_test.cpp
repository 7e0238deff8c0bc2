#include <gtest/gtest.h>

#include "io/onnx/model_bytes.h"

namespace nibble {
namespace {

using base::ErrorKind;
using namespace test;

/// A FunctionProto of domain "f".
WireMessage function(const std::string& name, const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs, std::vector<WireMessage> nodes, int64_t opset = 21) {
  WireMessage m, set, own;
  m.text(1, name);
  for (const auto& i : inputs) m.text(4, i);
  for (const auto& o : outputs) m.text(5, o);
  for (auto& n : nodes) m.message(7, std::move(n));
  set.text(1, "");
  set.integer(2, opset);
  own.text(1, "f");
  own.integer(2, 1);
  m.message(9, set);
  m.message(9, own);
  m.text(10, "f");
  return m;
}

WireMessage reference(const std::string& name, int64_t type, const std::string& outer) {
  WireMessage m = attribute(name, type);
  m.text(21, outer);
  return m;
}

GraphBytes caller(const std::string& name, std::vector<WireMessage> attributes = {}) {
  GraphBytes net = small_graph();
  net.nodes = {node_proto(name, {"x", "w"}, {"y"}, std::move(attributes), "f")};
  return net;
}

TEST(OnnxFunctions, AreWrittenOut) {
  const auto f = function("Twice", {"a", "b"}, {"c"},
                          {node_proto("Mul", {"a", "b"}, {"t"}), node_proto("Add", {"t", "t"}, {"c"})});
  const auto g = read_text(caller("Twice").model(21, 10, {f}, {"f"}));
  ASSERT_EQ(g.node_count(), 2);
  EXPECT_EQ(g.node(0).op, "Mul");
  EXPECT_EQ(g.value(g.node(0).input(0)).name, "x");
  EXPECT_EQ(g.value(g.node(0).output(0)).name, "Twice_node/t");
  EXPECT_EQ(g.node(1).op, "Add");
  EXPECT_EQ(g.node(1).output(0), g.outputs[0]);
}

TEST(OnnxFunctions, CallsOfCallsGetDifferentNames) {
  const auto inner =
      function("Inner", {"a", "b"}, {"c"}, {node_proto("Mul", {"a", "b"}, {"t"}), node_proto("Neg", {"t"}, {"c"})});
  const auto outer =
      function("Outer", {"a", "b"}, {"c"},
               {node_proto("Inner", {"a", "b"}, {"u"}, {}, "f"), node_proto("Inner", {"u", "b"}, {"c"}, {}, "f")});
  const auto g = read_text(caller("Outer").model(21, 10, {inner, outer}, {"f"}));
  ASSERT_EQ(g.node_count(), 4);
  EXPECT_NE(g.value(g.node(0).output(0)).name, g.value(g.node(2).output(0)).name);
  EXPECT_EQ(g.node(3).output(0), g.outputs[0]);
}

TEST(OnnxFunctions, AttributesTakeTheCallersValueOrTheDefault) {
  auto f =
      function("Leaky", {"a", "b"}, {"c"}, {node_proto("LeakyRelu", {"a"}, {"c"}, {reference("alpha", 1, "slope")})});
  f.message(11, float_attribute("slope", 0.25f));
  EXPECT_EQ(read_text(caller("Leaky").model(21, 10, {f}, {"f"})).node(0).real("alpha", 0), 0.25f);
  EXPECT_EQ(
      read_text(caller("Leaky", {float_attribute("slope", 0.5f)}).model(21, 10, {f}, {"f"})).node(0).real("alpha", 0),
      0.5f);
  const auto optional =
      function("Leaky", {"a", "b"}, {"c"}, {node_proto("LeakyRelu", {"a"}, {"c"}, {reference("alpha", 1, "slope")})});
  EXPECT_FALSE(read_text(caller("Leaky").model(21, 10, {optional}, {"f"})).node(0).has("alpha"));
}

TEST(OnnxFunctions, AnInputMayBeAnOutput) {
  const auto f = function("Pass", {"a", "b"}, {"a"}, {node_proto("Neg", {"a"}, {"unused"})});
  const auto g = read_text(caller("Pass").model(21, 10, {f}, {"f"}));
  EXPECT_EQ(g.node(1).op, "Identity");
  EXPECT_EQ(g.node(1).output(0), g.outputs[0]);
}

TEST(OnnxFunctions, SubgraphsInsideAreRenamed) {
  GraphBytes body;
  body.nodes = {node_proto("Add", {"a", "t"}, {"inner"})};
  body.outputs = {value_info("inner")};
  const auto f = function("Branch", {"a", "b"}, {"c"},
                          {node_proto("Neg", {"b"}, {"t"}),
                           node_proto("If", {"a"}, {"c"}, {graph_attribute("then_branch", body.proto())})});
  const auto g = read_text(caller("Branch").model(21, 10, {f}, {"f"}));
  EXPECT_EQ(captured_names(g, 1), (std::vector<std::string>{"x", "Branch_node/t"}));
}

TEST(OnnxFunctions, MayNotCallThemselves) {
  const auto f = function("Loop", {"a", "b"}, {"c"}, {node_proto("Loop", {"a", "b"}, {"c"}, {}, "f")});
  NIBBLE_EXPECT_ERROR(read_text(caller("Loop").model(21, 10, {f}, {"f"})), ErrorKind::kMalformed, "calls itself");
  GraphBytes body;
  body.nodes = {node_proto("Loop", {"a", "b"}, {"inner"}, {}, "f")};
  body.outputs = {value_info("inner")};
  const auto hidden = function("Loop", {"a", "b"}, {"c"},
                               {node_proto("If", {"a"}, {"c"}, {graph_attribute("then_branch", body.proto())})});
  NIBBLE_EXPECT_ERROR(read_text(caller("Loop").model(21, 10, {hidden}, {"f"})), ErrorKind::kMalformed, "calls itself");
}

TEST(OnnxFunctions, DoublingCallsAreLimited) {
  std::vector<WireMessage> functions;
  functions.push_back(function("F0", {"a", "b"}, {"c"}, {node_proto("Add", {"a", "b"}, {"c"})}));
  for (int i = 1; i < 40; ++i) {
    const std::string before = std::string("F").append(std::to_string(i - 1));
    functions.push_back(
        function(std::string("F").append(std::to_string(i)), {"a", "b"}, {"c"},
                 {node_proto(before, {"a", "b"}, {"t"}, {}, "f"), node_proto(before, {"t", "b"}, {"c"}, {}, "f")}));
  }
  base::Limits limits;
  limits.nodes = 10'000;
  NIBBLE_EXPECT_ERROR(read_text(caller("F39").model(21, 10, functions, {"f"}), nullptr, limits), ErrorKind::kLimit,
                      "nodes");
}

TEST(OnnxFunctions, RefusesWrongCalls) {
  const auto f = function("One", {"a"}, {"c"}, {node_proto("Neg", {"a"}, {"c"})});
  NIBBLE_EXPECT_ERROR(read_text(caller("One").model(21, 10, {f}, {"f"})), ErrorKind::kMalformed,
                      "more inputs or outputs");
  NIBBLE_EXPECT_ERROR(read_text(caller("One").model(21, 10, {f, f}, {"f"})), ErrorKind::kMalformed, "defined twice");
  const auto old = function("Twice", {"a", "b"}, {"c"}, {node_proto("Add", {"a", "b"}, {"c"})}, 11);
  NIBBLE_EXPECT_ERROR(read_text(caller("Twice").model(21, 10, {old}, {"f"})), ErrorKind::kUnsupported, "another opset");
}

}  // namespace
}  // namespace nibble
