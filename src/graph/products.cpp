#include "graph/products.h"

namespace nibble::graph {

bool is_product(const Node& node) {
  return !node.removed && node.domain.empty() && (node.op == "Conv" || node.op == "Gemm" || node.op == "MatMul");
}

std::vector<NodeId> weighted_products(const Graph& graph) {
  std::vector<NodeId> found;
  for (NodeId id = 0; id < graph.node_count(); ++id)
    if (is_product(graph.node(id)) && graph.is_constant(graph.node(id).input(1))) found.push_back(id);
  return found;
}

}  // namespace nibble::graph
