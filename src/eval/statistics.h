#pragma once
#include <cstdint>
#include <span>

namespace nibble::eval {

struct Interval {
  double low = 0, high = 0;
};

/// McNemar's test of a paired change: `lost` answers that only A had right, `won` that only B has right.
struct PairedChange {
  int64_t samples = 0, lost = 0, won = 0;

  /// Change of accuracy, B minus A, in [-1, 1].
  double difference() const;
  /// 95 % interval of the difference: difference +- 1.96 * sqrt(b + c - (b - c)^2 / n) / n (Wald interval for paired
  /// proportions; Agresti, Categorical Data Analysis, 10.1).
  Interval interval() const;
  /// Two-sided p-value: exact binomial for up to 1000 discordant answers, else chi-squared with continuity correction.
  double p_value() const;
};

/// Wilson's 95 % interval of a share; never outside [0, 1].
Interval wilson_interval(int64_t successes, int64_t trials);

/// Value at `share` of the sorted values, linear between neighbours. `values` need not be sorted; empty gives 0.
double quantile(std::span<const double> values, double share);

double mean(std::span<const double> values);

/// Percentile bootstrap 95 % interval of the mean: 2000 resamples with fixed seeds, the same numbers every time.
Interval bootstrap_mean_interval(std::span<const double> values);

/// Percentile bootstrap 95 % interval of sum(a) / sum(b) where a[i] and b[i] belong together: 2000 resamples of the
/// pairs with fixed seeds. A resample whose sum(b) is 0 counts as 0 where sum(a) is 0 too, else as infinite. `a` and
/// `b` are of one size; fewer than two pairs give the ratio itself on both sides.
Interval bootstrap_ratio_interval(std::span<const double> a, std::span<const double> b);

/// Percentile bootstrap 95 % interval of median(a) / median(b) where a[i] and b[i] were measured together: 1000
/// resamples of the pairs with fixed seeds. `a` and `b` are of one size.
Interval bootstrap_median_ratio_interval(std::span<const double> a, std::span<const double> b);

/// Sum of p log(p / q) in nats over softmax distributions given as logits, computed in double by max-shift.
double kl_divergence_of_logits(std::span<const float> p, std::span<const float> q);
/// The same for probabilities; both are floored at 1e-12 and renormalised, so that a rounded zero is no infinity.
double kl_divergence_of_probabilities(std::span<const float> p, std::span<const float> q);

}  // namespace nibble::eval
