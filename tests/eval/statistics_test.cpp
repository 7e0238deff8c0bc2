#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"

namespace nibble::eval {
namespace {

TEST(PairedChange, EqualsTheExactBinomialTest) {
  // 2 * sum_{k<=3} C(15, k) / 2^15 = 2 * (1 + 15 + 105 + 455) / 32768
  const PairedChange c{1000, 12, 3};
  EXPECT_NEAR(c.p_value(), 2.0 * 576 / 32768, 1e-12);
  EXPECT_DOUBLE_EQ(c.difference(), -0.009);
  // sqrt(15 - 81 / 1000) / 1000 * 1.96
  EXPECT_NEAR(c.interval().low, -0.009 - 1.959963984540054 * std::sqrt(15 - 0.081) / 1000, 1e-15);
  EXPECT_EQ((PairedChange{10, 0, 0}.p_value()), 1.0);
  EXPECT_EQ((PairedChange{10, 4, 4}.p_value()), 1.0);
}

TEST(PairedChange, ManyDiscordantAnswersUseChiSquared) {
  // (|700 - 600| - 1)^2 / 1300 = 7.539; the upper tail of chi-squared with one degree there is 0.006037
  EXPECT_NEAR((PairedChange{10000, 700, 600}.p_value()), 0.006037, 2e-6);
}

TEST(Wilson, EqualsTheTextbookAndStaysInside) {
  const Interval i = wilson_interval(470, 800);  // statsmodels proportion_confint(470, 800, method="wilson")
  EXPECT_NEAR(i.low, 0.55305, 1e-4);
  EXPECT_NEAR(i.high, 0.62111, 1e-4);
  EXPECT_EQ(wilson_interval(0, 10).low, 0.0);
  EXPECT_DOUBLE_EQ(wilson_interval(10, 10).high, 1.0);
}

TEST(Quantile, IsLinearBetweenNeighbours) {
  const std::vector<double> v{4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(quantile(v, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(v, 0.0), 1);
  EXPECT_DOUBLE_EQ(quantile(v, 1.0), 4);
  EXPECT_DOUBLE_EQ(quantile(v, 0.9), 3.7);
}

TEST(Bootstrap, IntervalHasTheWidthOfTheStandardErrorAndIsRepeatable) {
  base::Random random(7);
  std::vector<double> v(400);
  double sum = 0, squares = 0;
  for (double& x : v) {
    x = random.normal();
    sum += x;
    squares += x * x;
  }
  const double m = sum / 400, error = std::sqrt((squares / 400 - m * m) / 400);
  const Interval i = bootstrap_mean_interval(v);
  // 2000 resamples place a 2.5 % quantile within about 3 % of the standard error.
  EXPECT_NEAR((i.high - i.low) / (2 * 1.96 * error), 1.0, 0.1);
  EXPECT_NEAR((i.low + i.high) / 2, m, 0.2 * error);
  EXPECT_EQ(bootstrap_mean_interval(v).low, i.low);
}

TEST(Divergence, OfKnownDistributions) {
  // p = (1/2, 1/2), q = (1/4, 3/4): 0.5 ln 2 + 0.5 ln(2/3)
  const std::vector<float> p{0, 0}, q{0, std::log(3.0f)};
  const double expected = 0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3.0);
  EXPECT_NEAR(kl_divergence_of_logits(p, q), expected, 1e-7);
  EXPECT_NEAR(kl_divergence_of_probabilities(std::vector<float>{0.5f, 0.5f}, std::vector<float>{0.25f, 0.75f}),
              expected, 1e-12);
  EXPECT_EQ(kl_divergence_of_logits(p, p), 0);
  EXPECT_TRUE(std::isfinite(kl_divergence_of_probabilities(std::vector<float>{1, 0}, std::vector<float>{0, 1})));
}

TEST(Divergence, DoesNotOverflow) {
  EXPECT_NEAR(kl_divergence_of_logits(std::vector<float>{3e38f, 0}, std::vector<float>{1e38f, 0}), 0, 1e-12);
}

TEST(MedianRatio, PairsAreResampledTogether) {
  // Both slow down by a factor of three half-way; the ratio of every pair is 2, and so is that of every resample.
  std::vector<double> a, b;
  for (int i = 0; i < 40; ++i) {
    b.push_back(i < 20 ? 1.0 : 3.0);
    a.push_back(2 * b.back());
  }
  const Interval i = bootstrap_median_ratio_interval(a, b);
  EXPECT_DOUBLE_EQ(i.low, 2);
  EXPECT_DOUBLE_EQ(i.high, 2);
}

TEST(MedianRatio, TheIntervalHoldsTheTruthAndNarrows) {
  const auto width = [](int n) {
    std::vector<double> a, b;
    base::Random random(3);
    for (int i = 0; i < n; ++i) {
      a.push_back(1.5 + 0.1 * random.normal());
      b.push_back(1 + 0.1 * random.normal());
    }
    const Interval i = bootstrap_median_ratio_interval(a, b);
    EXPECT_LT(i.low, 1.5);
    EXPECT_GT(i.high, 1.5);
    return i.high - i.low;
  };
  EXPECT_LT(width(400), width(25) / 2);  // four times in expectation
  EXPECT_EQ(bootstrap_median_ratio_interval({}, {}).low, 0);
}

TEST(BootstrapRatio, CoversTheRatioAndKeepsPairsTogether) {
  // Where a is always twice b every resample has the same ratio.
  std::vector<double> a, b;
  base::Random random(3);
  for (int i = 0; i < 50; ++i) {
    b.push_back(1 + random.uniform());
    a.push_back(2 * b.back());
  }
  EXPECT_DOUBLE_EQ(bootstrap_ratio_interval(a, b).low, 2);
  EXPECT_DOUBLE_EQ(bootstrap_ratio_interval(a, b).high, 2);
  for (double& v : a) v += random.uniform() - 0.5;
  double x = 0, y = 0;
  for (size_t i = 0; i < a.size(); ++i) x += a[i], y += b[i];
  const Interval i = bootstrap_ratio_interval(a, b);
  EXPECT_LT(i.low, x / y);
  EXPECT_GT(i.high, x / y);
  const std::vector<double> one{3}, none{0};
  EXPECT_EQ(bootstrap_ratio_interval(one, one).high, 1);
  EXPECT_EQ(bootstrap_ratio_interval(none, none).high, 0);
  EXPECT_TRUE(std::isinf(bootstrap_ratio_interval(one, none).high));
}

}  // namespace
}  // namespace nibble::eval
