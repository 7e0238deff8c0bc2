// The usual clean-ups.
#include "ops/operator.h"
#include "runtime/infer_shapes.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::runtime {

using graph::kNoValue;
using graph::Node;
using graph::NodeId;

void remove_identities(graph::Graph& graph) {
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    const Node& node = graph.node(id);
    if (node.removed || !node.domain.empty() || node.input(0) == kNoValue || node.output(0) == kNoValue) continue;
    bool same = node.op == "Identity";
    if (node.op == "Dropout")
      same = node.output(1) == kNoValue && (node.input(2) == kNoValue || graph.is_constant(node.input(2)));
    if (node.op == "Cast") {
      const auto to = tensor::dtype_of_number(node.integer("to", 0));
      same = to && *to == graph.value(node.input(0)).dtype;
    }
    // A network output keeps its name, so the node before it stays.
    if (!same || graph.is_output(node.output(0))) continue;
    const graph::ValueId from = node.output(0), to = node.input(0);
    graph.remove_node(id);
    graph.replace_uses(from, to);
  }
}

void remove_dead_nodes(graph::Graph& graph) {
  // Backwards once is enough: nodes are in topological order, so readers are seen before what they read.
  std::vector<int32_t> reads(static_cast<size_t>(graph.value_count()), 0);
  for (const graph::ValueId v : graph.outputs) ++reads[static_cast<size_t>(v)];
  for (NodeId id = 0; id < graph.node_count(); ++id)
    if (!graph.node(id).removed)
      for (const graph::ValueId v : graph.node(id).inputs)
        if (v != kNoValue) ++reads[static_cast<size_t>(v)];
  for (NodeId id = graph.node_count(); id-- > 0;) {
    const Node& node = graph.node(id);
    if (node.removed) continue;
    bool read = false;
    for (const graph::ValueId v : node.outputs) read = read || (v != kNoValue && reads[static_cast<size_t>(v)] > 0);
    if (read) continue;
    for (const graph::ValueId v : node.inputs)
      if (v != kNoValue) --reads[static_cast<size_t>(v)];
    graph.remove_node(id);
  }
}

void rewrite_for_execution(graph::Graph& graph, base::ThreadPool& pool, const base::Limits& limits) {
  infer_shapes(graph);
  settle(graph, pool, limits);
  remove_identities(graph);
  fold_batch_normalization(graph);
  fold_bias(graph);
  fuse_integer_arithmetic(graph);
  fuse_activations(graph);
  fuse_requantization(graph);
  remove_dead_nodes(graph);
  graph.compact();
  use_channels_last(graph);
  remove_dead_nodes(graph);
}

}  // namespace nibble::runtime
