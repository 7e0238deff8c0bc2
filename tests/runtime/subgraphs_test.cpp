// If: branches run by Sessions of their own, branches that are known before the network runs, captured values.
#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/operator.h"
#include "runtime/infer_shapes.h"
#include "runtime/rewrite/rewrite.h"
#include "runtime/session.h"
#include "support/graph_builder.h"
#include "support/if_network.h"

namespace nibble {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using test::GraphBuilder;
using test::IfNetwork;

Tensor truth(bool value) {
  Tensor t(DType::boolean, {});
  t.mutable_values<uint8_t>()[0] = value;
  return t;
}

TEST(If, RunsTheBranchThatItsConditionNames) {
  IfNetwork net;
  const graph::Graph g = net.outer.finish({net.outer.node("Relu", {net.y}, "relu")});
  base::ThreadPool pool(2);
  for (const bool optimize : {false, true}) {
    runtime::SessionOptions options;
    options.optimize = optimize;
    runtime::Session session(g, pool, options);
    // Both branches, and another shape, in one Session.
    const auto run = [&](bool c, const std::vector<float>& x) {
      const auto y =
          session.run(std::vector<Tensor>{truth(c), Tensor::of<float>({static_cast<int64_t>(x.size())}, x)}).at(0);
      return std::vector<float>(y.values<float>().begin(), y.values<float>().end());
    };
    EXPECT_EQ(run(true, {1, -20}), (std::vector<float>{11, 0}));
    EXPECT_EQ(run(false, {1, -20, 3}), (std::vector<float>{0, 20, 0}));
    EXPECT_EQ(run(true, {2}), (std::vector<float>{12}));
  }
}

TEST(If, ShapesAreThoseThatBothBranchesAgreeOn) {
  IfNetwork net({3});
  graph::Graph g = net.outer.finish({net.y});
  runtime::infer_shapes(g);
  EXPECT_TRUE(g.value(g.outputs[0]).shape_known);
  EXPECT_EQ(g.value(g.outputs[0]).shape, Shape{3});
}

TEST(If, AKnownConditionLeavesTheNodesOfItsBranch) {
  IfNetwork net({2});
  graph::Graph g = net.outer.finish({net.y});
  g.value(g.inputs[0]).constant = truth(true);
  g.inputs.erase(g.inputs.begin());
  base::ThreadPool pool(1);
  runtime::infer_shapes(g);
  EXPECT_TRUE(runtime::take_known_branches(g));
  EXPECT_FALSE(runtime::take_known_branches(g));
  for (graph::NodeId id = 0; id < g.node_count(); ++id) EXPECT_NE(g.node(id).op, "If");
  EXPECT_EQ(g.value(g.outputs[0]).name, "y");
  const auto y = runtime::Session(g, pool).run(std::vector<Tensor>{Tensor::of<float>({2}, std::vector<float>{1, 2})});
  EXPECT_EQ(y.at(0).values<float>()[1], 12.0f);
}

TEST(If, PassesMayReplaceWhatABranchReads) {
  IfNetwork net({2});
  GraphBuilder& b = net.outer;
  // The branches read x through an Identity, which goes.
  const auto copy = b.node("Identity", {net.x}, "copy");
  b.graph.node(0).inputs[1] = copy;
  graph::Graph g = b.finish({net.y});
  g.compact();
  runtime::remove_identities(g);
  g.compact();
  EXPECT_EQ(g.node_count(), 1);
  graph::name_captures(g);
  EXPECT_EQ(g.value(g.node(0).inputs[1]).name, "x");
  const graph::Graph& yes = *graph::subgraph(g.node(0), "then_branch");
  EXPECT_EQ(yes.value(yes.captures[0]).name, "x");
}

TEST(If, UnsupportedOperatorsInBranchesAreNamed) {
  IfNetwork net;
  auto inner = std::make_shared<graph::Graph>(*graph::subgraph(net.outer.graph.node(0), "then_branch"));
  inner->node(0).op = "Frobnicate";
  net.outer.graph.node(0).attributes["then_branch"] = inner;
  graph::Graph g = net.outer.finish({net.y});
  base::ThreadPool pool(1);
  std::vector<base::Error> problems;  // unsupported operators are not among them
  runtime::infer_shapes(g, &problems);
  EXPECT_TRUE(problems.empty());
  EXPECT_FALSE(g.value(g.outputs[0]).shape_known);
  try {
    runtime::Session session(g, pool);
    ADD_FAILURE() << "nothing was refused";
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), base::ErrorKind::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("Frobnicate x1"), std::string::npos) << e.what();
  }
}

TEST(If, RefusesWhatCannotBe) {
  base::ThreadPool pool(1);
  const auto x = Tensor::of<float>({1}, std::vector<float>{1});
  const auto refused = [&](const std::string& says, const auto& spoil, const Tensor& c = truth(true)) {
    IfNetwork net({1});
    spoil(net.outer.graph);
    const graph::Graph g = net.outer.finish({net.y});
    try {
      runtime::Session(g, pool).run(std::vector<Tensor>{c, x});
      ADD_FAILURE() << "nothing was refused; expected: " << says;
    } catch (const base::Error& e) {
      EXPECT_EQ(e.kind(), base::ErrorKind::kMalformed) << e.what();
      EXPECT_NE(std::string(e.what()).find(says), std::string::npos) << e.what();
    }
  };
  refused("no branch", [](graph::Graph& g) { g.node(0).attributes.erase("else_branch"); });
  refused(
      "truth value", [](graph::Graph& g) { g.value(g.inputs[0]).dtype = DType::u8; }, Tensor::scalar<uint8_t>(1));
  refused("a branch has 0", [](graph::Graph& g) {
    auto inner = std::make_shared<graph::Graph>(*graph::subgraph(g.node(0), "else_branch"));
    inner->outputs.clear();
    g.node(0).attributes["else_branch"] = inner;
  });
  refused("different element types", [](graph::Graph& g) {
    auto inner = std::make_shared<graph::Graph>(*graph::subgraph(g.node(0), "else_branch"));
    inner->node(0).op = "Shape";
    g.node(0).attributes["else_branch"] = inner;
  });
  refused(
      "single truth value", [](graph::Graph& g) { g.value(g.inputs[0]).shape = {2}; }, Tensor(DType::boolean, {2}));
}

TEST(Session, ShapesOfOperatorsMayFollowFromValues) {
  GraphBuilder b;
  const auto x = b.input("x", {2, 3});
  const graph::Graph g = b.finish({b.node("NonZero", {x}, "places")});
  base::ThreadPool pool(1);
  const auto y = runtime::Session(g, pool).run(
      std::vector<Tensor>{Tensor::of<float>({2, 3}, std::vector<float>{0, 1, 0, 2, 0, 3})});
  EXPECT_EQ(y.at(0).shape(), (Shape{2, 3}));
  const auto places = y.at(0).values<int64_t>();
  EXPECT_EQ(std::vector<int64_t>(places.begin(), places.end()), (std::vector<int64_t>{0, 1, 1, 1, 0, 2}));
}

TEST(Session, ComputedShapesSettleThroughLongChains) {
  // Reshape to [Shape(x)[0] * 1, -1] twice: the second chain is known only once the first is folded.
  GraphBuilder b;
  auto x = b.input("x", {4, 2, 3});
  const auto zero = b.constant("zero", Tensor::scalar<int64_t>(0));
  const auto axis = b.constant("axis", Tensor::of<int64_t>({1}, std::vector<int64_t>{0}));
  const auto rest = b.constant("rest", Tensor::of<int64_t>({1}, std::vector<int64_t>{-1}));
  for (const std::string s : {"a", "b", "c"}) {
    const auto first = b.node("Gather", {b.node("Shape", {x}, "shape" + s), zero}, "first" + s);
    const auto list =
        b.node("Concat", {b.node("Unsqueeze", {first, axis}, "list" + s), rest}, "to" + s, {{"axis", int64_t{0}}});
    x = b.node("Transpose", {b.node("Reshape", {x, list}, "flat" + s)}, "turned" + s);
  }
  graph::Graph g = b.finish({x});
  base::ThreadPool pool(1);
  runtime::infer_shapes(g);
  runtime::settle(g, pool, {});
  g.compact();
  EXPECT_EQ(g.node_count(), 6);  // the reshapes and transpositions
  EXPECT_EQ(g.value(g.outputs[0]).shape, (Shape{6, 4}));
}

}  // namespace
}  // namespace nibble
