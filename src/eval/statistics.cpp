#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace nibble::eval {

double PairedChange::difference() const {
  return samples ? static_cast<double>(won - lost) / static_cast<double>(samples) : 0.0;
}

Interval PairedChange::interval() const {
  if (samples == 0) return {};
  const auto n = static_cast<double>(samples), b = static_cast<double>(lost), c = static_cast<double>(won);
  const double error = 1.959963984540054 * std::sqrt(std::max(0.0, b + c - (b - c) * (b - c) / n)) / n;
  return {difference() - error, difference() + error};
}

double PairedChange::p_value() const {
  const int64_t n = lost + won, smaller = std::min(lost, won);
  if (n == 0) return 1.0;
  if (n > 1000) {
    const double d = std::max(0.0, std::fabs(static_cast<double>(lost - won)) - 1.0);
    return std::erfc(std::sqrt(d * d / static_cast<double>(n) / 2.0));
  }
  // 2 * P(X <= smaller), X ~ Binomial(n, 1/2), each term from its logarithm.
  double sum = 0;
  for (int64_t k = 0; k <= smaller; ++k)
    sum += std::exp(std::lgamma(static_cast<double>(n) + 1) - std::lgamma(static_cast<double>(k) + 1) -
                    std::lgamma(static_cast<double>(n - k) + 1) - static_cast<double>(n) * std::log(2.0));
  return std::min(1.0, 2.0 * sum);
}

Interval wilson_interval(int64_t successes, int64_t trials) {
  if (trials == 0) return {0.0, 1.0};
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n, z = 1.959963984540054, z2 = z * z;
  const double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = z * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

double quantile(std::span<const double> values, double share) {
  if (values.empty()) return 0.0;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - static_cast<double>(low));
}

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

Interval bootstrap_mean_interval(std::span<const double> values) {
  if (values.size() < 2) return {mean(values), mean(values)};
  constexpr uint64_t kResamples = 2000;
  std::vector<double> means(kResamples);
  for (uint64_t r = 0; r < kResamples; ++r) {
    base::Random random(0x6e6962626c65, r);
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += values[random.below(values.size())];
    means[r] = sum / static_cast<double>(values.size());
  }
  return {quantile(means, 0.025), quantile(means, 0.975)};
}

Interval bootstrap_ratio_interval(std::span<const double> a, std::span<const double> b) {
  if (a.empty() || a.size() != b.size()) return {};
  const auto ratio = [](double x, double y) { return y != 0 ? x / y : x != 0 ? INFINITY : 0.0; };
  if (a.size() == 1) return {ratio(a[0], b[0]), ratio(a[0], b[0])};
  constexpr uint64_t kResamples = 2000;
  std::vector<double> ratios(kResamples);
  for (uint64_t r = 0; r < kResamples; ++r) {
    base::Random random(0x6e6962626c65, r);
    double x = 0, y = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      const uint64_t pair = random.below(a.size());
      x += a[pair];
      y += b[pair];
    }
    ratios[r] = ratio(x, y);
  }
  return {quantile(ratios, 0.025), quantile(ratios, 0.975)};
}

namespace {

/// The median of values that it reorders: the mean of the middle two where their number is even, as `quantile` has it.
double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return values.size() % 2 ? *middle : (*middle + *std::max_element(values.begin(), middle)) / 2;
}

}  // namespace

Interval bootstrap_median_ratio_interval(std::span<const double> a, std::span<const double> b) {
  if (a.empty() || a.size() != b.size()) return {};
  constexpr uint64_t kResamples = 1000;
  std::vector<double> ratios(kResamples), x(a.size()), y(b.size());
  for (uint64_t r = 0; r < kResamples; ++r) {
    base::Random random(0x6e6962626c65, r);
    for (size_t i = 0; i < a.size(); ++i) {
      const uint64_t pair = random.below(a.size());
      x[i] = a[pair];
      y[i] = b[pair];
    }
    ratios[r] = median(x) / median(y);
  }
  return {quantile(ratios, 0.025), quantile(ratios, 0.975)};
}

namespace {

std::vector<double> log_softmax(std::span<const float> logits) {
  double largest = -INFINITY;
  for (const float v : logits) largest = std::max(largest, static_cast<double>(v));
  double sum = 0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v) - largest);
  const double shift = largest + std::log(sum);
  std::vector<double> out;
  for (const float v : logits) out.push_back(static_cast<double>(v) - shift);
  return out;
}

std::vector<double> log_probabilities(std::span<const float> probabilities) {
  std::vector<double> out;
  double sum = 0;
  for (const float v : probabilities) {
    out.push_back(std::max(static_cast<double>(v), 1e-12));
    sum += out.back();
  }
  for (double& v : out) v = std::log(v / sum);
  return out;
}

double divergence(const std::vector<double>& log_p, const std::vector<double>& log_q) {
  double sum = 0;
  for (size_t i = 0; i < log_p.size(); ++i) sum += std::exp(log_p[i]) * (log_p[i] - log_q[i]);
  return std::max(0.0, sum);
}

}  // namespace

double kl_divergence_of_logits(std::span<const float> p, std::span<const float> q) {
  return divergence(log_softmax(p), log_softmax(q));
}
double kl_divergence_of_probabilities(std::span<const float> p, std::span<const float> q) {
  return divergence(log_probabilities(p), log_probabilities(q));
}

}  // namespace nibble::eval
