#pragma once
#include <string>
#include <vector>

#include "graph/graph.h"

namespace nibble::model {

/// A constant weight as a Graph holds it.
struct StoredWeight {
  graph::NodeId node = -1;
  std::string weight;   ///< the constant's name
  std::string format;   ///< "f32", "int4, per channel", "uint4, group 32, zero point"
  tensor::Shape shape;  ///< of the real weight
  int bits = 32;        ///< of a code, 32 for a float weight of any width
  int64_t elements = 0;
  int64_t bytes = 0;  ///< of codes, scales, zero points and offsets, the filling of blocks included
};

/// The weights of Conv, Gemm, MatMul and MatMulNBits, and the quantized tables of Gather, in the order of the nodes.
std::vector<StoredWeight> stored_weights(const graph::Graph& g);

}  // namespace nibble::model
