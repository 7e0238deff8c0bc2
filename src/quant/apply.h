#pragma once
#include <vector>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "quant/plan/plan.h"

namespace nibble::quant {

/// What quantizing one layer did to its weight.
struct LayerResult {
  std::string name, weight_name;
  double sqnr_db = 0;  ///< 10 log10(sum w^2 / sum (w - decoded)^2); infinite when exact
  double bits_per_weight = 0;
  int64_t bytes = 0;
};

/// Carries out a plan on the prepared Graph it was made from: quantized constants for the weights, QuantizeLinear and
/// DequantizeLinear pairs for the activations. Subgraphs that other Graphs share are copied, not changed. The scheme is
/// recorded in the metadata key `nibble.scheme`. The same bytes for any number of threads.
std::vector<LayerResult> apply(graph::Graph& graph, const Plan& plan, const Calibration* calibration,
                               base::ThreadPool& pool, base::Progress& progress);

/// Size of the file that this plan leads to, counted on a copy whose codes and scales are placeholders. Throws Error
/// where the plan's formats cannot be written.
int64_t predicted_file_bytes(const graph::Graph& graph, const Plan& plan);

}  // namespace nibble::quant
