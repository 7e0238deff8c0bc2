#pragma once
#include <string>
#include <vector>

#include "graph/graph.h"

namespace nibble::model {

/// How a tensor is stored: "f32", "int4, per channel", "uint4, group 32, zero point".
std::string format_text(const tensor::Tensor& tensor);

/// A constant weight as a Graph holds it.
struct StoredWeight {
  std::string layer, op;  ///< the node's name, with " in BRANCH of NODE" in a subgraph, and operator
  std::string weight;     ///< the constant's name
  std::string format;     ///< format_text; of MatMulNBits "uint4, group 32, float zero point" and the like
  tensor::Shape shape;    ///< of the real weight
  int bits = 32;          ///< of a code, 32 for a float weight of any width
  int64_t elements = 0;
  int64_t bytes = 0;  ///< of codes, scales, zero points and offsets, the filling of blocks included
};

/// Whether a node is a MatMulNBits whose codes, scales and zero points are constants.
bool is_constant_nbits(const graph::Graph& g, const graph::Node& node);

/// The weight of one such node, or of a product with a constant weight, or a Gather of a quantized table; `layer` is
/// the node's own name.
StoredWeight stored_weight(const graph::Graph& g, const graph::Node& node);

/// The weights of Conv, Gemm, MatMul and MatMulNBits, and the quantized tables of Gather, in the order of
/// the nodes; those in subgraphs follow those of the Graph that holds them.
std::vector<StoredWeight> stored_weights(const graph::Graph& network);

}  // namespace nibble::model
