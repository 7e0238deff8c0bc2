#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fit/oracle.h"

namespace nibble::fit {
namespace {

/// TensorRT's published procedure, array by array; n with an empty last bin have no finite divergence.
int brute_force_bins(const std::vector<float>& values, size_t levels) {
  constexpr size_t kBins = 2048;
  double largest = 0.0;
  for (const float v : values) largest = std::max(largest, std::fabs(double{v}));
  std::vector<double> histogram(kBins, 0.0);
  for (const float v : values)
    if (v != 0.0f) histogram[std::min(kBins - 1, static_cast<size_t>(std::fabs(double{v}) / largest * kBins))] += 1;
  int best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (size_t n = levels; n <= kBins; ++n) {
    std::vector<double> p(histogram.begin(), histogram.begin() + static_cast<std::ptrdiff_t>(n)), q(n, 0.0);
    std::vector<double> sum(levels, 0.0), used(levels, 0.0);
    for (size_t k = 0; k < n; ++k)
      if (p[k] > 0) sum[k * levels / n] += p[k], used[k * levels / n] += 1;
    for (size_t k = 0; k < n; ++k)
      if (p[k] > 0) q[k] = sum[k * levels / n] / used[k * levels / n];
    for (size_t k = n; k < kBins; ++k) p[n - 1] += histogram[k];
    double p_sum = 0.0, q_sum = 0.0, divergence = 0.0;
    for (size_t k = 0; k < n; ++k) p_sum += p[k], q_sum += q[k];
    if (!(q_sum > 0)) continue;
    for (size_t k = 0; k < n; ++k) {
      if (p[k] == 0) continue;
      divergence += q[k] > 0 ? p[k] / p_sum * std::log(p[k] / p_sum / (q[k] / q_sum)) : 1e300;
    }
    if (divergence > least + 1e-12) continue;
    least = divergence;
    best = static_cast<int>(n);
  }
  return best;
}

double largest_of(const std::vector<float>& values) {
  double largest = 0.0;
  for (const float v : values) largest = std::max(largest, std::fabs(double{v}));
  return largest;
}

TEST(Entropy, IsTheLeastDivergenceOfThePublishedProcedure) {
  int cut = 0;
  for (const test::Kind kind : {test::Kind::kNormal, test::Kind::kHeavyTail})
    for (const size_t count : {40, 3000}) {
      std::vector<float> values = test::sample(kind, count, count);
      const Grid grid = make_grid(*codec::find_format("int8"), Map::kRestricted, ScaleType::kF32);
      const Grid narrow = make_grid(*codec::find_format("int4"), Map::kRestricted, ScaleType::kF32);
      const Grid half = make_grid(*codec::find_format("uint4"), Map::kAffine, ScaleType::kF32);
      const ClipRule& rule = *find_clip_rule("entropy");
      const double largest = largest_of(values);
      const auto limit = [&](size_t levels) { return largest * brute_force_bins(values, levels) / 2048; };
      EXPECT_NEAR(127 * double{rule.choose({values, {}}, grid).scale}, limit(128), 1e-6 * largest);
      EXPECT_NEAR(7 * double{rule.choose({values, {}}, narrow).scale}, limit(8), 1e-6 * largest);
      cut += limit(8) < largest;
      for (float& v : values) v = std::fabs(v);
      EXPECT_NEAR(15 * double{rule.choose({values, {}}, half).scale}, limit(16), 1e-6 * largest);
    }
  EXPECT_GT(cut, 0) << "nothing was clipped, so nothing was compared";
}

TEST(Entropy, CountsWeights) {
  const std::vector<float> values = {0.1f, -0.2f, 0.3f, 0.4f, 5.0f}, weights = {3, 2, 2, 1, 1};
  const std::vector<float> repeated = {0.1f, 0.1f, 0.1f, -0.2f, -0.2f, 0.3f, 0.3f, 0.4f, 5.0f};
  const Grid grid = make_grid(*codec::find_format("int4"), Map::kSymmetric);
  EXPECT_EQ(find_clip_rule("entropy")->choose({values, weights}, grid),
            find_clip_rule("entropy")->choose({repeated, {}}, grid));
}

}  // namespace
}  // namespace nibble::fit
