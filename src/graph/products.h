#pragma once
#include <vector>

#include "graph/graph.h"

namespace nibble::graph {

/// Whether a node multiplies with a matrix: Conv, Gemm or MatMul of ONNX's own domain. These are what schemes quantize.
bool is_product(const Node& node);

/// The products whose second operand (the weight) is a constant, in the graph's order.
std::vector<NodeId> weighted_products(const Graph& graph);

}  // namespace nibble::graph
