#pragma once
#include <vector>

#include "graph/graph.h"
#include "tensor/tensor.h"

namespace nibble::ops {

/// The real weight of a com.microsoft MatMulNBits node as float32 [N, K], from its inputs 1 to 3 (`zeros` may be
/// absent), which fit its attributes, as inference checks. Throws Error(kMalformed) for attributes that do not.
std::vector<float> nbits_weight(const graph::Node& node, const tensor::Tensor& codes, const tensor::Tensor& scales,
                                const tensor::Tensor& zeros);

}  // namespace nibble::ops
