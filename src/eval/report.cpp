#include "eval/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/table.h"

namespace nibble::eval {
namespace {

using io::Json;

std::string db_text(double db) { return std::isinf(db) ? "exact" : fmt::format("{:.1f} dB", db); }

std::string energy_text(double joules) {
  const char* units[] = {"J", "mJ", "uJ", "nJ"};
  int unit = 0;
  while (joules < 1 && unit < 3) joules *= 1e3, ++unit;
  return fmt::format("{:.3g} {}", joules, units[unit]);
}

/// Layers by error, worst first.
std::vector<LayerError> worst_first(std::vector<LayerError> layers) {
  std::stable_sort(layers.begin(), layers.end(), [](const auto& a, const auto& b) { return a.sqnr_db < b.sqnr_db; });
  return layers;
}

std::string layers_table(const Comparison& c, bool all) {
  const auto layers = worst_first(c.layers);
  const size_t shown = all ? layers.size() : std::min<size_t>(3, layers.size());
  Table table;
  table.row({fmt::format("layer outputs, worst first ({} samples)", c.layer_samples), "bits", "SQNR", "cosine"});
  for (size_t i = 0; i < shown; ++i)
    table.row({base::printable(layers[i].name, 48), layers[i].four_bit ? "4" : "8+", db_text(layers[i].sqnr_db),
               fmt::format("{:.5f}", layers[i].cosine)});
  std::string text = table.text({false, true, true, true});
  if (shown < layers.size()) text += fmt::format("  ... {} more (--layers)\n", layers.size() - shown);
  return text;
}

Json optional_number(double v) { return std::isfinite(v) ? Json(v) : Json(); }

Json side_json(const Side& s) {
  Json::Object o{{"file", s.file.empty() ? "(in memory)" : s.file},
                 {"file_bytes", s.file_bytes},
                 {"bits_per_weight", s.bits_per_weight},
                 {"memory_bytes", s.memory_bytes}};
  if (s.latency) o.emplace_back("latency_seconds", to_json(*s.latency));
  if (s.energy)
    o.emplace_back(
        "energy",
        Json::Object{{"joules", s.energy->joules}, {"estimated", s.energy->estimated}, {"source", s.energy->source}});
  return o;
}

Json output_json(const OutputError& e) {
  Json::Object o{{"name", e.name}, {"values", e.values}, {"equal", e.equal}};
  if (e.floats) {
    o.emplace_back("relative_error", optional_number(e.relative_error));
    o.emplace_back("interval", Json::Array{optional_number(e.relative_error_interval.low),
                                           optional_number(e.relative_error_interval.high)});
    o.emplace_back("sqnr_db", optional_number(e.sqnr_db));
  }
  if (e.other_form) o.emplace_back("batches_left_out", e.other_form);
  return o;
}

}  // namespace

std::string task_text(const TaskResult& task) { return task.name + " (" + task.chosen + ")"; }

std::string ratio_text(double before, double after, const char* less, const char* more) {
  if (before <= 0 || after <= 0) return "";
  return after <= before ? fmt::format("{:.2f} x {}", before / after, less)
                         : fmt::format("{:.2f} x {}", after / before, more);
}

std::string verdict(const Report& r) {
  const Comparison& c = r.comparison;
  if (!r.before || c.task.sentence.empty()) return {};
  std::string text = c.task.sentence;
  const auto layers = worst_first(c.layers);
  if (layers.size() > 1 && std::isfinite(layers[0].sqnr_db))
    text +=
        fmt::format("; {} and {} cost most", base::printable(layers[0].name, 40), base::printable(layers[1].name, 40));
  return text + ".";
}

std::vector<BillRow> bill(const Report& r) {
  std::vector<BillRow> rows = r.comparison.task.rows;
  const bool two = r.before.has_value();
  const auto row = [&](std::string label, std::string before, std::string after, std::string change = "") {
    rows.push_back({std::move(label), two ? std::move(before) : "", std::move(after), std::move(change)});
  };
  const Side none;
  const Side& b = two ? *r.before : none;
  row("file", bytes_text(b.file_bytes), r.after.file_bytes ? bytes_text(r.after.file_bytes) : "-",
      two && r.after.file_bytes
          ? ratio_text(static_cast<double>(b.file_bytes), static_cast<double>(r.after.file_bytes), "smaller", "larger")
          : "");
  row("bits a weight", fmt::format("{:.2f}", b.bits_per_weight), fmt::format("{:.2f}", r.after.bits_per_weight));
  if (r.after.latency && (!two || b.latency)) {
    row(fmt::format("latency p50 ({} threads)", r.threads), two ? seconds_text(b.latency->p50()) : "",
        seconds_text(r.after.latency->p50()),
        two ? ratio_text(b.latency->p50(), r.after.latency->p50(), "faster", "slower") : "");
    const auto slow = [](const Latency& l) {
      return seconds_text(l.p90()) + " / " + (l.has_p99() ? seconds_text(l.p99()) : "-");
    };
    row("        p90 / p99", two ? slow(*b.latency) : "", slow(*r.after.latency),
        fmt::format("{} runs{}", r.after.latency->runs.size(),
                    r.after.latency->has_p99() ? "" : ", too few for a p99 (--seconds)"));
    row("memory in nibble", two ? bytes_text(b.memory_bytes) : "", bytes_text(r.after.memory_bytes),
        "weights and activations, batch 1");
  }
  if (r.after.energy && (!two || b.energy)) {
    const bool estimated = r.after.energy->estimated;
    const std::string about = estimated ? "about " : "";
    row("energy an inference", two ? about + energy_text(b.energy->joules) : "",
        about + energy_text(r.after.energy->joules),
        estimated ? "estimated (no counter on this machine)" : "measured: " + r.after.energy->source);
  }
  return rows;
}

std::string to_text(const Report& r, bool all_layers) {
  const Comparison& c = r.comparison;
  const bool two = r.before.has_value();
  Table t;
  t.row(two ? std::vector<std::string>{"", "before", "after", "change"} : std::vector<std::string>{"", "", ""});
  for (const BillRow& row : bill(r))
    t.row(two ? std::vector<std::string>{row.label, row.before, row.after, row.change}
              : std::vector<std::string>{row.label, row.after, row.change});
  std::string text = two ? t.text({false, false, false, false}) : t.text({false, false, false});
  text += "\n  task         " + task_text(c.task) + "\n";
  if (!r.scheme.empty()) text += "  scheme       " + wrapped(base::printable(r.scheme, 400), 15, 15) + "\n";
  if (!r.positions.empty()) text += "  quantized    " + wrapped(r.positions, 15, 15) + "\n";
  if (r.after.energy && r.after.energy->estimated) text += "  energy from  " + r.after.energy->source + "\n";
  if (!c.layers.empty()) text += "\n" + layers_table(c, all_layers);
  const std::string sentence = verdict(r);
  if (!sentence.empty()) text += "\n  " + wrapped(sentence, 2, 2) + "\n";
  if (!r.next.empty()) text += "  To do better: " + r.next + "\n";
  return text;
}

io::Json to_json(const Latency& latency) {
  return Json::Object{{"p50", latency.p50()},
                      {"p90", latency.has_p90() ? Json(latency.p90()) : Json()},
                      {"p99", latency.has_p99() ? Json(latency.p99()) : Json()},
                      {"runs", static_cast<int64_t>(latency.runs.size())}};
}

io::Json to_json(const std::vector<InputFile>& files) {
  Json::Array list;
  for (const InputFile& f : files)
    list.push_back(Json::Object{{"role", f.role}, {"file", f.name}, {"sha256", f.sha256}});
  return list;
}

io::Json to_json(const Report& r) {
  const Comparison& c = r.comparison;
  Json::Object o{{"schema", kReportSchema}, {"command", r.command}, {"version", r.version},     {"commit", r.commit},
                 {"data", r.data},          {"scheme", r.scheme},   {"quantized", r.positions}, {"threads", r.threads},
                 {"samples", c.samples},    {"skipped", c.skipped}};
  if (!r.inputs.empty()) o.emplace_back("files", to_json(r.inputs));
  if (r.before) o.emplace_back("before", side_json(*r.before));
  o.emplace_back("after", side_json(r.after));
  o.emplace_back("task", Json::Object{{"name", c.task.name}, {"chosen", c.task.chosen}});
  for (const Json::Member& member : c.task.json) o.push_back(member);
  if (r.before) {
    // "output" is the first of "outputs"
    if (!c.outputs.empty()) o.emplace_back("output", output_json(c.outputs[0]));
    Json::Array outputs;
    for (const OutputError& e : c.outputs) outputs.push_back(output_json(e));
    o.emplace_back("outputs", std::move(outputs));
    Json::Array layers;
    for (const LayerError& l : c.layers)
      layers.push_back(Json::Object{{"layer", l.name},
                                    {"operator", l.op},
                                    {"four_bit", l.four_bit},
                                    {"sqnr_db", optional_number(l.sqnr_db)},
                                    {"cosine", l.cosine}});
    o.emplace_back("layers", std::move(layers));
    o.emplace_back("layer_samples", c.layer_samples);
    o.emplace_back("verdict", verdict(r));
  }
  if (!r.weights.empty()) {
    Json::Array weights;
    for (const WeightError& w : r.weights) {
      Json::Object row{{"layer", w.name},
                       {"weight", w.weight_name},
                       {"shape", tensor::to_string(w.stored.shape())},
                       {"format", w.format},
                       {"bits_per_weight", w.bits_per_weight()},
                       {"bytes", w.bytes}};
      if (w.real) row.emplace_back("sqnr_db", optional_number(w.sqnr_db));
      weights.push_back(std::move(row));
    }
    o.emplace_back("weights", std::move(weights));
  }
  if (const auto& d = r.drop()) {
    o.emplace_back("drop_points", optional_number(d->value));
    o.emplace_back("drop_unit", d->unit);
  }
  if (!r.next.empty()) o.emplace_back("next", r.next);
  return o;
}

}  // namespace nibble::eval
