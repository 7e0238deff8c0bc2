#pragma once
#include <memory>

#include "support/graph_builder.h"

namespace nibble::test {

/// y = If(c, x + w, -x), where x is an input and w a constant outside of the branches. The If is node 0.
struct IfNetwork {
  GraphBuilder outer;
  graph::ValueId condition, x, w, y;

  explicit IfNetwork(tensor::Shape shape = {tensor::kUnknown}) {
    condition = outer.input("c", {}, tensor::DType::boolean);
    x = outer.input("x", std::move(shape));
    w = outer.constant("w", tensor::Tensor::scalar(10.0f));
    GraphBuilder yes, no;
    const auto captured = [](GraphBuilder& b, const char* name) {
      graph::Value v;
      v.name = name;
      const auto id = b.graph.add_value(std::move(v));
      b.graph.captures.push_back(id);
      return id;
    };
    const auto x_yes = captured(yes, "x"), w_yes = captured(yes, "w"), x_no = captured(no, "x");
    no.graph.captures.push_back(graph::kNoValue);
    yes.graph.outputs = {yes.node("Add", {x_yes, w_yes}, "sum")};
    no.graph.outputs = {no.node("Neg", {x_no}, "negative")};
    y = outer.node("If", {condition, x, w}, "y",
                   {{"then_branch", std::make_shared<graph::Graph>(yes.graph)},
                    {"else_branch", std::make_shared<graph::Graph>(no.graph)}});
  }
};

}  // namespace nibble::test
