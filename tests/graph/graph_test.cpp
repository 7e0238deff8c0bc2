#include "graph/graph.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/graph_builder.h"

namespace nibble {
namespace {

using test::GraphBuilder;

TEST(Graph, CompactSortsNodesAndDropsWhatNothingUses) {
  GraphBuilder b;
  const auto x = b.input("x", {1});
  const auto y = b.node("Relu", {x}, "y");
  b.constant("unused", tensor::Tensor::scalar(1.0f));
  const auto late = b.node("Neg", {x}, "late");
  b.graph.node(0).inputs[0] = late;  // y now reads late, which stands after it
  graph::Graph g = b.finish({y});
  g.compact();
  EXPECT_EQ(g.node(0).op, "Neg");
  EXPECT_EQ(g.node(1).op, "Relu");
  EXPECT_EQ(g.find_value("unused"), graph::kNoValue);
  EXPECT_EQ(g.value(g.outputs[0]).name, "y");
}

TEST(Graph, CompactRefusesACycleNamingANodeOfIt) {
  GraphBuilder b;
  const auto x = b.input("x", {1});
  const auto y = b.node("Add", {x, x}, "y");
  const auto z = b.node("Relu", {y}, "z");
  b.graph.node(0).inputs[1] = z;
  graph::Graph g = b.finish({z});
  try {
    g.compact();
    FAIL();
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), base::ErrorKind::kMalformed);
    EXPECT_NE(std::string(e.what()).find("\"y\" (Add)"), std::string::npos) << e.what();
  }
}

TEST(Graph, AttributesOfAnotherTypeAreAnError) {
  graph::Node n;
  n.op = "Conv";
  n.attributes["group"] = 2.0f;
  EXPECT_THROW(n.integer("group", 1), base::Error);
  EXPECT_EQ(n.integer("absent", 7), 7);
}

TEST(Graph, ReplacedValuesAreReadNowhere) {
  GraphBuilder b;
  const auto x = b.input("x", {1});
  const auto y = b.node("Identity", {x}, "y");
  const auto z = b.node("Relu", {y}, "z");
  graph::Graph g = b.finish({z, y});
  g.replace_uses(y, x);
  EXPECT_EQ(g.node(1).inputs[0], x);
  EXPECT_EQ(g.outputs, (std::vector<graph::ValueId>{z, x}));
}

TEST(Graph, UniqueNamesAreNew) {
  GraphBuilder b;
  b.input("x", {1});
  b.input("x_1", {1});
  EXPECT_EQ(b.graph.unique_name("y"), "y");
  EXPECT_EQ(b.graph.unique_name("x"), "x_2");
}

}  // namespace
}  // namespace nibble
