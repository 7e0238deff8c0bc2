#pragma once
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "tensor/tensor.h"

namespace nibble::data {

/// One input of the network that samples are made for.
struct Input {
  std::string name;  ///< as the network calls it, or which array of an .npz is meant
  tensor::DType dtype = tensor::DType::f32;
  /// Without its batch dimension; kUnknown where any size will do. Absent: unknown.
  std::optional<tensor::Shape> shape;
  int64_t batch = tensor::kUnknown;  ///< the batch dimension, where the network fixes it
};

/// The inputs of a network, in its order. Throws Error(kUnsupported) for a network without any.
std::vector<Input> inputs_of(const graph::Graph& graph);

}  // namespace nibble::data
