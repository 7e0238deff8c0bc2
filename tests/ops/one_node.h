#pragma once
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "ops/operator.h"
#include "runtime/infer_shapes.h"
#include "runtime/session.h"
#include "support/graph_builder.h"

namespace nibble::test {

/// Runs one node named "n" on tensors; an empty Tensor is an omitted input. With `constants` all inputs but the first
/// are constants of the network, which decides what its Session may prepare; the others are network inputs. `optimize`:
/// in the Session's own form, with shapes inferred before, as networks from files run.
inline std::vector<tensor::Tensor> run_node(const std::string& op, const std::vector<tensor::Tensor>& inputs,
                                            std::map<std::string, graph::Attribute> attributes = {},
                                            bool optimize = false, bool constants = false,
                                            const std::string& domain = "", int outputs = 1, int threads = 2) {
  GraphBuilder b;
  graph::Node node;
  node.op = op;
  node.domain = domain;
  node.name = "n";
  node.attributes = std::move(attributes);
  std::vector<tensor::Tensor> given;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string name = "in" + std::to_string(i);
    if (!inputs[i]) {
      node.inputs.push_back(graph::kNoValue);
    } else if (constants && i > 0) {
      node.inputs.push_back(b.constant(name, inputs[i]));
    } else {
      node.inputs.push_back(b.input(name, inputs[i].shape(), inputs[i].dtype()));
      given.push_back(inputs[i]);
    }
  }
  std::vector<graph::ValueId> results;
  for (int i = 0; i < outputs; ++i) {
    graph::Value v;
    v.name = "out" + std::to_string(i);
    results.push_back(b.graph.add_value(std::move(v)));
    node.outputs.push_back(results.back());
  }
  b.graph.add_node(std::move(node));
  graph::Graph g = b.finish(results);
  if (optimize) runtime::infer_shapes(g);
  base::ThreadPool pool(threads);
  runtime::SessionOptions options;
  options.optimize = optimize;
  return runtime::Session(g, pool, options).run(given);
}

/// Expects `run` to end in an Error of that kind whose place names the node "n".
template <typename Run>
void expect_refusal(base::ErrorKind kind, const std::string& says, const Run& run) {
  try {
    run();
    ADD_FAILURE() << "nothing was refused; expected: " << says;
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    EXPECT_NE(e.place().find("node \"n\""), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find(says), std::string::npos) << e.what();
  }
}

inline tensor::Tensor floats(tensor::Shape shape, const std::vector<float>& values) {
  return tensor::Tensor::of<float>(std::move(shape), values);
}
inline tensor::Tensor integers(const std::vector<int64_t>& values) {
  return tensor::Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values);
}
/// 0, 1, 2, ... as floats.
inline tensor::Tensor counting(tensor::Shape shape) {
  tensor::Tensor t(tensor::DType::f32, std::move(shape), true);
  float next = 0;
  for (float& v : t.mutable_values<float>()) v = next++;
  return t;
}
template <typename T>
std::vector<T> list(const tensor::Tensor& t) {
  const auto v = t.values<T>();
  return {v.begin(), v.end()};
}

}  // namespace nibble::test
