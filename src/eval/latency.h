#pragma once
#include <span>
#include <vector>

#include "base/limits.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "eval/statistics.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace nibble::eval {

/// Wall-clock times of inferences, in seconds.
struct Latency {
  std::vector<double> runs;
  int64_t warm_up_runs = 0;  ///< before them
  int64_t peak_activation_bytes = 0;

  double p50() const;
  double p90() const;
  double p99() const;
  /// Whether there are runs enough for a percentile to stand for more than the slowest run: ten above it for each that
  /// it leaves out (10 for p90, 100 for p99).
  bool has_p90() const { return runs.size() >= 10; }
  bool has_p99() const { return runs.size() >= 100; }
};

struct LatencyOptions {
  double seconds = 2;  ///< in all, after the warm-up; at least ten rounds and at most 10,000 are run whatever it says
  base::Limits limits;
};

/// Runs the networks in turn (A B A B ...) on one input, after a warm-up of at least two rounds and a tenth of the
/// time: figures that can be compared although the machine's speed drifts. Round i is runs[i] of every network.
std::vector<Latency> measure_latency(const std::vector<const graph::Graph*>& networks,
                                     std::span<const tensor::Tensor> inputs, const LatencyOptions& options,
                                     base::ThreadPool& pool, base::Progress& progress);

/// How much faster `after` is: the ratio of the medians, and its 95 % interval by resampling whole rounds.
struct SpeedUp {
  double ratio = 1;
  Interval interval;
};
SpeedUp speed_up(const Latency& before, const Latency& after);

}  // namespace nibble::eval
