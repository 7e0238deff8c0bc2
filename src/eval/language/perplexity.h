#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "eval/statistics.h"
#include "generate/language_session.h"

namespace nibble::eval {

/// How a text is cut into windows and which of its tokens are scored.
///
/// stride 0, llama-perplexity's convention: windows of `context` tokens without overlap, the rest of the text dropped;
/// the first token of each is replaced by BOS where `bos` is not -1; of each window the tokens from context / 2 + 1 on
/// are scored. stride > 0, Hugging Face's convention: windows of `context` tokens begin every `stride` tokens, and each
/// token but the first is scored once, in the first window that has it.
struct PerplexityOptions {
  int64_t context = 512, stride = 0;
  int64_t chunks = 0;  ///< at most as many windows; 0: all
  int32_t bos = -1;
};

/// What the scored tokens of one text say of one or two models. Logarithms are natural.
struct PerplexityResult {
  int64_t windows = 0, scored = 0;
  double sum = 0, sum_of_squares = 0;  ///< of -log p(token), of the model that is judged
  /// Of the baseline, and of both: empty or 0 where there is none.
  double base_sum = 0, base_sum_of_squares = 0, sum_of_products = 0;
  std::vector<double> divergences;          ///< KL(base || model) of each scored token
  std::vector<double> probability_changes;  ///< p(token) minus the baseline's
  int64_t same_top = 0;                     ///< tokens where both find the same one likeliest
  double seconds = 0, base_seconds = 0;     ///< spent in each model
  int64_t tokens = 0;                       ///< that each model ran

  bool has_base() const { return !divergences.empty(); }
  double perplexity() const;
  double perplexity_error() const;  ///< standard error
  double base_perplexity() const;
  double base_perplexity_error() const;
  double ratio() const;        ///< perplexity() / base_perplexity()
  double ratio_error() const;  ///< standard error, paired
};

/// Windows that the text has. Throws Error(kUsage) for a text that is shorter than one, and a context that a model
/// lacks.
int64_t window_count(size_t tokens, const PerplexityOptions& options, int64_t model_context);

/// Scores `tokens` with one model, or with two side by side, window by window: nothing but sums and three numbers a
/// token is kept. `base` may be nullptr; both must have one vocabulary (checked by size).
PerplexityResult measure_perplexity(generate::LanguageSession& model, generate::LanguageSession* base,
                                    std::span<const int32_t> tokens, const PerplexityOptions& options,
                                    base::ThreadPool& pool, base::Progress& progress);

}  // namespace nibble::eval
