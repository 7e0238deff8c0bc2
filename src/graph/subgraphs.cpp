#include "graph/subgraphs.h"

#include <memory>

#include "base/error.h"
#include "graph/products.h"

namespace nibble::graph {
namespace {

using Shared = std::shared_ptr<Graph>;

void walk(const Graph& graph, Path& path, const std::function<void(const Graph&, const Path&)>& visit) {
  visit(graph, path);
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    if (graph.node(id).removed) continue;
    for (const auto& [key, attribute] : graph.node(id).attributes)
      if (const auto* inner = std::get_if<Shared>(&attribute)) {
        path.push_back({id, key});
        walk(**inner, path, visit);
        path.pop_back();
      }
  }
}

/// Whether a product reads `v` as its weight, in this graph or in a subgraph that captures it.
bool is_weight(const Graph& graph, ValueId v) {
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    const Node& node = graph.node(id);
    if (is_product(node) && node.input(1) == v) return true;
    const size_t count = captured_inputs(node), first = node.inputs.size() - count;
    for (const auto& [key, attribute] : node.attributes)
      if (const auto* inner = std::get_if<Shared>(&attribute); inner && !node.removed)
        for (size_t k = 0; k < count; ++k)
          if (node.inputs[first + k] == v && (*inner)->captures[k] != kNoValue &&
              is_weight(**inner, (*inner)->captures[k]))
            return true;
  }
  return false;
}

int64_t own_below(Graph& graph) {
  int64_t moved = 0;
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    Node& node = graph.node(id);
    if (node.removed) continue;
    const size_t count = captured_inputs(node), first = node.inputs.size() - count;
    for (auto& [key, attribute] : node.attributes) {
      auto* shared = std::get_if<Shared>(&attribute);
      if (!shared) continue;
      *shared = std::make_shared<Graph>(**shared);
      Graph& inner = **shared;
      for (size_t k = 0; k < count; ++k) {
        const ValueId v = inner.captures[k], outside = node.inputs[first + k];
        if (v == kNoValue || !graph.is_constant(outside) || !is_weight(inner, v)) continue;
        const Value& value = graph.value(outside);
        const ValueId own = inner.add_constant(inner.unique_name(value.name + "_" + key), value.constant, value.role);
        inner.replace_uses(v, own);
        inner.captures[k] = kNoValue;
        ++moved;
      }
      moved += own_below(inner);
      inner.compact();
    }
  }
  return moved;
}

}  // namespace

const Graph& graph_at(const Graph& network, const Path& path) {
  const Graph* graph = &network;
  for (const Step& step : path) {
    graph = subgraph(graph->node(step.node), step.attribute);
    NIBBLE_INVARIANT(graph != nullptr);
  }
  return *graph;
}

Graph& writable_graph_at(Graph& network, const Path& path) {
  Graph* graph = &network;
  for (const Step& step : path) {
    auto* shared = std::get_if<Shared>(&graph->node(step.node).attributes.at(step.attribute));
    NIBBLE_INVARIANT(shared != nullptr);
    if (shared->use_count() > 1) *shared = std::make_shared<Graph>(**shared);
    graph = shared->get();
  }
  return *graph;
}

std::string place_text(const Graph& network, const Path& path) {
  std::string text;
  const Graph* graph = &network;
  for (const Step& step : path) {
    const Node& node = graph->node(step.node);
    text = " in " + step.attribute + " of " + graph->name_of(node) + text;
    graph = subgraph(node, step.attribute);
  }
  return text;
}

void for_each_graph(const Graph& network, const std::function<void(const Graph&, const Path&)>& visit) {
  Path path;
  walk(network, path, visit);
}

int64_t own_captured_weights(Graph& network) {
  const int64_t moved = own_below(network);
  if (moved > 0) name_captures(network);
  return moved;
}

}  // namespace nibble::graph
