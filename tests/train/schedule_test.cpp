#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "train/trainer.h"

namespace nibble::train {
namespace {

// Steps are counted at their middles: the first of 100 stands at 0.005.
TEST(Schedule, RisesEvenlyThenFallsAsHalfACosine) {
  EXPECT_DOUBLE_EQ(learning_rate_share(0, 100, 0.1, Schedule::kCosine), 0.05);
  EXPECT_DOUBLE_EQ(learning_rate_share(5, 100, 0.1, Schedule::kCosine), 0.55);
  EXPECT_DOUBLE_EQ(learning_rate_share(9, 100, 0.1, Schedule::kCosine), 0.95);
  for (const int64_t step : {10, 40, 77, 99}) {
    const double rest = ((static_cast<double>(step) + 0.5) / 100 - 0.1) / 0.9;
    EXPECT_NEAR(learning_rate_share(step, 100, 0.1, Schedule::kCosine), 0.5 * (1 + std::cos(std::numbers::pi * rest)),
                1e-15);
  }
  for (int64_t step = 10; step < 99; ++step)
    EXPECT_GT(learning_rate_share(step, 100, 0.1, Schedule::kCosine),
              learning_rate_share(step + 1, 100, 0.1, Schedule::kCosine));
}

TEST(Schedule, TakesAnyShareOfWarmUp) {
  for (const double warm_up : {0.0, 0.05, 0.5, 0.999999, 1.0})
    for (const int64_t steps : {int64_t{0}, int64_t{1}, int64_t{2}, int64_t{1000}})
      for (int64_t step = 0; step <= steps; ++step) {
        const double share = learning_rate_share(step, steps, warm_up, Schedule::kCosine);
        EXPECT_TRUE(share >= 0 && share <= 1) << warm_up << " " << step << " of " << steps << ": " << share;
      }
  EXPECT_DOUBLE_EQ(learning_rate_share(0, 1, 0, Schedule::kCosine), 0.5);
  EXPECT_GT(learning_rate_share(0, 1000, 0, Schedule::kCosine), 0.999);
  EXPECT_LT(learning_rate_share(999, 1000, 0.05, Schedule::kCosine), 1e-5);
}

TEST(Schedule, StaysWhereItIsAskedTo) {
  EXPECT_DOUBLE_EQ(learning_rate_share(0, 100, 0.1, Schedule::kConstant), 0.05);
  for (const int64_t step : {10, 50, 99}) EXPECT_EQ(learning_rate_share(step, 100, 0.1, Schedule::kConstant), 1);
}

TEST(Schedule, RegularisationRisesFromAShareToTheEnd) {
  EXPECT_EQ(rising_share(0, 100, 0.25), 0);
  EXPECT_EQ(rising_share(25, 100, 0.25), 0);
  EXPECT_GT(rising_share(26, 100, 0.25), 0);
  EXPECT_NEAR(rising_share(625, 1000, 0.25), 0.5, 1e-15);
  EXPECT_DOUBLE_EQ(rising_share(100, 100, 0.25), 1);
  EXPECT_EQ(rising_share(0, 0, 0), 0);
}

using Bits = std::vector<std::array<int64_t, 4>>;
Bits stages(Gradual gradual, int64_t epochs, double share, bool activations = true, bool quantize = true) {
  Options o;
  o.gradual = gradual;
  o.epochs = epochs;
  o.gradual_share = share;
  o.quantize = quantize;
  Bits all;
  for (const Stage& s : stages_of(o, activations))
    all.push_back({s.first_epoch, s.weight_bits, s.activation_bits, s.last});
  return all;
}

TEST(Schedule, StagesEndWithTheBitsThatAreAskedFor) {
  EXPECT_EQ(stages(Gradual::kNone, 8, 0.25), (Bits{{0, 0, 0, 1}}));
  EXPECT_EQ(stages(Gradual::kActivations, 8, 0.25), (Bits{{0, 0, 16, 0}, {2, 0, 0, 1}}));
  EXPECT_EQ(stages(Gradual::kBits, 8, 0.25), (Bits{{0, 8, 8, 0}, {2, 0, 0, 1}}));
  EXPECT_EQ(stages(Gradual::kFloat, 8, 0.5), (Bits{{0, 16, 16, 0}, {4, 0, 0, 1}}));
  EXPECT_EQ(stages(Gradual::kFloat, 8, 0.5, true, false), (Bits{{0, 16, 16, 1}}));
  // Floats stay floats: there is nothing to come later.
  EXPECT_EQ(stages(Gradual::kActivations, 8, 0.25, false), (Bits{{0, 0, 0, 1}}));
}

TEST(Schedule, TheLastStageAlwaysHasAnEpoch) {
  for (const Gradual g : {Gradual::kActivations, Gradual::kBits, Gradual::kFloat})
    for (const int64_t epochs : {1, 2, 3, 10})
      for (const double share : {0.001, 0.25, 0.5, 0.75, 0.999}) {
        const auto all = stages(g, epochs, share);
        EXPECT_EQ(all.front()[0], 0);
        EXPECT_EQ(all.back()[3], 1);
        EXPECT_LT(all.back()[0], epochs) << epochs << " epochs, a share of " << share;
        EXPECT_EQ(all.size(), epochs == 1 ? 1u : 2u);
      }
}

}  // namespace
}  // namespace nibble::train
