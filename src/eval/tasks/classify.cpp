// Top-1 and top-5 against labels, with McNemar's test of the change, and how often both networks agree.
#include <fmt/format.h>

#include "base/error.h"
#include "eval/tasks/class_rows.h"

namespace nibble::eval {
namespace {

using io::Json;

double share(int64_t part, int64_t whole) {
  return whole ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}
std::string percent_text(int64_t part, int64_t whole) { return fmt::format("{:.2f} %", 100 * share(part, whole)); }

Json accuracy_json(const Accuracy& a) {
  const Interval i = wilson_interval(a.top1, a.samples);
  return Json::Object{{"samples", a.samples},
                      {"top1", a.top1},
                      {"top5", a.top5},
                      {"top1_share", share(a.top1, a.samples)},
                      {"top1_interval", Json::Array{i.low, i.high}}};
}

class Classify final : public Task {
 public:
  explicit Classify(const TaskSetting& setting) : two_(setting.two), probabilities_(setting.probabilities) {
    if (!setting.dataset.has_labels())
      base::fail_usage("--task classify", "needs labels, and the data has none", "--labels says where they are");
  }
  void add(const Answers& answers) override {
    if (!answers.rows_of_classes(0))
      base::fail_unsupported("--task classify", "needs a first output of floats of shape [N, classes], it is " +
                                                    std::string(tensor::name_of(answers.after[0].dtype())) + " " +
                                                    tensor::to_string(answers.after[0].shape()));
    answers_.add(answers, 0, probabilities_);
  }
  TaskResult result(std::span<const OutputError> outputs) const override;

 private:
  bool two_, probabilities_;
  ClassAnswers answers_;
};

TaskResult Classify::result(std::span<const OutputError> outputs) const {
  TaskResult r;
  const ClassAnswers& c = answers_;
  if (c.after.samples == 0) return r;
  std::string change;
  if (two_) {
    const Interval i = c.change.interval();
    change = fmt::format("{:+.2f}  [{:+.2f}, {:+.2f}]   {} lost, {} won (p = {:.2g})", 100 * c.change.difference(),
                         100 * i.low, 100 * i.high, c.change.lost, c.change.won, c.change.p_value());
  } else {
    const Interval i = wilson_interval(c.after.top1, c.after.samples);
    change = fmt::format("[{:.2f}, {:.2f}]   {} of {}", 100 * i.low, 100 * i.high, c.after.top1, c.after.samples);
  }
  const double top5 = 100 * (share(c.after.top5, c.after.samples) - share(c.before.top5, c.before.samples));
  r.rows.push_back({"top-1", two_ ? percent_text(c.before.top1, c.before.samples) : "",
                    percent_text(c.after.top1, c.after.samples), change});
  r.rows.push_back({"top-5", two_ ? percent_text(c.before.top5, c.before.samples) : "",
                    percent_text(c.after.top5, c.after.samples), two_ ? fmt::format("{:+.2f}", top5) : ""});

  TaskFigure figure;
  figure.label = "Accuracy, top-1";
  figure.after = share(c.after.top1, c.after.samples);
  figure.after_text = figure.change = fmt::format("{:.2f} %", 100 * figure.after);
  Json::Object accuracy;
  if (two_) accuracy.emplace_back("before", accuracy_json(c.before));
  accuracy.emplace_back("after", accuracy_json(c.after));
  if (two_) {
    const Interval i = c.change.interval();
    accuracy.emplace_back("change", Json::Object{{"difference", c.change.difference()},
                                                 {"interval", Json::Array{i.low, i.high}},
                                                 {"lost", c.change.lost},
                                                 {"won", c.change.won},
                                                 {"p_value", c.change.p_value()}});
    figure.before = share(c.before.top1, c.before.samples);
    figure.before_text = fmt::format("{:.2f} %", 100 * *figure.before);
    figure.change = fmt::format("{:+.2f} points", 100 * c.change.difference());

    const double lost = -100.0 * c.change.difference();
    r.drop = Drop{lost, "points of top-1 lost"};
    if (lost > 0)
      r.sentence = fmt::format("This cost the network {:.2f} points of top-1", lost);
    else if (lost < 0)
      r.sentence = fmt::format("This network gained {:.2f} points of top-1", -lost);
    else
      r.sentence = "This cost the network no top-1 accuracy";
    // McNemar's test, the p that the table shows
    r.sentence +=
        fmt::format(", {} the noise of {} samples", c.change.p_value() >= 0.05 ? "within" : "more than", c.samples);
  }
  r.json.emplace_back("accuracy", std::move(accuracy));
  r.figure = figure;
  if (two_) add_agreement(c, r);
  if (outputs.size() > 1)
    for (BillRow& row : output_error_rows(outputs, 1, c.samples)) r.rows.push_back(std::move(row));
  return r;
}

}  // namespace

const TaskKind& classify_task() {
  static const TaskKind kind = {
      "classify", "top-1 and top-5 against labels, the first output being [N, classes]", "",
      [](const TaskSetting& setting) -> std::unique_ptr<Task> { return std::make_unique<Classify>(setting); },
      [](const Answers& first, const TaskSetting& setting) -> std::string {
        return setting.dataset.has_labels() && first.rows_of_classes(0) ? "the data has labels, the network classes"
                                                                        : "";
      }};
  return kind;
}

}  // namespace nibble::eval
