#include "generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/error.h"

namespace nibble::generate {
namespace {

struct Candidate {
  int32_t token = 0;
  float logit = 0;
  double probability = 0;
};

bool likelier(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

void set_probabilities(std::vector<Candidate>& candidates) {  // sorted, likeliest first
  double sum = 0;
  for (Candidate& c : candidates) sum += c.probability = std::exp(static_cast<double>(c.logit - candidates[0].logit));
  for (Candidate& c : candidates) c.probability /= sum;
}

}  // namespace

void require_valid(const SamplingOptions& o) {
  const auto require = [](bool condition, const char* flag, const char* range) {
    if (!condition) base::fail_usage(flag, std::string("must be ") + range);
  };
  require(o.repetition_penalty > 0 && o.repetition_penalty <= 100, "--repetition-penalty", "above 0");
  require(o.penalty_window >= 0, "--penalty-window", "0 or more");
  require(o.top_k >= 0, "--top-k", "0 or more");
  require(o.top_p > 0 && o.top_p <= 1, "--top-p", "above 0 and at most 1");
  require(o.min_p >= 0 && o.min_p <= 1, "--min-p", "from 0 to 1");
  require(o.temperature >= 0 && o.temperature <= 100, "--temperature", "0 or more");
}

Sampler::Sampler(const SamplingOptions& options, uint64_t stream) : options_(options), random_(options.seed, stream) {
  require_valid(options);
}

int32_t Sampler::next(std::span<const float> logits, std::span<const int32_t> history) {
  NIBBLE_INVARIANT(!logits.empty());
  std::vector<Candidate> candidates(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) candidates[i] = {static_cast<int32_t>(i), logits[i], 0};
  if (options_.repetition_penalty != 1) {
    const auto window = std::min(history.size(), static_cast<size_t>(options_.penalty_window));
    for (const int32_t token :
         std::unordered_set<int32_t>(history.end() - static_cast<ptrdiff_t>(window), history.end())) {
      float& logit = candidates[static_cast<size_t>(token)].logit;
      logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    }
  }
  if (options_.temperature == 0) return std::min_element(candidates.begin(), candidates.end(), likelier)->token;
  const size_t most =
      options_.top_k > 0 ? std::min(candidates.size(), static_cast<size_t>(options_.top_k)) : candidates.size();
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(most), candidates.end(), likelier);
  candidates.resize(most);
  set_probabilities(candidates);
  double sum = 0;
  size_t kept = 0;
  while (kept < candidates.size() && (kept == 0 || sum < static_cast<double>(options_.top_p)))
    sum += candidates[kept++].probability;
  const double least = candidates[0].probability * static_cast<double>(options_.min_p);
  while (kept > 1 && candidates[kept - 1].probability < least) --kept;
  candidates.resize(kept);
  for (Candidate& c : candidates) c.logit /= options_.temperature;
  set_probabilities(candidates);
  double left = random_.uniform();
  for (const Candidate& c : candidates)
    if ((left -= c.probability) < 0) return c.token;
  return candidates.back().token;
}

}  // namespace nibble::generate
