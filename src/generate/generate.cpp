#include "generate/generate.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace nibble::generate {
namespace {

constexpr int64_t kTogether = 512;  // tokens of prompts in one run

/// Runs the prompts; returns the logits after each, [prompts, vocabulary].
std::vector<std::vector<float>> run_prompts(LanguageSession& session,
                                            const std::vector<std::vector<int32_t>>& prompts) {
  std::vector<std::vector<float>> last(prompts.size());
  std::vector<Place> places;
  std::vector<int64_t> rows;
  std::vector<size_t> owners;
  const auto flush = [&] {
    if (places.empty()) return;
    const tensor::Tensor logits = session.run(places, rows);
    const auto values = logits.values<float>();
    const auto width = static_cast<size_t>(session.vocabulary());
    for (size_t r = 0; r < owners.size(); ++r)
      last[owners[r]].assign(values.begin() + static_cast<ptrdiff_t>(r * width),
                             values.begin() + static_cast<ptrdiff_t>((r + 1) * width));
    places.clear();
    rows.clear();
    owners.clear();
  };
  for (size_t i = 0; i < prompts.size(); ++i)
    for (size_t t = 0; t < prompts[i].size(); ++t) {
      if (t + 1 == prompts[i].size()) {
        rows.push_back(static_cast<int64_t>(places.size()));
        owners.push_back(i);
      }
      places.push_back({prompts[i][t], static_cast<int64_t>(i)});
      if (static_cast<int64_t>(places.size()) == kTogether) flush();
    }
  flush();
  return last;
}

}  // namespace

std::vector<Ending> generate(LanguageSession& session, const std::vector<std::vector<int32_t>>& prompts,
                             const GenerateOptions& options, const std::function<bool(size_t, int32_t)>& on_token,
                             Speed& speed) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<std::vector<int32_t>> history = prompts;
  std::vector<Sampler> samplers;
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].empty()) base::fail_usage("--prompt", "is empty, and the model has no token that begins a text");
    if (static_cast<int64_t>(prompts[i].size()) >= session.context())
      base::fail_usage("--prompt", "has " + std::to_string(prompts[i].size()) + " tokens, the model's context is " +
                                       std::to_string(session.context()));
    samplers.emplace_back(options.sampling, i);
    speed.prompt_tokens += static_cast<int64_t>(prompts[i].size());
  }
  auto start = Clock::now();
  std::vector<std::vector<float>> logits = run_prompts(session, prompts);
  speed.prompt_seconds += seconds_since(start);
  std::vector<Ending> endings(prompts.size(), Ending::kCount);
  std::vector<size_t> active(prompts.size());
  for (size_t i = 0; i < active.size(); ++i) active[i] = i;
  start = Clock::now();
  for (int64_t made = 0; made < options.tokens && !active.empty(); ++made) {
    std::vector<Place> places;
    std::vector<size_t> still;
    for (const size_t i : active) {
      const int32_t token = samplers[i].next(logits[i], history[i]);
      if (std::find(options.end_ids.begin(), options.end_ids.end(), token) != options.end_ids.end()) {
        endings[i] = Ending::kEndToken;
        continue;
      }
      ++speed.new_tokens;
      history[i].push_back(token);
      if (!on_token(i, token)) continue;
      if (static_cast<int64_t>(history[i].size()) > session.context()) {
        endings[i] = Ending::kContext;
        continue;
      }
      places.push_back({token, static_cast<int64_t>(i)});
      still.push_back(i);
    }
    active = std::move(still);
    if (active.empty() || made + 1 == options.tokens) break;
    std::vector<int64_t> rows(places.size());
    for (size_t r = 0; r < rows.size(); ++r) rows[r] = static_cast<int64_t>(r);
    const tensor::Tensor next = session.run(places, rows);
    const auto values = next.values<float>();
    const auto width = static_cast<ptrdiff_t>(session.vocabulary());
    for (size_t r = 0; r < active.size(); ++r)
      logits[active[r]].assign(values.begin() + static_cast<ptrdiff_t>(r) * width,
                               values.begin() + static_cast<ptrdiff_t>(r + 1) * width);
  }
  speed.new_seconds += seconds_since(start);
  return endings;
}

}  // namespace nibble::generate
