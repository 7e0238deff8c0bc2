#include "support/compare.h"

namespace nibble::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
using Floats = std::vector<float>;

TEST(EqualBits, TellsApartWhatFloatComparisonDoesNot) {
  EXPECT_TRUE(equal_bits(Floats{1, kNan, -0.0f}, Floats{1, kNan, -0.0f}));
  EXPECT_FALSE(equal_bits(Floats{0.0f}, Floats{-0.0f}));
  EXPECT_FALSE(equal_bits(Floats{1.0f}, Floats{std::nextafter(1.0f, 2.0f)}));
  EXPECT_FALSE(equal_bits(Floats{kNan}, Floats{-kNan}));
  EXPECT_FALSE(equal_bits(Floats{1, 2}, Floats{1, 2, 3}));
}

TEST(NearLargest, MeasuresAgainstTheLargestWantedValue) {
  EXPECT_TRUE(near_largest(Floats{100.0f, 0.5f}, Floats{100.0f, 0.0f}, 0.005));
  EXPECT_FALSE(near_largest(Floats{100.0f, 0.51f}, Floats{100.0f, 0.0f}, 0.005));
  EXPECT_FALSE(near_largest(Floats{1e-30f}, Floats{0.0f}, 0.5)) << "nothing is near to all zeros but zeros";
  EXPECT_TRUE(near_largest(Floats{0.0f, 0.0f}, Floats{0.0f, 0.0f}, 0.0));
}

TEST(NearLargest, FailsOnNanAgainstANumberEitherWay) {
  EXPECT_FALSE(near_largest(Floats{kNan, 1}, Floats{0, 1}, 1e9));
  EXPECT_FALSE(near_largest(Floats{0, 1}, Floats{kNan, 1}, 1e9));
  EXPECT_TRUE(near_largest(Floats{kNan, 1}, Floats{kNan, 1}, 0.0));
}

TEST(NearLargest, FailsOnInfinityOfTheWrongSignOrPlace) {
  EXPECT_FALSE(near_largest(Floats{kInf}, Floats{-kInf}, 1e9));
  EXPECT_FALSE(near_largest(Floats{kInf}, Floats{3e38f}, 1e9));
  EXPECT_FALSE(near_largest(Floats{3e38f}, Floats{kInf}, 1e9));
  EXPECT_FALSE(near_largest(Floats{kInf}, Floats{kNan}, 1e9));
  EXPECT_TRUE(near_largest(Floats{kInf, 1}, Floats{kInf, 1}, 0.0));
}

TEST(NearLargest, SeesTheSignOfZeroWhereAsked) {
  EXPECT_TRUE(near_largest(Floats{-0.0f, 1}, Floats{0.0f, 1}, 0.0));
  EXPECT_FALSE(near_largest(Floats{-0.0f, 1}, Floats{0.0f, 1}, 0.0, ZeroSign::kMatters));
}

struct FakeTensor {
  std::vector<int64_t> dims;
  Floats numbers;
  const std::vector<int64_t>& shape() const { return dims; }
  template <typename T>
  std::span<const T> values() const {
    return numbers;
  }
};

TEST(Comparators, FailOnAnotherShapeOfTheSameNumbers) {
  const FakeTensor row{{1, 4}, {1, 2, 3, 4}}, square{{2, 2}, {1, 2, 3, 4}};
  EXPECT_TRUE(near_largest(row, row, 0.0));
  EXPECT_FALSE(near_largest(row, square, 1.0));
  EXPECT_FALSE(equal_bits(row, square));
  EXPECT_FALSE(within_ulps(row, square, 100));
}

TEST(WithinUlps, CountsFloatsAcrossZero) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_TRUE(within_ulps(Floats{tiny}, Floats{-tiny}, 2));
  EXPECT_FALSE(within_ulps(Floats{tiny}, Floats{-tiny}, 1));
  EXPECT_TRUE(within_ulps(Floats{1.0f}, Floats{std::nextafter(1.0f, 0.0f)}, 1));
  EXPECT_FALSE(within_ulps(Floats{1.0f}, Floats{std::nextafter(1.0f, 0.0f)}, 0));
  EXPECT_FALSE(within_ulps(Floats{kNan}, Floats{1.0f}, INT64_MAX / 4));
  EXPECT_FALSE(within_ulps(Floats{kInf}, Floats{std::numeric_limits<float>::max()}, 5)) << "infinity is not one away";
  EXPECT_FALSE(within_ulps(Floats{0.0f}, Floats{-0.0f}, 0, ZeroSign::kMatters));
}

}  // namespace
}  // namespace nibble::test
