#include "eval/tasks/task.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "eval/table.h"

namespace nibble::eval {

#define NIBBLE_TASK(name) const TaskKind& name##_task();
#include "eval/tasks/tasks.def"
#undef NIBBLE_TASK

std::span<const TaskKind* const> all_tasks() {
  static const TaskKind* const table[] = {
#define NIBBLE_TASK(name) &name##_task(),
#include "eval/tasks/tasks.def"
#undef NIBBLE_TASK
  };
  return table;
}

namespace {

std::string names_of_tasks() {
  std::string names;
  for (const TaskKind* kind : all_tasks()) names += (names.empty() ? "" : ", ") + std::string(kind->name);
  return names;
}

/// Whether `key` is one of the words of "border, peak".
bool among(std::string_view key, std::string_view keys) {
  while (!keys.empty()) {
    const size_t comma = keys.find(", ");
    if (keys.substr(0, comma) == key) return true;
    keys = comma == std::string_view::npos ? std::string_view() : keys.substr(comma + 2);
  }
  return false;
}

}  // namespace

TaskChoice parse_task(std::string_view text) {
  TaskChoice choice;
  if (text.empty()) return choice;
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  for (const TaskKind* kind : all_tasks())
    if (kind->name == name) choice.kind = kind;
  if (!choice.kind)
    base::fail_usage("--task", "there is no task " + base::in_quotes(name), "the tasks are " + names_of_tasks());
  std::string_view rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    if (equals == std::string_view::npos || !among(key, choice.kind->keys))
      base::fail_usage("--task", base::in_quotes(part) + " is no option of " + std::string(name),
                       choice.kind->keys.empty() ? "it has none"
                                                 : "write " + std::string(name) + ":KEY=VALUE,...; its keys are " +
                                                       std::string(choice.kind->keys));
    if (!choice.options.emplace(key, part.substr(equals + 1)).second)
      base::fail_usage("--task", "the option " + base::in_quotes(key) + " comes twice");
  }
  return choice;
}

ChosenTask make_task(const TaskChoice& choice, const Answers& first, TaskSetting setting) {
  setting.options = choice.options;
  if (choice.kind) return {choice.kind->name, "as asked", choice.kind->make(setting)};
  for (const TaskKind* kind : all_tasks()) {
    if (!kind->suits) continue;
    std::string why = kind->suits(first, setting);
    if (!why.empty()) return {kind->name, std::move(why), kind->make(setting)};
  }
  NIBBLE_INVARIANT(!"mse suits everything");
  return {};
}

double number_option(const TaskSetting& setting, const std::string& key, double fallback, double least) {
  const auto it = setting.options.find(key);
  if (it == setting.options.end()) return fallback;
  const std::string& text = it->second;
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) || value < least)
    base::fail_usage("--task", key + "=" + base::in_quotes(text) + fmt::format(" is no number from {} on", least));
  return value;
}

std::vector<BillRow> output_error_rows(std::span<const OutputError> outputs, size_t skip, int64_t samples) {
  std::vector<BillRow> rows;
  for (size_t i = skip; i < outputs.size(); ++i) {
    const OutputError& e = outputs[i];
    const std::string name = outputs.size() > 1 ? " " + base::printable(e.name, 24) : "";
    std::string left_out =
        e.other_form ? fmt::format("; its form differed in {} batches, which are left out", e.other_form) : "";
    if (e.values == 0) {
      rows.push_back({"output error" + name, "-", "-", "nothing compared" + left_out});
    } else if (!e.floats) {
      rows.push_back({"output" + name, "-",
                      fmt::format("{:.2f} %", 100.0 * static_cast<double>(e.equal) / static_cast<double>(e.values)),
                      fmt::format("of {} values equal", count_text(e.values)) + left_out});
    } else {
      const std::string db = std::isinf(e.sqnr_db) ? "exact" : fmt::format("{:.1f} dB", e.sqnr_db);
      std::string change = fmt::format("{} over {} samples", db, samples) + left_out;
      if (e.samples > 1)
        change =
            fmt::format("[{:.4g}, {:.4g}]   ", e.relative_error_interval.low, e.relative_error_interval.high) + change;
      rows.push_back({"output error" + name, "-", fmt::format("{:.4g}", e.relative_error), change});
    }
  }
  return rows;
}

}  // namespace nibble::eval
