#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fit/oracle.h"

namespace nibble::fit {
namespace {

/// A grid whose scale is a seventh of the limit, kept as a float.
Grid signed_grid() { return make_grid(*codec::find_format("int4"), Map::kRestricted, ScaleType::kF32); }

double limit_of(const std::vector<float>& values, const std::vector<float>& weights = {}) {
  return 7.0 * double{find_clip_rule("octav")->choose({values, weights}, signed_grid()).scale};
}

/// The paper's objective, equation by equation.
double cost(const std::vector<float>& values, double c) {
  double sum = 0.0;
  for (const float v : values) {
    const double x = std::fabs(double{v});
    if (x > c) sum += (x - c) * (x - c);
    if (x > 0.0 && x <= c) sum += c * c / 768;
  }
  return sum;
}

/// The paper's fixed point, iterated from 3 standard deviations.
double iterated(const std::vector<float>& values) {
  double square = 0.0;
  for (const float v : values) square += double{v} * double{v};
  double c = 3 * std::sqrt(square / static_cast<double>(values.size()));
  for (int i = 0; i < 200; ++i) {
    double above = 0.0, outside = 0.0, inside = 0.0;
    for (const float v : values) {
      const double x = std::fabs(double{v});
      if (x > c) above += x, outside += 1;
      if (x > 0.0 && x <= c) inside += 1;
    }
    c = above / (inside / 768 + outside);
  }
  return c;
}

double bisected(double low, double high, const std::function<double(double)>& falls) {
  for (int i = 0; i < 200; ++i) (falls((low + high) / 2) > 0 ? low : high) = (low + high) / 2;
  return low;
}

TEST(Octav, IsTheLeastOfItsObjective) {
  for (const test::Kind kind : test::kKinds)
    for (const size_t count : {5, 32, 200}) {
      const std::vector<float> values = test::sample(kind, count, count + 1);
      float largest = 0.0f;
      for (const float v : values) largest = std::max(largest, std::fabs(v));
      const double found = cost(values, limit_of(values));
      for (int i = 1; i <= 4000; ++i) {
        const double c = double{largest} * i / 4000;
        // The least may lie just below a value, where the limit as a float is just above: no more than that value's
        // noise.
        ASSERT_LE(found, cost(values, c) + largest * double{largest} / 768 + 1e-12)
            << static_cast<int>(kind) << " at " << c;
      }
    }
}

TEST(Octav, SolvesTheFixedPointOnLargeSamples) {
  for (const test::Kind kind : {test::Kind::kNormal, test::Kind::kHeavyTail}) {
    const std::vector<float> values = test::sample(kind, 20000, 3);
    const double c = limit_of(values), fixed = iterated(values);
    EXPECT_LE(cost(values, c), cost(values, fixed) * (1 + 1e-5));
    EXPECT_NEAR(c, fixed, 0.01 * fixed) << static_cast<int>(kind);
  }
}

/// 20,000 quantiles of a density, so that the known optimum is met to within the width of the tail's bins.
TEST(Octav, MeetsTheOptimumOfKnownDensities) {
  constexpr int kCount = 20000;
  std::vector<float> laplace, gauss;
  for (int i = 0; i < kCount; ++i) {
    const double p = (i + 0.5) / kCount;  // of |x|
    laplace.push_back(static_cast<float>((i % 2 ? 1 : -1) * -std::log(1 - p)));
    gauss.push_back(static_cast<float>((i % 2 ? 1 : -1) *
                                       bisected(0, 10, [&](double x) { return p - std::erf(x / std::sqrt(2.0)); })));
  }
  // J' = 0: c P(inside) / 768 = E[(|X| - c); outside]; Laplace with b = 1: c (1 - e^-c) / 768 = e^-c.
  const double wanted_laplace = bisected(0.1, 20, [](double c) { return std::exp(-c) - c * (1 - std::exp(-c)) / 768; });
  const double wanted_gauss = bisected(0.1, 20, [](double c) {
    const double density = std::exp(-c * c / 2) / std::sqrt(2 * M_PI), tail = std::erfc(c / std::sqrt(2.0)) / 2;
    return 2 * (density - c * tail) - c * (1 - 2 * tail) / 768;
  });
  EXPECT_NEAR(wanted_laplace, 5.04, 0.01);
  EXPECT_NEAR(wanted_gauss, 2.56, 0.01);
  EXPECT_NEAR(limit_of(laplace), wanted_laplace, 0.005 * wanted_laplace);
  EXPECT_NEAR(limit_of(gauss), wanted_gauss, 0.005 * wanted_gauss);
}

TEST(Octav, CountsWeights) {
  const std::vector<float> values = {0.1f, -0.2f, 0.3f, 0.4f, 5.0f}, weights = {3, 2, 2, 1, 1};
  const std::vector<float> repeated = {0.1f, 0.1f, 0.1f, -0.2f, -0.2f, 0.3f, 0.3f, 0.4f, 5.0f};
  EXPECT_EQ(limit_of(values, weights), limit_of(repeated));
}

TEST(Octav, LeavesZerosOutWhereZeroIsALevel) {
  std::vector<float> values = test::sample(test::Kind::kHeavyTail, 300, 8);
  const double without = limit_of(values);
  values.insert(values.end(), 700, 0.0f);
  EXPECT_EQ(limit_of(values), without);
}

/// Behind a Relu the paper's unsigned form holds: 4^-B / 12 in the place of 4^-B / 3.
TEST(Octav, HasTheUnsignedFormForOneSidedData) {
  std::vector<float> values = test::sample(test::Kind::kHeavyTail, 500, 6);
  for (float& v : values) v = std::fabs(v);
  const Grid grid = make_grid(*codec::find_format("uint4"), Map::kAffine, ScaleType::kF32);
  const GroupParams p = find_clip_rule("octav")->choose({values, {}}, grid);
  EXPECT_EQ(p.zero, 0);
  const auto unsigned_cost = [&](double c) {
    double sum = 0.0;
    for (const float x : values) sum += x > c ? (x - c) * (x - c) : c * c / 3072;
    return sum;
  };
  const double found = unsigned_cost(15.0 * double{p.scale});
  for (int i = 1; i <= 1000; ++i) EXPECT_LE(found, unsigned_cost(0.02 * i) * (1 + 1e-3)) << i;
}

}  // namespace
}  // namespace nibble::fit
