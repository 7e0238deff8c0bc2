#pragma once
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/limits.h"
#include "base/thread_pool.h"
#include "data/dataset.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace nibble::eval {

/// What the networks answered to one batch, every output of theirs.
struct Answers {
  const data::Batch& data;
  std::span<const tensor::Tensor> before, after;  ///< `before` is empty where there is no baseline

  /// Whether output `i` has one type and shape on both sides. The first always does; others may be data's size.
  bool comparable(size_t i) const;
  /// Whether output `i` holds one row of at least two classes a sample: [N, classes] of floats.
  bool rows_of_classes(size_t i) const;
  /// Whether the first dimension of output `i` is the samples.
  bool by_sample(size_t i) const;
};

/// Gives batches until it gives none.
using NextBatch = std::function<std::optional<data::Batch>()>;

/// Runs `after` (and `before`, where there is one) over batches and hands on what they answered. Throws
/// Error(kUnsupported) when the networks' outputs differ in number or the first ones in shape or type, and
/// Error(kMalformed) for an output that is not finite, naming output and index.
void answer(const graph::Graph* before, const graph::Graph& after, const NextBatch& next, const base::Limits& limits,
            base::ThreadPool& pool, const std::function<void(const Answers&)>& each);

/// All batches of a data set in order, as the network takes them: of `batch` samples, or of as many as it fixes (the
/// last samples that do not fill such a batch are left out). `progress` is told how many samples were given.
NextBatch batches_of(const data::Dataset& dataset, const graph::Graph& network, int64_t batch, base::ThreadPool& pool,
                     std::function<void(int64_t)> progress);

/// Whether the first output already holds probabilities.
bool ends_in_softmax(const graph::Graph& graph);

}  // namespace nibble::eval
