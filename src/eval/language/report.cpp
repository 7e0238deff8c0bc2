#include "eval/language/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/html/report_page.h"
#include "eval/table.h"

namespace nibble::eval {
namespace {

using io::Json;

double share(int64_t part, int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<int64_t>(1, whole));
}

double root_mean_square(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return values.empty() ? 0 : std::sqrt(sum / static_cast<double>(values.size()));
}

std::string speed_text(const TokenSpeed& s) {
  return s.generation > 0 ? fmt::format("{:.0f} / {:.0f} tok/s", s.prompt, s.generation)
                          : fmt::format("{:.0f} tok/s", s.prompt);
}

std::string perplexity_text(double value, double error) {
  return value < 1e5 ? fmt::format("{:.4f} ± {:.2g}", value, error) : fmt::format("{:.4g} ± {:.2g}", value, error);
}

std::vector<BillRow> bill(const LanguageReport& r) {
  const PerplexityResult& p = r.result;
  std::vector<BillRow> rows;
  const bool two = r.before.has_value();
  const auto row = [&](const std::string& label, const std::string& before, const std::string& after,
                       const std::string& change) {
    rows.push_back({label, two ? before : "", after, change});
  };
  row(fmt::format("perplexity (ctx {})", r.options.context),
      two ? perplexity_text(p.base_perplexity(), p.base_perplexity_error()) : "",
      perplexity_text(p.perplexity(), p.perplexity_error()),
      two ? fmt::format("x {:.4f} ± {:.2g}", p.ratio(), p.ratio_error()) : "");
  if (two) {
    const Interval i = bootstrap_mean_interval(p.divergences);
    row("KL divergence", "-", fmt::format("{:.6f} nats", mean(p.divergences)),
        fmt::format("95 %: [{:.6f}, {:.6f}]", i.low, i.high));
    row("KL of a token", "-", fmt::format("median {:.6f}", quantile(p.divergences, 0.5)),
        fmt::format("90 %: {:.4f}, 99 %: {:.4f}", quantile(p.divergences, 0.9), quantile(p.divergences, 0.99)));
    row("KL at worst", "-", fmt::format("max {:.4f}", *std::max_element(p.divergences.begin(), p.divergences.end())),
        fmt::format("99.9 %: {:.4f}", quantile(p.divergences, 0.999)));
    const Interval same = wilson_interval(p.same_top, p.scored);
    row("same top token", "-", fmt::format("{:.2f} %", 100 * share(p.same_top, p.scored)),
        fmt::format("[{:.2f}, {:.2f}]", 100 * same.low, 100 * same.high));
    row("token probability", "-", fmt::format("{:.3f} % RMS", 100 * root_mean_square(p.probability_changes)),
        fmt::format("mean {:+.3f} %", 100 * mean(p.probability_changes)));
    row("file", bytes_text(r.before->file_bytes), bytes_text(r.after.file_bytes),
        ratio_text(static_cast<double>(r.before->file_bytes), static_cast<double>(r.after.file_bytes), "smaller",
                   "larger"));
    row("bits a weight", fmt::format("{:.2f}", r.before->bits_per_weight),
        fmt::format("{:.2f}", r.after.bits_per_weight), "");
    row("prompt / generation", speed_text(r.before->speed), speed_text(r.after.speed), "");
  } else {
    row("file", "", bytes_text(r.after.file_bytes), "");
    row("bits a weight", "", fmt::format("{:.2f}", r.after.bits_per_weight), "");
    row("prompt / generation", "", speed_text(r.after.speed), "");
  }
  return rows;
}

std::string db_text(const std::optional<double>& db) {
  return !db ? "-" : std::isinf(*db) ? "exact" : fmt::format("{:.1f} dB", *db);
}

std::string tensors_table(const LanguageReport& r, bool all) {
  std::vector<TensorError> tensors = r.tensors;
  if (r.before)
    std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
      return a.sqnr_db.value_or(INFINITY) < b.sqnr_db.value_or(INFINITY);
    });
  const size_t shown = all ? tensors.size() : std::min<size_t>(3, tensors.size());
  Table table;
  table.row({r.before ? "weights, worst first" : "weights", "shape", "type", "bits", "SQNR"});
  for (size_t i = 0; i < shown; ++i)
    table.row({tensors[i].name, tensors[i].shape, tensors[i].type, fmt::format("{:.2f}", tensors[i].bits),
               db_text(tensors[i].sqnr_db)});
  std::string text = table.text({false, false, false, true, true});
  if (shown < tensors.size()) text += fmt::format("  ... {} more (--layers)\n", tensors.size() - shown);
  return text;
}

Json side_json(const LanguageSide& s) {
  return Json::Object{
      {"file", s.file},
      {"file_bytes", s.file_bytes},
      {"parameters", s.parameters},
      {"bits_per_weight", s.bits_per_weight},
      {"types", s.types},
      {"activations", s.activations},
      {"tokens_per_second", Json::Object{{"prompt", s.speed.prompt}, {"generation", s.speed.generation}}}};
}

}  // namespace

std::string verdict(const LanguageReport& r) {
  const PerplexityResult& p = r.result;
  if (!r.before)
    return fmt::format("Perplexity {} over {} scored tokens. With --baseline this says what quantization cost.",
                       perplexity_text(p.perplexity(), p.perplexity_error()), count_text(p.scored));
  const bool noise = std::fabs(p.ratio() - 1) < 2 * p.ratio_error();
  return fmt::format(
      "{:.2f} bits a weight cost this model a factor of {:.4f} in perplexity{}; its predictions moved by {:.5f} nats a "
      "token, "
      "and it finds the same next token likeliest in {:.1f} % of {} places.",
      r.after.bits_per_weight, p.ratio(), noise ? ", within the noise of this text" : "", mean(p.divergences),
      100 * share(p.same_top, p.scored), count_text(p.scored));
}

std::string to_text(const LanguageReport& r, bool all_tensors) {
  Table table;
  if (r.before) table.row({"", "before", "after", "change"});
  for (const BillRow& b : bill(r))
    table.row(r.before ? std::vector<std::string>{b.label, b.before, b.after, b.change}
                       : std::vector<std::string>{b.label, b.after, b.change});
  std::string text = table.text(std::vector<bool>(r.before ? 4 : 3, false));
  const auto fact = [&](const char* label, const std::string& value) {
    if (!value.empty()) text += "  " + display_width_padded(label, 15, false) + wrapped(value, 17, 17) + "\n";
  };
  text += "\n";
  fact("data", r.data);
  fact("windows", r.windows);
  fact("types", r.after.types);
  fact("activations",
       r.before ? fmt::format("{} before, {} after", r.before->activations, r.after.activations) : r.after.activations);
  text += "\n" + tensors_table(r, all_tensors) + "\n  " + wrapped(verdict(r), 2, 2) + "\n";
  if (!r.next.empty()) text += "  To do better: " + r.next + "\n";
  return text;
}

Json to_json(const LanguageReport& r) {
  const PerplexityResult& p = r.result;
  Json::Object o{{"schema", kReportSchema},
                 {"command", r.command},
                 {"version", r.version},
                 {"commit", r.commit},
                 {"kind", "language model"},
                 {"scheme", r.scheme},
                 {"data", r.data},
                 {"files", to_json(r.inputs)},
                 {"context", r.options.context},
                 {"stride", r.options.stride},
                 {"windows", p.windows},
                 {"scored_tokens", p.scored},
                 {"threads", r.threads},
                 {"after", side_json(r.after)},
                 {"perplexity", p.perplexity()},
                 {"perplexity_error", p.perplexity_error()}};
  if (r.before) {
    const Interval i = bootstrap_mean_interval(p.divergences);
    o.emplace_back("before", side_json(*r.before));
    o.emplace_back("baseline_perplexity", p.base_perplexity());
    o.emplace_back("baseline_perplexity_error", p.base_perplexity_error());
    o.emplace_back("perplexity_ratio", p.ratio());
    o.emplace_back("perplexity_ratio_error", p.ratio_error());
    o.emplace_back("kl_divergence",
                   Json::Object{{"mean", mean(p.divergences)},
                                {"interval", Json::Array{i.low, i.high}},
                                {"median", quantile(p.divergences, 0.5)},
                                {"p90", quantile(p.divergences, 0.9)},
                                {"p99", quantile(p.divergences, 0.99)},
                                {"p999", quantile(p.divergences, 0.999)},
                                {"max", *std::max_element(p.divergences.begin(), p.divergences.end())}});
    o.emplace_back("same_top_token", share(p.same_top, p.scored));
    o.emplace_back("probability_change_rms", root_mean_square(p.probability_changes));
    o.emplace_back("probability_change_mean", mean(p.probability_changes));
  }
  Json::Array tensors;
  for (const TensorError& t : r.tensors) {
    Json::Object row{{"name", t.name}, {"shape", t.shape}, {"type", t.type}, {"bits", t.bits}, {"bytes", t.bytes}};
    if (t.sqnr_db) row.emplace_back("sqnr_db", std::isfinite(*t.sqnr_db) ? Json(*t.sqnr_db) : Json());
    tensors.push_back(std::move(row));
  }
  o.emplace_back("tensors", std::move(tensors));
  o.emplace_back("verdict", verdict(r));
  return o;
}

Page page_of(const LanguageReport& r) {
  const PerplexityResult& p = r.result;
  Page page;
  page.kind = "nibble eval";
  page.two = r.before.has_value();
  page.title = page.two ? fmt::format("{} against {}", r.after.file, r.before->file) : r.after.file;
  page.lead = verdict(r);
  page.bill = bill(r);
  page.bars.push_back(size_bar(page.two ? r.before->file_bytes : 0, r.after.file_bytes));
  if (page.two) {
    PageBar speed{.label = fmt::format("Tokens of text a second, {} threads", r.threads),
                  .change = {},
                  .before = r.before->speed.prompt,
                  .before_text = {},
                  .after_text = {}};
    speed.after = r.after.speed.prompt;
    speed.full = std::max(speed.after, *speed.before);
    speed.before_text = fmt::format("{:.0f}", *speed.before);
    speed.after_text = fmt::format("{:.0f}", speed.after);
    speed.change = ratio_text(*speed.before, speed.after, "slower", "faster");
    page.bars.push_back(speed);
    PageBar same{.label = "Agreement: the same likeliest token",
                 .change = {},
                 .before = {},
                 .before_text = {},
                 .after_text = {}};
    same.after = share(p.same_top, p.scored);
    same.change = fmt::format("{:.2f} %", 100 * same.after);
    same.after_text = fmt::format("{} of {}", p.same_top, p.scored);
    page.bars.push_back(same);
  }
  const auto fact = [&](const char* label, const std::string& value) {
    if (!value.empty()) page.facts.push_back({label, value});
  };
  fact("scheme", r.scheme);
  fact("data", r.data);
  fact("windows", r.windows);
  fact("types", r.after.types);
  fact("activations", r.after.activations);
  for (const TensorError& t : r.tensors) {
    PageLayer l{
        .name = t.name, .op = t.op, .shape = t.shape, .format = t.type, .weight_db = {}, .output_db = {}, .cosine = {}};
    l.bits = static_cast<int>(std::floor(t.bits));
    l.bits_per_weight = t.bits;
    l.bytes = t.bytes;
    l.weight_db = t.sqnr_db;
    page.layers.push_back(std::move(l));
  }
  page.layers_text =
      "Signal to quantization noise (SQNR) of the weights in decibels, more is better. The bits of a weight count its "
      "scales.";
  page.next_text = "To do better";
  page.next = r.next;
  page.command = r.command;
  page.provenance = {{"nibble", r.version + " (" + r.commit + ")"},
                     {"report schema", std::to_string(kReportSchema)},
                     {"threads", std::to_string(r.threads)}};
  page.inputs = r.inputs;
  page.json = to_json(r);
  return page;
}

}  // namespace nibble::eval
