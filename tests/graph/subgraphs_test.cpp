#include "graph/subgraphs.h"

#include <gtest/gtest.h>

#include "support/if_network.h"

namespace nibble::graph {
namespace {

using test::GraphBuilder;

ValueId captured(GraphBuilder& b, const char* name) {
  Value v;
  v.name = name;
  const ValueId id = b.graph.add_value(std::move(v));
  b.graph.captures.push_back(id);
  return id;
}

/// y = If(c, If(c, x w, x), x v), where w and v are constants outside; the outer else branch reads v.
Graph nested_network() {
  GraphBuilder outer, yes, no, inner_yes, inner_no;
  const ValueId c = outer.input("c", {}, tensor::DType::boolean), x = outer.input("x", {1, 4});
  const ValueId w = outer.weights("w", {4, 4}), v = outer.weights("v", {4, 4});
  inner_yes.graph.outputs = {inner_yes.node("MatMul", {captured(inner_yes, "x"), captured(inner_yes, "w")}, "product")};
  inner_no.graph.outputs = {inner_no.node("Identity", {captured(inner_no, "x")}, "same")};
  inner_no.graph.captures.push_back(kNoValue);
  const ValueId c_yes = captured(yes, "c"), x_yes = captured(yes, "x"), w_yes = captured(yes, "w");
  yes.graph.captures.push_back(kNoValue);
  yes.graph.outputs = {yes.node("If", {c_yes, x_yes, w_yes}, "deep",
                                {{"then_branch", std::make_shared<Graph>(inner_yes.graph)},
                                 {"else_branch", std::make_shared<Graph>(inner_no.graph)}})};
  no.graph.captures = {kNoValue};
  const ValueId x_no = captured(no, "x");
  no.graph.captures.push_back(kNoValue);
  no.graph.outputs = {no.node("MatMul", {x_no, captured(no, "v")}, "other")};
  const ValueId y = outer.node(
      "If", {c, c, x, w, v}, "y",
      {{"then_branch", std::make_shared<Graph>(yes.graph)}, {"else_branch", std::make_shared<Graph>(no.graph)}});
  return outer.finish({y});
}

TEST(Subgraphs, AreVisitedWithTheirPathsAndPlaces) {
  const Graph g = nested_network();
  std::vector<std::string> places;
  for_each_graph(g, [&](const Graph& inner, const Path& path) {
    EXPECT_EQ(&graph_at(g, path), &inner);
    places.push_back(place_text(g, path));
  });
  EXPECT_EQ(places, (std::vector<std::string>{"", " in else_branch of y", " in then_branch of y",
                                              " in else_branch of deep in then_branch of y",
                                              " in then_branch of deep in then_branch of y"}));
}

TEST(Subgraphs, AreCopiedBeforeTheyAreChanged) {
  const Graph g = nested_network();
  Graph copy = g;
  const Path path{{0, "then_branch"}, {0, "then_branch"}};
  writable_graph_at(copy, path).node(0).name = "changed";
  EXPECT_EQ(graph_at(copy, path).node(0).name, "changed");
  EXPECT_EQ(graph_at(g, path).node(0).name, "product");
  const Graph* own = &writable_graph_at(copy, path);
  EXPECT_EQ(own, &writable_graph_at(copy, path));  // its own now: no further copy
}

TEST(Subgraphs, ProductsGetTheWeightsThatTheyCapture) {
  const Graph before = nested_network();
  Graph g = before;
  EXPECT_EQ(own_captured_weights(g), 3);  // w into the branch and on into the one below, v
  const Graph& deep = graph_at(g, {{0, "then_branch"}, {0, "then_branch"}});
  ASSERT_TRUE(deep.is_constant(deep.node(0).input(1)));
  EXPECT_EQ(deep.value(deep.node(0).input(1)).constant.bytes().data(),
            before.value(before.node(0).input(3)).constant.bytes().data());  // shared, not copied
  const Graph& other = graph_at(g, {{0, "else_branch"}});
  EXPECT_TRUE(other.is_constant(other.node(0).input(1)));
  // Nothing outside reads the weights any more: the condition, and c and x for the branches, are left.
  EXPECT_EQ(g.node(0).inputs.size(), 3u);
  EXPECT_FALSE(before.is_constant(graph_at(before, {{0, "else_branch"}}).node(0).input(1)));
  EXPECT_EQ(own_captured_weights(g), 0);
}

TEST(Subgraphs, ConstantsThatAreNoWeightsStayOutside) {
  test::IfNetwork net;
  Graph g = net.outer.finish({net.y});
  EXPECT_EQ(own_captured_weights(g), 0);
  EXPECT_EQ(g.node(0).inputs.size(), 3u);
}

}  // namespace
}  // namespace nibble::graph
