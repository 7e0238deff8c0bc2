#include "eval/language/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"

namespace nibble::eval {
namespace {

/// Part of the text that one run sees; tokens [score_from, end) of it are scored.
struct Window {
  int64_t begin, end, score_from;
};

std::vector<Window> windows_of(int64_t tokens, const PerplexityOptions& o) {
  std::vector<Window> windows;
  if (o.stride == 0) {
    for (int64_t at = 0; at + o.context <= tokens; at += o.context)
      windows.push_back({at, at + o.context, at + o.context / 2 + 1});
  } else {
    int64_t scored = 1;
    for (int64_t at = 0; scored < tokens; at += o.stride) {
      const int64_t end = std::min(at + o.context, tokens);
      windows.push_back({at, end, scored});
      scored = end;
    }
  }
  if (o.chunks > 0 && static_cast<int64_t>(windows.size()) > o.chunks) windows.resize(static_cast<size_t>(o.chunks));
  return windows;
}

double log_sum_exp(std::span<const float> logits) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float v : logits) sum += static_cast<double>(std::exp(v - largest));
  return static_cast<double>(largest) + std::log(sum);
}

int64_t likeliest(std::span<const float> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

/// What one scored token says.
struct Score {
  double loss = 0, base_loss = 0, divergence = 0;
  bool same_top = false;
};

Score score(std::span<const float> logits, std::span<const float> base, int32_t token) {
  Score s;
  const double normalizer = log_sum_exp(logits);
  s.loss = normalizer - static_cast<double>(logits[static_cast<size_t>(token)]);
  if (base.empty()) return s;
  const double base_normalizer = log_sum_exp(base);
  s.base_loss = base_normalizer - static_cast<double>(base[static_cast<size_t>(token)]);
  for (size_t i = 0; i < base.size(); ++i) {
    const double log_p = static_cast<double>(base[i]) - base_normalizer,
                 log_q = static_cast<double>(logits[i]) - normalizer;
    s.divergence += std::exp(log_p) * (log_p - log_q);
  }
  s.divergence = std::max(0.0, s.divergence);  // below zero by rounding only
  s.same_top = likeliest(logits) == likeliest(base);
  return s;
}

double mean_error(double sum, double squares, int64_t count) {
  const auto n = static_cast<double>(count);
  const double variance = squares / n - sum / n * (sum / n);
  return count > 1 ? std::sqrt(std::max(0.0, variance) / (n - 1)) : 0;
}

}  // namespace

double PerplexityResult::perplexity() const { return std::exp(sum / static_cast<double>(scored)); }
double PerplexityResult::perplexity_error() const { return perplexity() * mean_error(sum, sum_of_squares, scored); }
double PerplexityResult::base_perplexity() const { return std::exp(base_sum / static_cast<double>(scored)); }
double PerplexityResult::base_perplexity_error() const {
  return base_perplexity() * mean_error(base_sum, base_sum_of_squares, scored);
}
double PerplexityResult::ratio() const { return std::exp((sum - base_sum) / static_cast<double>(scored)); }
double PerplexityResult::ratio_error() const {
  return ratio() * mean_error(sum - base_sum, sum_of_squares + base_sum_of_squares - 2 * sum_of_products, scored);
}

int64_t window_count(size_t tokens, const PerplexityOptions& o, int64_t model_context) {
  if (o.context < 8) base::fail_usage("--context", "must be 8 or more");
  if (o.context > model_context)
    base::fail_usage("--context", "is " + std::to_string(o.context) + ", the model's context is " +
                                      std::to_string(model_context) + " tokens");
  if (o.stride < 0 || o.stride > o.context) base::fail_usage("--stride", "must be from 1 to the context");
  const auto count = static_cast<int64_t>(windows_of(static_cast<int64_t>(tokens), o).size());
  if (count == 0)
    base::fail_usage(
        "--data", "the text has " + std::to_string(tokens) + " tokens, one window takes " + std::to_string(o.context),
        "give a longer text, or a shorter --context");
  return count;
}

PerplexityResult measure_perplexity(generate::LanguageSession& model, generate::LanguageSession* base,
                                    std::span<const int32_t> tokens, const PerplexityOptions& options,
                                    base::ThreadPool& pool, base::Progress& progress) {
  const int64_t vocabulary = model.vocabulary();
  if (base && base->vocabulary() != vocabulary)
    base::fail_usage("--baseline",
                     "has " + std::to_string(base->vocabulary()) + " tokens, the model " + std::to_string(vocabulary));
  const int64_t count =
      window_count(tokens.size(), options, std::min(model.context(), base ? base->context() : model.context()));
  const std::vector<Window> windows = windows_of(static_cast<int64_t>(tokens.size()), options);
  PerplexityResult result;
  result.windows = count;
  using Clock = std::chrono::steady_clock;
  const auto run = [&](generate::LanguageSession& session, const Window& w, double& seconds) {
    std::vector<generate::Place> places;
    std::vector<int64_t> rows;
    for (int64_t t = w.begin; t < w.end; ++t) {
      const bool replaced = options.stride == 0 && t == w.begin && options.bos >= 0;
      places.push_back({replaced ? options.bos : tokens[static_cast<size_t>(t)], 0});
      if (t + 1 >= w.score_from && t + 1 < w.end) rows.push_back(t - w.begin);
    }
    const auto start = Clock::now();
    session.forget_all();
    tensor::Tensor logits = session.run(places, rows);
    seconds += std::chrono::duration<double>(Clock::now() - start).count();
    return logits;
  };
  progress.begin("score", count, "windows");
  for (size_t w = 0; w < windows.size(); ++w) {
    progress.check_cancelled();
    const Window& window = windows[w];
    const tensor::Tensor logits = run(model, window, result.seconds);
    const tensor::Tensor base_logits = base ? run(*base, window, result.base_seconds) : tensor::Tensor();
    result.tokens += window.end - window.begin;
    const int64_t scored = logits.shape()[0];
    std::vector<Score> scores(static_cast<size_t>(scored));
    pool.for_each(scored, [&](int64_t i, int) {
      const auto row = [&](const tensor::Tensor& t) {
        return t ? t.values<float>().subspan(static_cast<size_t>(i * vocabulary), static_cast<size_t>(vocabulary))
                 : std::span<const float>();
      };
      const int64_t first = std::max(window.score_from, window.begin + 1);
      scores[static_cast<size_t>(i)] = score(row(logits), row(base_logits), tokens[static_cast<size_t>(first + i)]);
    });
    for (const Score& s : scores) {
      ++result.scored;
      result.sum += s.loss;
      result.sum_of_squares += s.loss * s.loss;
      if (!base) continue;
      result.base_sum += s.base_loss;
      result.base_sum_of_squares += s.base_loss * s.base_loss;
      result.sum_of_products += s.loss * s.base_loss;
      result.divergences.push_back(s.divergence);
      result.probability_changes.push_back(std::exp(-s.loss) - std::exp(-s.base_loss));
      result.same_top += s.same_top;
    }
    progress.advance(static_cast<int64_t>(w) + 1);
  }
  progress.end();
  return result;
}

}  // namespace nibble::eval
