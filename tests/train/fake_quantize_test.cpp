// Fake quantization: its forward is the number format's own, its gradients are those of the surrogate in which rounding
// adds a constant.
#include "train/fake_quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.h"
#include "codec/format.h"
#include "support/compare.h"

namespace nibble::train {
namespace {

constexpr size_t kLengths[] = {0, 1, 15, 16, 17, 1023, 1025, 5000};

struct Grid {
  const char* name;
  ActivationGrid grid;
};
/// Grids of signed and unsigned codes, with the zero point inside and at both ends.
const Grid kGrids[] = {
    {"uint4", {.scale = 0.25f, .zero = 0, .lowest = 0, .highest = 15}},
    {"uint4", {.scale = 0.3f, .zero = 7, .lowest = 0, .highest = 15}},
    {"uint4", {.scale = 0.3f, .zero = 15, .lowest = 0, .highest = 15}},
    {"int4", {.scale = 0.17f, .zero = 0, .lowest = -8, .highest = 7}},
    {"int4", {.scale = 1.7f, .zero = -8, .lowest = -8, .highest = 7}},
    {"uint8", {.scale = 0.013f, .zero = 131, .lowest = 0, .highest = 255}},
    {"int8", {.scale = 0.021f, .zero = -3, .lowest = -128, .highest = 127}},
};

/// Numbers over the range and half as much again on either side; every fifth lies on a level or on a tie.
std::vector<float> numbers(size_t count, const ActivationGrid& g) {
  base::Random random(count + 17);
  const double levels = g.highest - g.lowest;
  std::vector<float> x(count);
  for (size_t i = 0; i < count; ++i) {
    double v = g.lowest - g.zero + levels * (2 * random.uniform() - 0.5);
    if (i % 5 == 0) v = std::round(2 * v) / 2;
    x[i] = static_cast<float>(v * double{g.scale});
  }
  return x;
}

/// The same, none within a hundredth of a step of where clipping begins: there the surrogate has a kink.
std::vector<float> numbers_off_the_ends(size_t count, const ActivationGrid& g) {
  std::vector<float> x = numbers(count, g);
  for (float& v : x)
    for (const int end : {g.lowest - g.zero, g.highest - g.zero})
      if (std::fabs(double{v} / double{g.scale} - end) < 0.01) v += 0.02f * g.scale;
  return x;
}

TEST(FakeQuantize, ForwardIsTheNumberFormats) {
  for (const Grid& g : kGrids)
    for (const size_t count : kLengths) {
      const codec::NumberFormat& format = *codec::find_format(g.name);
      ASSERT_EQ(format.lowest_code, g.grid.lowest);
      ASSERT_EQ(format.highest_code(), g.grid.highest);
      const codec::GroupParams params{g.grid.scale, g.grid.zero, 0.0f};
      const std::vector<float> x = numbers(count, g.grid);
      std::vector<float> want(count), got(count);
      for (size_t i = 0; i < count; ++i) want[i] = format.decode(format.quantize(x[i], params), params);
      fake_quantize(x, got, g.grid);
      EXPECT_TRUE(test::equal_bits(got, want)) << g.name << " at " << g.grid.zero << ", " << count << " numbers";
      std::vector<float> same = x;
      fake_quantize(same, same, g.grid);
      EXPECT_TRUE(test::equal_bits(same, want));
    }
}

TEST(FakeQuantize, NanPassesAndInfinityIsClipped) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const ActivationGrid grid{.scale = 0.5f, .zero = 3};
  const std::vector<float> x{std::nanf(""), kInfinity, -kInfinity, 1.1f};
  std::vector<float> y(4);
  fake_quantize(x, y, grid);
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], 6.0f);
  EXPECT_EQ(y[2], -1.5f);
  EXPECT_EQ(y[3], 1.0f);
}

/// The surrogate of one number in double: the clipped quotient plus a residual that is held, times the scale (LSQ), or
/// the clipped number plus a residual that is held (PACT).
struct Surrogate {
  double low, high, residual;
  bool scaled;
  double operator()(double x, double scale, double zero) const {
    const double c = std::clamp(x / scale, low - zero, high - zero);
    return scaled ? scale * (c + residual) : scale * c + residual;
  }
};

// The surrogate is linear in x, scale and zero point near every number that is used, so that central differences in
// double are exact but for rounding; what is compared with them is summed in float, 64 terms a lane at most.
TEST(FakeQuantize, GradientsAreTheSurrogates) {
  for (const GridRule rule : {GridRule::kLsq, GridRule::kPact, GridRule::kSte})
    for (const Grid& g : kGrids)
      for (const size_t count : kLengths) {
        ActivationGrid grid = g.grid;
        grid.rule = rule;
        const std::vector<float> x = numbers_off_the_ends(count, grid);
        std::vector<float> gy(count), gx(count);
        base::Random random(3);
        for (float& v : gy) v = static_cast<float>(random.normal());
        const GridGradient found = fake_quantize_backward(x, gy, gx, grid);
        const double s = double{grid.scale}, z = grid.zero, h = 1e-3;
        double scale = 0, zero = 0, scale_terms = 0, zero_terms = 0;
        for (size_t i = 0; i < count; ++i) {
          const double v = double{x[i]} / s, c = std::clamp(v, grid.lowest - z, grid.highest - z);
          // A quotient near a tie is rounded as the forward computes it, in single precision.
          const float quotient = std::clamp(x[i] / grid.scale, static_cast<float>(grid.lowest - grid.zero),
                                            static_cast<float>(grid.highest - grid.zero));
          const double residual = double{std::nearbyint(quotient)} - c;
          const bool scaled = rule != GridRule::kPact;
          const Surrogate f{double(grid.lowest), double(grid.highest), scaled ? residual : s * residual, scaled};
          const double weight = double{gy[i]}, at = double{x[i]}, step = h * s;
          const double slope = (f(at + step, s, z) - f(at - step, s, z)) / (2 * step);
          EXPECT_NEAR(double{gx[i]}, weight * slope, 1e-9 * std::fabs(weight)) << g.name << ", number " << at;
          const double t = 1e-5 * s;  // moves the quotient by 1e-5 of itself: less than a hundredth
          scale += weight * (f(at, s + t, z) - f(at, s - t, z)) / (2 * t);
          zero += weight * (f(at, s, z + h) - f(at, s, z - h)) / (2 * h);
          scale_terms += std::fabs(weight) * std::max(1.0, std::fabs(v));
          zero_terms += std::fabs(weight) * s;
        }
        constexpr double kRounding = (64 + 8) * 0x1p-24;
        if (rule == GridRule::kSte) scale = zero = 0;
        EXPECT_NEAR(found.scale, scale, kRounding * scale_terms) << g.name << ", " << count << " numbers";
        EXPECT_NEAR(found.zero, zero, kRounding * zero_terms) << g.name << ", " << count << " numbers";
        std::vector<float> same = gy;
        const GridGradient again = fake_quantize_backward(x, same, same, grid);
        EXPECT_TRUE(test::equal_bits(same, gx));
        EXPECT_EQ(again.scale, found.scale);
        EXPECT_EQ(again.zero, found.zero);
      }
}

TEST(FakeQuantize, BothEndsAreClippedInTheseTests) {
  for (const Grid& g : kGrids) {
    int below = 0, above = 0, inside = 0;
    for (const float x : numbers_off_the_ends(1023, g.grid)) {
      const float v = x / g.grid.scale;
      (v < static_cast<float>(g.grid.lowest - g.grid.zero)    ? below
       : v > static_cast<float>(g.grid.highest - g.grid.zero) ? above
                                                              : inside)++;
    }
    EXPECT_GT(std::min({below, above, inside}), 100) << g.name;
  }
}

}  // namespace
}  // namespace nibble::train
