// An If whose condition is constant becomes the nodes of its branch.
#include <unordered_set>

#include "runtime/rewrite/rewrite.h"

namespace nibble::runtime {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;

/// Moves the nodes of `branch` into `graph`, where its captured values are the last inputs of node `id`.
void write_out(Graph& graph, NodeId id, const Graph& branch, std::unordered_set<std::string>& names) {
  const std::vector<ValueId> inputs = graph.node(id).inputs, outputs = graph.node(id).outputs;
  const std::string prefix = graph.node(id).name;
  std::vector<ValueId> outside(static_cast<size_t>(branch.value_count()), kNoValue);
  const size_t first = inputs.size() - branch.captures.size();
  for (size_t k = 0; k < branch.captures.size(); ++k)
    if (branch.captures[k] != kNoValue) outside[static_cast<size_t>(branch.captures[k])] = inputs[first + k];
  for (ValueId v = 0; v < branch.value_count(); ++v) {
    if (outside[static_cast<size_t>(v)] != kNoValue) continue;
    graph::Value value = branch.value(v);
    const std::string stem = value.name;
    for (int i = 1; !names.insert(value.name).second; ++i) value.name = stem + "_" + std::to_string(i);
    outside[static_cast<size_t>(v)] = graph.add_value(std::move(value));
  }
  const auto moved = [&](std::vector<ValueId>& ids) {
    for (ValueId& v : ids)
      if (v != kNoValue) v = outside[static_cast<size_t>(v)];
  };
  for (NodeId n = 0; n < branch.node_count(); ++n) {
    if (branch.node(n).removed) continue;
    Node node = branch.node(n);
    moved(node.inputs);
    moved(node.outputs);
    graph.add_node(std::move(node));
  }
  // Identities, which keep the names of outputs; the clean-up removes the others.
  for (size_t i = 0; i < outputs.size() && i < branch.outputs.size(); ++i)
    if (outputs[i] != kNoValue)
      graph.add_node({"Identity",
                      "",
                      prefix.empty() ? prefix : prefix + "/result" + std::to_string(i),
                      {outside[static_cast<size_t>(branch.outputs[i])]},
                      {outputs[i]},
                      {}});
  graph.remove_node(id);
}

}  // namespace

bool take_known_branches(Graph& graph) {
  std::unordered_set<std::string> names;
  bool taken = false;
  const NodeId count = graph.node_count();
  for (NodeId id = 0; id < count; ++id) {
    const Node& node = graph.node(id);
    if (node.removed || node.op != "If" || !node.domain.empty() || !graph.is_constant(node.input(0))) continue;
    const tensor::Tensor condition = graph.value(node.input(0)).constant;
    if (condition.dtype() != tensor::DType::boolean || condition.elements() != 1) continue;
    const bool yes = condition.bytes()[0] != std::byte{0};
    const Graph* branch = graph::subgraph(node, yes ? "then_branch" : "else_branch");
    if (!branch) continue;
    if (names.empty())
      for (ValueId v = 0; v < graph.value_count(); ++v) names.insert(graph.value(v).name);
    const Graph copy = *branch;  // the node that holds it goes
    write_out(graph, id, copy, names);
    taken = true;
  }
  if (taken) graph.compact();
  return taken;
}

void settle(Graph& graph, base::ThreadPool& pool, const base::Limits& limits) {
  do fold_constants(graph, pool, limits);
  while (take_known_branches(graph));
}

}  // namespace nibble::runtime
