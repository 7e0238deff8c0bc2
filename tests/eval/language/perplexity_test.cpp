// Perplexity and divergence against their definitions, on a model of random weights.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "arch/architecture.h"
#include "base/error.h"
#include "base/random.h"
#include "eval/language/perplexity.h"

namespace nibble::eval {
namespace {

using tensor::DType;
using tensor::Tensor;

constexpr int64_t kVocabulary = 11;

arch::Model small_model(uint64_t seed) {
  arch::Hyperparameters h;
  h.context = 64;
  h.embedding = 8;
  h.layers = 1;
  h.feed_forward = 16;
  h.vocabulary = kVocabulary;
  h.heads = 2;
  h.kv_heads = 1;
  h.head_size = 4;
  h.norm_epsilon = 1e-5;
  h.rope.dimensions = 4;
  arch::NamedTensors tensors;
  base::Random random(seed);
  const auto add = [&](const char* name, tensor::Shape shape) {
    Tensor t(DType::f32, std::move(shape));
    for (float& v : t.mutable_values<float>()) v = static_cast<float>(random.normal());
    tensors.emplace_back(name, t);
  };
  add("token_embd.weight", {kVocabulary, 8});
  add("output_norm.weight", {8});
  add("output.weight", {kVocabulary, 8});
  add("blk.0.attn_norm.weight", {8});
  add("blk.0.attn_q.weight", {8, 8});
  add("blk.0.attn_k.weight", {4, 8});
  add("blk.0.attn_v.weight", {4, 8});
  add("blk.0.attn_output.weight", {8, 8});
  add("blk.0.ffn_norm.weight", {8});
  add("blk.0.ffn_gate.weight", {16, 8});
  add("blk.0.ffn_up.weight", {16, 8});
  add("blk.0.ffn_down.weight", {8, 16});
  std::vector<std::string> notes;
  return arch::build(*arch::find_architecture("llama"), h, arch::Source::kGguf, tensors, "model", notes);
}

std::vector<int32_t> text(size_t length) {
  std::vector<int32_t> tokens(length);
  base::Random random(5);
  for (int32_t& t : tokens) t = static_cast<int32_t>(random.below(kVocabulary));
  return tokens;
}

/// log p of every token of the vocabulary after each token of a window.
std::vector<std::vector<double>> log_probabilities(generate::LanguageSession& session,
                                                   const std::vector<int32_t>& window) {
  std::vector<generate::Place> places;
  std::vector<int64_t> rows(window.size());
  std::iota(rows.begin(), rows.end(), 0);
  for (const int32_t t : window) places.push_back({t, 0});
  session.forget_all();
  const Tensor logits = session.run(places, rows);
  std::vector<std::vector<double>> all;
  for (size_t r = 0; r < window.size(); ++r) {
    std::vector<double> row;
    double sum = 0;
    for (size_t v = 0; v < kVocabulary; ++v) {
      row.push_back(static_cast<double>(logits.values<float>()[r * kVocabulary + v]));
      sum += std::exp(row.back());
    }
    for (double& v : row) v -= std::log(sum);
    all.push_back(row);
  }
  return all;
}

struct Perplexity : testing::Test {
  base::ThreadPool pool{2};
  base::NoProgress progress;
  arch::Model model = small_model(1), other = small_model(2);
  generate::LanguageSession session{model, codec::Activations::kFloat, pool, {}},
      base{other, codec::Activations::kFloat, pool, {}};
};

TEST_F(Perplexity, SecondHalvesOfWindowsThatBeginWithBos) {
  const auto tokens = text(37);  // two windows of 16, five tokens dropped
  PerplexityOptions options{16, 0, 0, 1};
  const PerplexityResult r = measure_perplexity(session, nullptr, tokens, options, pool, progress);
  double sum = 0, squares = 0;
  int64_t count = 0;
  for (size_t w = 0; w < 2; ++w) {
    std::vector<int32_t> window(tokens.begin() + static_cast<ptrdiff_t>(16 * w),
                                tokens.begin() + static_cast<ptrdiff_t>(16 * w + 16));
    const auto original = window;
    window[0] = 1;
    const auto p = log_probabilities(session, window);
    for (size_t t = 8; t <= 14; ++t, ++count) {
      const double loss = -p[t][static_cast<size_t>(original[t + 1])];
      sum += loss;
      squares += loss * loss;
    }
  }
  EXPECT_EQ(r.windows, 2);
  EXPECT_EQ(r.scored, count);
  EXPECT_EQ(r.scored, 14);
  const double mean = sum / 14;
  EXPECT_NEAR(r.perplexity(), std::exp(mean), 1e-4);
  EXPECT_NEAR(r.perplexity_error(), std::exp(mean) * std::sqrt((squares / 14 - mean * mean) / 13), 1e-4);
}

TEST_F(Perplexity, AStrideScoresEveryTokenOnceWithTheMostContext) {
  const auto tokens = text(41);
  const PerplexityResult r = measure_perplexity(session, nullptr, tokens, {16, 6, 0, -1}, pool, progress);
  double sum = 0;
  size_t scored = 1;
  for (size_t at = 0; scored < 41; at += 6) {
    const size_t end = std::min<size_t>(at + 16, 41);
    const auto p = log_probabilities(
        session, {tokens.begin() + static_cast<ptrdiff_t>(at), tokens.begin() + static_cast<ptrdiff_t>(end)});
    for (; scored < end; ++scored) sum -= p[scored - 1 - at][static_cast<size_t>(tokens[scored])];
  }
  EXPECT_EQ(r.scored, 40);
  EXPECT_NEAR(r.perplexity(), std::exp(sum / 40), 1e-4);
}

TEST_F(Perplexity, DivergenceFromABaseline) {
  const auto tokens = text(16);
  const PerplexityResult r = measure_perplexity(session, &base, tokens, {16, 0, 0, -1}, pool, progress);
  const auto q = log_probabilities(session, tokens), p = log_probabilities(base, tokens);
  ASSERT_EQ(r.divergences.size(), 7u);
  int64_t same = 0;
  double difference = 0, squares = 0;
  for (size_t i = 0; i < 7; ++i) {
    const size_t t = 8 + i;
    double kl = 0;
    for (size_t v = 0; v < kVocabulary; ++v) kl += std::exp(p[t][v]) * (p[t][v] - q[t][v]);
    EXPECT_NEAR(r.divergences[i], kl, 1e-4);
    const auto token = static_cast<size_t>(tokens[t + 1]);
    EXPECT_NEAR(r.probability_changes[i], std::exp(q[t][token]) - std::exp(p[t][token]), 1e-5);
    same += std::max_element(p[t].begin(), p[t].end()) - p[t].begin() ==
            std::max_element(q[t].begin(), q[t].end()) - q[t].begin();
    const double d = p[t][token] - q[t][token];
    difference += d;
    squares += d * d;
  }
  EXPECT_EQ(r.same_top, same);
  EXPECT_NEAR(r.ratio(), r.perplexity() / r.base_perplexity(), 1e-9);
  const double mean = difference / 7;
  EXPECT_NEAR(r.ratio_error(), r.ratio() * std::sqrt((squares / 7 - mean * mean) / 6), 1e-4);
}

TEST_F(Perplexity, AModelDoesNotDivergeFromItself) {
  generate::LanguageSession again{model, codec::Activations::kFloat, pool, {}};
  const PerplexityResult r = measure_perplexity(session, &again, text(32), {16, 0, 0, -1}, pool, progress);
  for (const double d : r.divergences) EXPECT_EQ(d, 0);
  EXPECT_EQ(r.same_top, r.scored);
  EXPECT_EQ(r.ratio(), 1);
}

TEST_F(Perplexity, TheNumberOfThreadsDoesNotMatter) {
  base::ThreadPool one(1);
  generate::LanguageSession alone{model, codec::Activations::kFloat, one, {}};
  const auto a = measure_perplexity(session, nullptr, text(64), {16, 0, 0, -1}, pool, progress);
  const auto b = measure_perplexity(alone, nullptr, text(64), {16, 0, 0, -1}, one, progress);
  EXPECT_EQ(a.sum, b.sum);
}

TEST_F(Perplexity, RefusesWindowsThatDoNotFit) {
  EXPECT_THROW(measure_perplexity(session, nullptr, text(15), {16, 0, 0, -1}, pool, progress), base::Error);
  EXPECT_THROW(measure_perplexity(session, nullptr, text(200), {65, 0, 0, -1}, pool, progress), base::Error);
  EXPECT_THROW(measure_perplexity(session, nullptr, text(200), {16, 17, 0, -1}, pool, progress), base::Error);
}

}  // namespace
}  // namespace nibble::eval
