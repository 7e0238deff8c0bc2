#pragma once
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/thread_pool.h"
#include "data/dataset.h"
#include "graph/graph.h"

namespace nibble::eval {

/// How close one value of the quantized network is to the float one's.
struct LayerError {
  std::string name, op;  ///< the node that writes the value
  double sqnr_db = 0;    ///< 10 log10(sum x^2 / sum (x - y)^2) of its output, end to end
  double cosine = 0;
  bool four_bit = false;
};

/// Errors of every product's output over the first `samples` samples, by running both networks and watching the values
/// that they have in common.
std::vector<LayerError> compare_layers(const graph::Graph& before, const graph::Graph& after,
                                       const data::Dataset& dataset, int64_t samples, int64_t batch,
                                       const base::Limits& limits, base::ThreadPool& pool);

}  // namespace nibble::eval
