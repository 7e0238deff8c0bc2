#pragma once
#include <nibble/array.h>
#include <nibble/export.h>
#include <nibble/network.h>

#include <cstdint>

namespace nibble {

struct Interval {
  double low = 0, high = 0;
};

/// Two networks on the same samples: what quantization cost.
struct Comparison {
  int64_t samples = 0;
  bool classes = false;  ///< the first output is [N, classes], so that the figures of answers mean something
  int64_t labelled = 0;  ///< samples with a label

  /// Right answers of the labelled samples: the largest output is the label (the first one on ties).
  int64_t before_right = 0, after_right = 0;
  int64_t lost = 0, won = 0;  ///< right before and wrong after; wrong before and right after
  /// Change of top-1 accuracy, after minus before, in [-1, 1], and its 95 % interval (Wald interval for paired
  /// proportions; Agresti, Categorical Data Analysis, 10.1).
  double top1_change = 0;
  Interval top1_change_interval;
  /// Two-sided p-value of McNemar's test: exact binomial up to 1000 changed answers, else chi-squared with correction.
  double p_value = 1;

  int64_t same_answer = 0;  ///< samples where both give the same class
  /// Mean Kullback-Leibler divergence KL(before || after) of the answers in nats, with its bootstrap 95 % interval
  /// (2000 resamples, fixed seeds). Outputs count as logits unless both networks end in Softmax.
  double kl_mean = 0;
  Interval kl_interval;

  double relative_error = 0;  ///< sqrt(sum (x - y)^2 / sum x^2) of the first output
};

/// Runs both networks over `data`. The same numbers for any number of `threads` (0: every core that this process may
/// use). Throws Error: kUsage (no data), kUnsupported (first outputs that differ in shape or are not float32),
/// kMalformed (an output that is not finite).
NIBBLE_API Comparison compare(const Network& before, const Network& after, const NextBatch& data, int threads = 0);

}  // namespace nibble
