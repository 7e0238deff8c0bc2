#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace nibble::eval {

/// Where a network's time goes: a node of the Session's own form (fused, integer, channels last), or all of one
/// operator.
struct NodeCost {
  std::string name, op;  ///< `name` is empty for a sum over an operator
  int64_t nodes = 1;
  double seconds = 0;  ///< a run, mean
  int64_t macs = 0;    ///< multiply-adds a run of convolutions and products; 0 where they are not counted

  /// Two operations a multiply-add, in 1e9 a second; std::nullopt where they are not counted.
  std::optional<double> gflops() const;
};

struct Profile {
  int64_t runs = 0;
  double seconds = 0;           ///< of all nodes, a run; what a run takes beside them is not in it
  std::vector<NodeCost> nodes;  ///< in execution order
  /// Sums over the operators, the most expensive first.
  std::vector<NodeCost> by_operator() const;
};

/// Runs the network for about `seconds` (at least three times, after one run that is not counted), timing every node.
Profile profile(const graph::Graph& graph, std::span<const tensor::Tensor> inputs, double seconds,
                const base::Limits& limits, base::ThreadPool& pool, base::Progress& progress);

}  // namespace nibble::eval
