#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace nibble::train {

/// One constant that got new numbers, and which.
struct Initialized {
  std::string name;  ///< of the constant
  std::string how;   ///< "normal, variance 2 / 27", "zeros", ...
  int64_t elements = 0;
};

/// Forgets what a network has learned: the start of training from scratch. By the operator that reads a constant:
///
///   Conv, ConvTranspose, Gemm, MatMul   normal, variance 2 / fan-in (He et al. 2015, equation 10), where fan-in counts
///                                       the products that one output sums: input channels of a group times the window
///                                       (depthwise: the window alone; transposed: divided by the strides). Of products
///                                       that lead to an output of the network through no other product: variance
///                                       1 / fan-in, since no rectifier follows that would halve it
///   RNN, GRU, LSTM                      W and R normal, variance 1 / fan-in (LeCun et al. 1998); biases and peepholes
///                                       zeros, but the LSTM's forget gate 1 (Jozefowicz et al. 2015)
///   biases                              zeros: third operands, and constants with one number an output that are added
///                                       to a product
///   BatchNormalization and the other    scale 1, bias 0, mean 0, variance 1
///   normalizations
///   PRelu                               slopes 0.25 (He et al. 2015)
///   Gather of rows of a matrix          normal, deviation 0.02 (Radford et al. 2018, section 4.1: embeddings)
///
/// Other constants stay, and so do those of branches. The numbers depend on `seed` and the order of the graph's nodes
/// alone. Returns what was done, in the order of the nodes.
///
/// Throws Error(kUnsupported) naming the node where a weight is quantized or no 32-bit float, and where nothing in the
/// graph can be initialised.
std::vector<Initialized> initialize_randomly(graph::Graph& graph, uint64_t seed);

}  // namespace nibble::train
