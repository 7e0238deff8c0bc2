#pragma once
#include <functional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace nibble::graph {

/// The way from a network's own Graph down to a subgraph: the node that holds it and the attribute, level by level.
/// Empty: the network's own Graph.
struct Step {
  NodeId node = -1;
  std::string attribute;
  bool operator==(const Step&) const = default;
};
using Path = std::vector<Step>;

/// The Graph at the end of a path.
const Graph& graph_at(const Graph& network, const Path& path);
/// The same to be changed: subgraphs on the way that another Graph shares are copied first.
Graph& writable_graph_at(Graph& network, const Path& path);

/// " in then_branch of if_1", the innermost first; empty for the network's own Graph.
std::string place_text(const Graph& network, const Path& path);

/// The network's own Graph, then those of its nodes at any depth: each after the one that holds it, in the order of
/// nodes.
void for_each_graph(const Graph& network, const std::function<void(const Graph&, const Path&)>& visit);

/// Gives products in subgraphs their own constants: a weight that they capture from outside, where it is a constant,
/// becomes one of the subgraph, at any depth. What the nodes compute does not change. Captures that nothing reads any
/// more are dropped. Returns how many weights moved.
int64_t own_captured_weights(Graph& network);

}  // namespace nibble::graph
