#pragma once
#include <string>
#include <vector>

#include "base/random.h"
#include "graph/graph.h"

namespace nibble::test {

/// Builds small graphs for tests. Values are named as given; nodes after their output.
class GraphBuilder {
 public:
  graph::Graph graph;

  graph::ValueId input(const std::string& name, tensor::Shape shape, tensor::DType dtype = tensor::DType::f32) {
    graph::Value v;
    v.name = name;
    v.dtype = dtype;
    v.shape_known = true;
    v.shape = std::move(shape);
    const auto id = graph.add_value(std::move(v));
    graph.inputs.push_back(id);
    return id;
  }
  graph::ValueId constant(const std::string& name, tensor::Tensor t) { return graph.add_constant(name, std::move(t)); }
  /// Normally distributed numbers that depend on the name alone.
  graph::ValueId weights(const std::string& name, tensor::Shape shape, double scale = 1.0) {
    return constant(name, random_tensor(name, std::move(shape), scale));
  }
  graph::ValueId node(const std::string& op, std::vector<graph::ValueId> inputs, const std::string& output,
                      std::map<std::string, graph::Attribute> attributes = {}, const std::string& domain = "") {
    graph::Value v;
    v.name = output;
    const auto id = graph.add_value(std::move(v));
    graph::Node n;
    n.op = op;
    n.domain = domain;
    n.name = output;
    n.inputs = std::move(inputs);
    n.outputs = {id};
    n.attributes = std::move(attributes);
    graph.add_node(std::move(n));
    return id;
  }
  graph::Graph finish(std::vector<graph::ValueId> outputs) {
    graph.outputs = std::move(outputs);
    graph.opset = 28;
    return graph;
  }

  static tensor::Tensor random_tensor(const std::string& seed, tensor::Shape shape, double scale = 1.0) {
    base::Random random(std::hash<std::string>{}(seed));
    tensor::Tensor t(tensor::DType::f32, std::move(shape), true);
    for (float& v : t.mutable_values<float>()) v = static_cast<float>(random.normal() * scale);
    return t;
  }
};

using Ints = std::vector<int64_t>;

}  // namespace nibble::test
