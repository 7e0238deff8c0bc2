#pragma once
#include <string>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"

namespace nibble::runtime {

/// Gives every value of the graph the type and the shape that follow from the inputs, as far as they are known before
/// the network runs. Stated shapes of intermediate values are not trusted: a clash is returned as a note.
/// Throws Error for nodes whose attributes or shapes clash, and for unsupported operators (all of them in one message).
/// With `problems` nothing is thrown: such nodes' Errors are added to it (unsupported operators are not, see below),
/// and what they and the nodes behind them write stays without shape.
std::vector<std::string> infer_shapes(graph::Graph& graph, std::vector<base::Error>* problems = nullptr);

/// The same for one node whose inputs are inferred. Returns a note when a stated shape clashes, else an empty string.
std::string infer_node(graph::Graph& graph, graph::NodeId id);

/// An operator that the table lacks, and how often the graph and its subgraphs use it.
struct UnsupportedOperator {
  std::string op, domain, first_node;
  int64_t count = 0;

  /// "ai.onnx.ml.TreeEnsemble x2", for messages; untrusted text is escaped.
  std::string describe() const;
};
std::vector<UnsupportedOperator> unsupported_operators(const graph::Graph& graph);

/// Throws one Error(kUnsupported) that names every unsupported operator with its count.
void require_supported(const graph::Graph& graph);

}  // namespace nibble::runtime
