#pragma once
#include <functional>
#include <optional>
#include <span>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "quant/calibrate/calibration.h"

namespace nibble::quant {

/// The next batch of network inputs, or an empty vector at the end.
using NextBatch = std::function<std::vector<tensor::Tensor>()>;

/// Runs the float network on data and collects statistics of the named values. `total` is the number of samples for the
/// progress. Throws Error(kUsage) when there is no data, kMalformed for values that are not finite.
Calibration calibrate(const graph::Graph& graph, const std::vector<Observed>& values, const NextBatch& next,
                      int64_t total, base::ThreadPool& pool, base::Progress& progress, const base::Limits& limits);

/// Most bytes of activations that are alive at one time while one sample runs through the graph node by node; values of
/// unknown shape count as nothing.
int64_t activation_bytes(const graph::Graph& graph);

/// Samples that a calibration takes at once where the network takes batches of any size: 16, fewer where their
/// activations would pass 48 MB.
int64_t calibration_batch(const graph::Graph& graph);

/// Adds minimum and maximum of every float constant of a product to `calibration.weights`.
void add_weight_ranges(Calibration& calibration, const graph::Graph& graph);

}  // namespace nibble::quant
