// Drawing tokens: each option does what it says, and nothing else.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/error.h"
#include "generate/sampling.h"

namespace nibble::generate {
namespace {

SamplingOptions plain() { return {.top_k = 0, .top_p = 1, .min_p = 0, .temperature = 1}; }

std::map<int32_t, double> shares(const SamplingOptions& options, const std::vector<float>& logits,
                                 const std::vector<int32_t>& history = {}) {
  Sampler sampler(options);
  std::map<int32_t, double> counts;
  constexpr int kDraws = 40000;
  for (int i = 0; i < kDraws; ++i) counts[sampler.next(logits, history)] += 1.0 / kDraws;
  return counts;
}

TEST(Sampling, TokensComeAsOftenAsTheirProbability) {
  const std::vector<float> logits = {1, 0, -1, 2};
  double sum = 0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v));
  auto found = shares(plain(), logits);
  for (int32_t i = 0; i < 4; ++i)  // five standard deviations of 40,000 draws at most
    EXPECT_NEAR(found[i], std::exp(static_cast<double>(logits[static_cast<size_t>(i)])) / sum,
                5 * 0.5 / std::sqrt(40000.0));
}

TEST(Sampling, GreedyTakesTheLikeliestAndTheLowestOfEquals) {
  SamplingOptions o = plain();
  o.temperature = 0;
  EXPECT_EQ(Sampler(o).next(std::vector<float>{0, 3, 3, 1}, {}), 1);
}

TEST(Sampling, TopKTopPAndMinPLeaveOutTheUnlikely) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  SamplingOptions o = plain();
  o.top_k = 2;
  EXPECT_EQ(shares(o, logits).size(), 2u);
  o = plain();
  o.top_p = 0.79f;  // 0.5 + 0.3 reach it
  EXPECT_EQ(shares(o, logits).size(), 2u);
  o.top_p = 0.81f;
  EXPECT_EQ(shares(o, logits).size(), 3u);
  o = plain();
  o.min_p = 0.2f;  // of 0.5: at least 0.1
  EXPECT_EQ(shares(o, logits).size(), 3u);
}

TEST(Sampling, TemperatureFlattensAndSharpens) {
  SamplingOptions o = plain();
  o.temperature = 2;
  auto found = shares(o, {std::log(0.8f), std::log(0.2f)});  // sqrt(0.8) : sqrt(0.2) = 2 : 1
  EXPECT_NEAR(found[0], 2.0 / 3, 0.0125);
}

TEST(Sampling, RepetitionPenaltyReachesTheWindowOnly) {
  SamplingOptions o = plain();
  o.temperature = 0;
  o.repetition_penalty = 4;
  o.penalty_window = 2;
  EXPECT_EQ(Sampler(o).next(std::vector<float>{3, 2, 1}, std::vector<int32_t>{0}), 1);
  EXPECT_EQ(Sampler(o).next(std::vector<float>{3, 2, 1}, std::vector<int32_t>{0, 2, 2}),
            0);  // 0 lies before the window
  EXPECT_EQ(Sampler(o).next(std::vector<float>{-1, -2, -9}, std::vector<int32_t>{0}),
            1);  // a negative logit is multiplied
}

TEST(Sampling, TheSeedDecides) {
  const std::vector<float> logits(100, 0.0f);
  const auto draw = [&](uint64_t seed, uint64_t stream) {
    SamplingOptions o = plain();
    o.seed = seed;
    Sampler s(o, stream);
    std::vector<int32_t> tokens;
    for (int i = 0; i < 20; ++i) tokens.push_back(s.next(logits, {}));
    return tokens;
  };
  EXPECT_EQ(draw(1, 0), draw(1, 0));
  EXPECT_NE(draw(1, 0), draw(2, 0));
  EXPECT_NE(draw(1, 0), draw(1, 1));
}

TEST(Sampling, RefusesWhatMakesNoSense) {
  for (const auto& change : std::vector<void (*)(SamplingOptions&)>{
           [](auto& o) { o.temperature = -1; }, [](auto& o) { o.top_p = 0; }, [](auto& o) { o.top_k = -1; },
           [](auto& o) { o.min_p = 2; }, [](auto& o) { o.repetition_penalty = 0; },
           [](auto& o) { o.temperature = NAN; }}) {
    SamplingOptions o;
    change(o);
    EXPECT_THROW(require_valid(o), base::Error);
  }
}

}  // namespace
}  // namespace nibble::generate
