#include "base/checked.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/error.h"

namespace nibble::base {
namespace {

TEST(Checked, MultiplicationRefusesWhatDoesNotFit) {
  EXPECT_EQ(checked_mul(3, 4), 12);
  EXPECT_EQ(checked_mul(INT64_MAX, 1), INT64_MAX);
  EXPECT_EQ(checked_mul(int64_t{1} << 32, int64_t{1} << 31), std::nullopt);
  EXPECT_EQ(checked_mul(INT64_MIN, -1), std::nullopt);
}

TEST(Checked, AdditionRefusesWhatDoesNotFit) {
  EXPECT_EQ(checked_add(INT64_MAX - 1, 1), INT64_MAX);
  EXPECT_EQ(checked_add(INT64_MAX, 1), std::nullopt);
  EXPECT_EQ(checked_add(INT64_MIN, -1), std::nullopt);
}

TEST(Checked, ProductOfNoDimensionsIsOne) { EXPECT_EQ(checked_product({}, "t"), 1); }

TEST(Checked, ProductStopsAtTheLimitAndAtNegativeDimensions) {
  const auto product = [](std::vector<int64_t> dims, int64_t limit) { return checked_product(dims, "t", limit); };
  EXPECT_EQ(product({4, 5, 6}, 120), 120);
  EXPECT_THROW(product({4, 5, 6}, 119), Error);
  EXPECT_THROW(product({-1}, 100), Error);
  EXPECT_THROW(product({int64_t{1} << 33, int64_t{1} << 33}, INT64_MAX), Error) << "the product wraps to 4";
}

TEST(Checked, AZeroDimensionEmptiesEvenAnOverflowingProduct) {
  const std::array<int64_t, 3> dims = {INT64_MAX, INT64_MAX, 0};
  EXPECT_EQ(checked_product(dims, "t"), 0);
  const std::array<int64_t, 2> negative = {0, -5};
  EXPECT_THROW(checked_product(negative, "t"), Error);
}

}  // namespace
}  // namespace nibble::base
