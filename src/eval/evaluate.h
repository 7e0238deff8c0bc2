#pragma once
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "data/dataset.h"
#include "eval/layers.h"
#include "eval/output_errors.h"
#include "eval/tasks/task.h"
#include "graph/graph.h"

namespace nibble::eval {

/// Two networks on the same data, or one alone.
struct Comparison {
  int64_t samples = 0, skipped = 0;
  TaskResult task;                   ///< what the answers were worth
  std::vector<OutputError> outputs;  ///< of every output; empty without a baseline
  std::vector<LayerError> layers;    ///< on the first samples only
  int64_t layer_samples = 0;
};

struct EvaluateOptions {
  TaskChoice task;
  int64_t batch = 16;
  int64_t layer_samples = 32;  ///< samples for the layers' errors; 0: none
  base::Limits limits;
};

/// Runs `after` (and `before`, where there is one) over the whole data set. The same numbers for any number of threads.
/// Throws Error as `answer` and the task do.
Comparison evaluate(const graph::Graph* before, const graph::Graph& after, const data::Dataset& dataset,
                    const EvaluateOptions& options, base::ThreadPool& pool, base::Progress& progress);

}  // namespace nibble::eval
