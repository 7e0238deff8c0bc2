// The error of every output as a share of its size: sqrt(sum (x - y)^2 / sum x^2). Suits every network.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/tasks/task.h"

namespace nibble::eval {
namespace {

class Mse final : public Task {
 public:
  explicit Mse(const TaskSetting& setting) : two_(setting.two) {}
  void add(const Answers& answers) override { samples_ += answers.data.size(); }

  TaskResult result(std::span<const OutputError> outputs) const override {
    TaskResult r;
    if (!two_) return r;
    r.rows = output_error_rows(outputs, 0, samples_);
    const OutputError* worst = nullptr;
    for (const OutputError& e : outputs)
      if (e.floats && e.values > 0 && (!worst || e.relative_error > worst->relative_error)) worst = &e;
    if (!worst) return r;
    const std::string which = outputs.size() > 1 ? " " + base::printable(worst->name, 28) : "";
    r.drop = Drop{100 * worst->relative_error, "% of the size of the output" + which + " lost", 10};
    const std::string db = std::isinf(worst->sqnr_db) ? std::string("exact") : fmt::format("{:.1f} dB", worst->sqnr_db);
    r.sentence = fmt::format("The output{} differs by {:.3g} of its size ({}) over {} samples", which,
                             worst->relative_error, db, samples_);
    TaskFigure figure;
    figure.label = "Error of the output" + which + ", as a share of its size";
    figure.after = std::min(1.0, worst->relative_error);
    figure.change = fmt::format("{:.3g} %", 100 * worst->relative_error);
    figure.after_text = fmt::format("{} samples", samples_);
    r.figure = figure;
    return r;
  }

 private:
  bool two_;
  int64_t samples_ = 0;
};

}  // namespace

const TaskKind& mse_task() {
  static const TaskKind kind = {
      "mse", "the error of every output as a share of its size", "",
      [](const TaskSetting& setting) -> std::unique_ptr<Task> { return std::make_unique<Mse>(setting); },
      [](const Answers&, const TaskSetting& setting) -> std::string {
        return setting.two ? "the outputs are no classes" : "nothing to compare with: no labels and no baseline";
      }};
  return kind;
}

}  // namespace nibble::eval
