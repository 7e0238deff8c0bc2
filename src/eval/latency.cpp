#include "eval/latency.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "runtime/session.h"

namespace nibble::eval {

double Latency::p50() const { return quantile(runs, 0.50); }
double Latency::p90() const { return quantile(runs, 0.90); }
double Latency::p99() const { return quantile(runs, 0.99); }

std::vector<Latency> measure_latency(const std::vector<const graph::Graph*>& networks,
                                     std::span<const tensor::Tensor> inputs, const LatencyOptions& options,
                                     base::ThreadPool& pool, base::Progress& progress) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<std::unique_ptr<runtime::Session>> sessions;
  runtime::SessionOptions session_options;
  session_options.limits = options.limits;
  for (const auto* g : networks) sessions.push_back(std::make_unique<runtime::Session>(*g, pool, session_options));
  constexpr size_t kWarmUp = 2, kFewest = 10, kMost = 10'000;
  std::vector<Latency> result(networks.size());
  auto start = Clock::now();
  for (size_t i = 0; i < kWarmUp || (i < kMost && since(start) < options.seconds / 10); ++i) {
    progress.check_cancelled();
    for (size_t n = 0; n < sessions.size(); ++n) {
      sessions[n]->run(inputs);
      ++result[n].warm_up_runs;
    }
  }
  start = Clock::now();
  for (size_t round = 0; round < kFewest || (round < kMost && since(start) < options.seconds); ++round) {
    progress.check_cancelled();
    for (size_t i = 0; i < sessions.size(); ++i) {
      const auto begin = Clock::now();
      sessions[i]->run(inputs);
      result[i].runs.push_back(since(begin));
    }
  }
  for (size_t i = 0; i < sessions.size(); ++i) result[i].peak_activation_bytes = sessions[i]->peak_activation_bytes();
  return result;
}

SpeedUp speed_up(const Latency& before, const Latency& after) {
  return {before.p50() / after.p50(), bootstrap_median_ratio_interval(before.runs, after.runs)};
}

}  // namespace nibble::eval
