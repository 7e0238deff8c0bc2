#pragma once
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/answers.h"
#include "eval/output_errors.h"
#include "io/json/json.h"

namespace nibble::eval {

/// A row of the bill: what is measured, and its text on both sides. `before` is empty where there is one network only.
struct BillRow {
  std::string label, before, after, change;
};

/// How much worse the network became, in the task's own unit: what `--max-drop` is compared with. Positive is worse.
struct Drop {
  double value = 0;
  std::string unit;        ///< after a number: "points of top-1 lost", "dB of PSNR lost"
  double tolerable = 0.5;  ///< above this the report says what to try
};

/// The figure for people: a share in [0, 1] on one side or both.
struct TaskFigure {
  std::string label, change, before_text, after_text;
  std::optional<double> before;
  double after = 0;
};

/// What a task found. Text, JSON and HTML reports are views of it.
struct TaskResult {
  std::string name;    ///< "classify"
  std::string chosen;  ///< why this task: "as asked", or what the outputs and the data are like
  std::vector<BillRow> rows;
  std::optional<Drop> drop;  ///< absent where nothing was compared
  std::string sentence;      ///< what it cost, without a full stop; empty without a baseline
  std::optional<TaskFigure> figure;
  io::Json::Object json;  ///< members of the report
};

/// What a task may know before the first batch.
struct TaskSetting {
  const graph::Graph& network;
  const data::Dataset& dataset;
  bool two = false;            ///< whether there is a baseline
  bool probabilities = false;  ///< both networks end in Softmax
  std::map<std::string, std::string> options;
  base::Limits limits;
};

/// Scores what networks answer, example by example.
class Task {
 public:
  virtual ~Task() = default;
  virtual void add(const Answers& answers) = 0;
  /// `outputs` compares the raw outputs, whatever the task.
  virtual TaskResult result(std::span<const OutputError> outputs) const = 0;
};

/// One kind of task; a row of eval/tasks/tasks.def.
struct TaskKind {
  std::string_view name, summary;
  std::string_view keys;  ///< the options that it takes, "border, peak"
  std::unique_ptr<Task> (*make)(const TaskSetting& setting);
  /// Why it suits these answers of a first batch; empty where it does not. Asked in the order of the table when no task
  /// was named; nullptr: only where it is named.
  std::string (*suits)(const Answers& first, const TaskSetting& setting);
};
std::span<const TaskKind* const> all_tasks();

/// What `--task` takes: a name, and options as `NAME:KEY=VALUE,KEY=VALUE`.
struct TaskChoice {
  const TaskKind* kind = nullptr;  ///< nullptr: chosen by what the networks answer
  std::map<std::string, std::string> options;
};
/// Empty text is no choice. Throws Error(kUsage) naming what is unknown and what there is.
TaskChoice parse_task(std::string_view text);

/// The task of a choice, or the first of the table that suits the first batch, and why. There is always one.
struct ChosenTask {
  std::string_view name;
  std::string why;
  std::unique_ptr<Task> task;
};
ChosenTask make_task(const TaskChoice& choice, const Answers& first, TaskSetting setting);

/// A number among a task's options. Throws Error(kUsage) unless it is a number of at least `least`.
double number_option(const TaskSetting& setting, const std::string& key, double fallback, double least);

/// The rows "output error" of all outputs, or of those after the first `skip` ones.
std::vector<BillRow> output_error_rows(std::span<const OutputError> outputs, size_t skip, int64_t samples);

}  // namespace nibble::eval
