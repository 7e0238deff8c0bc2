#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "data/dataset.h"
#include "eval/statistics.h"
#include "graph/graph.h"

namespace nibble::eval {

/// What one network answered on labelled data.
struct Accuracy {
  int64_t samples = 0, top1 = 0, top5 = 0;
};

/// How close one value of the quantized network is to the float one's.
struct LayerError {
  std::string name, op;  ///< the node that writes the value
  double sqnr_db = 0;    ///< 10 log10(sum x^2 / sum (x - y)^2) of its output, end to end
  double cosine = 0;
  bool four_bit = false;
};

/// Two networks on the same data.
struct Comparison {
  int64_t samples = 0, skipped = 0;
  bool classes = false;  ///< the first output is [N, classes]
  bool labelled = false;
  Accuracy before, after;     ///< where labelled
  PairedChange change;        ///< of top-1, where labelled
  int64_t same_answer = 0;    ///< samples with the same top class
  std::vector<double> kl;     ///< by sample, nats; where classes
  double relative_error = 0;  ///< sqrt(sum (x - y)^2 / sum x^2) of the first output
  double output_sqnr_db = 0;
  std::vector<LayerError> layers;  ///< on the first samples only
  int64_t layer_samples = 0;
};

struct EvaluateOptions {
  int64_t batch = 16;
  int64_t layer_samples = 32;  ///< samples for the layers' errors; 0: none
  base::Limits limits;
};

/// Runs `after` (and `before`, where there is one) over the whole data set. The same numbers for any number of threads.
/// Throws Error(kUnsupported) when the networks' inputs or outputs differ in shape.
Comparison evaluate(const graph::Graph* before, const graph::Graph& after, const data::Dataset& dataset,
                    const EvaluateOptions& options, base::ThreadPool& pool, base::Progress& progress);

}  // namespace nibble::eval
