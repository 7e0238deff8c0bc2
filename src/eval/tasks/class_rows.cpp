#include "eval/tasks/class_rows.h"

#include <fmt/format.h>

namespace nibble::eval {

double changed_percent(const ClassAnswers& c) {
  return c.samples ? 100.0 - 100.0 * static_cast<double>(c.same_answer) / static_cast<double>(c.samples) : 0.0;
}

void add_agreement(const ClassAnswers& c, TaskResult& result) {
  const Interval i = bootstrap_mean_interval(c.kl);
  result.rows.push_back({"same answer", "-", fmt::format("{:.2f} %", 100.0 - changed_percent(c)),
                         fmt::format("of {} samples", c.samples)});
  result.rows.push_back(
      {"KL divergence", "-", fmt::format("{:.4g} nats", mean(c.kl)), fmt::format("[{:.4g}, {:.4g}]", i.low, i.high)});
  result.json.emplace_back("same_answer", c.same_answer);
  result.json.emplace_back("kl_divergence", io::Json::Object{{"mean", mean(c.kl)},
                                                             {"interval", io::Json::Array{i.low, i.high}},
                                                             {"median", quantile(c.kl, 0.5)},
                                                             {"p99", quantile(c.kl, 0.99)},
                                                             {"max", quantile(c.kl, 1.0)}});
}

}  // namespace nibble::eval
