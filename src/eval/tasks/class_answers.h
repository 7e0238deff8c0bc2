#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eval/answers.h"
#include "eval/statistics.h"

namespace nibble::eval {

/// What one network answered on labelled data.
struct Accuracy {
  int64_t samples = 0, top1 = 0, top5 = 0;
};

/// Answers that are classes, on both sides: right ones, equal ones, and how far the distributions are apart.
struct ClassAnswers {
  int64_t samples = 0;
  Accuracy before, after;   ///< of the labelled samples
  PairedChange change;      ///< of top-1, of the labelled samples
  int64_t same_answer = 0;  ///< samples with the same top class
  std::vector<double> kl;   ///< KL(before || after) by sample, nats

  /// Adds one sample's row of outputs; `before` is empty without a baseline. The top class is the first one on ties.
  void add(std::span<const float> before_row, std::span<const float> after_row, std::optional<int64_t> label,
           bool probabilities);
  /// Adds every row of output `i`, which holds rows of classes.
  void add(const Answers& answers, size_t i, bool probabilities);
};

}  // namespace nibble::eval
