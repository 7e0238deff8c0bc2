#include "base/random.h"

#include <gtest/gtest.h>

#include <vector>

namespace nibble::base {
namespace {

TEST(Random, NumbersArePureFunctionsOfSeedStreamAndIndex) {
  Random a(5, 2);
  const uint64_t first = a.next(), second = a.next();
  const Random b(5, 2);
  EXPECT_EQ(b.bits(1), second);
  EXPECT_EQ(b.bits(0), first);
  EXPECT_NE(Random(5, 3).bits(0), first);
  EXPECT_NE(Random(6, 2).bits(0), first);
}

TEST(Random, UniformStaysInItsIntervalWithTheRightMean) {
  Random r(1);
  double sum = 0, squares = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double u = r.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
  }
  // Five standard errors: sqrt(1/12/n) and sqrt(4/45/n).
  EXPECT_NEAR(sum / kCount, 0.5, 5 * std::sqrt(1.0 / 12 / kCount));
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kCount));
}

TEST(Random, BelowReachesEveryValueAndNoOther) {
  Random r(2);
  std::vector<int> seen(7);
  for (int i = 0; i < 7000; ++i) ++seen.at(static_cast<size_t>(r.below(7)));
  for (const int count : seen) EXPECT_NEAR(count, 1000, 5 * std::sqrt(7000.0 * 6 / 49));
}

TEST(Random, NormalHasUnitVariance) {
  Random r(3);
  constexpr int kCount = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double x = r.normal();
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 5 / std::sqrt(double{kCount}));
  EXPECT_NEAR(squares / kCount, 1.0, 5 * std::sqrt(2.0 / kCount));
}

}  // namespace
}  // namespace nibble::base
