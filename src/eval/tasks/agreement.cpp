// How often both networks answer the same, output by output: the same class where an output is [N, classes], else how
// many of its values are within a tolerance: |x - y| <= tolerance * the largest |x| of the sample's output.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "eval/table.h"
#include "eval/tasks/class_rows.h"

namespace nibble::eval {
namespace {

using io::Json;

class Agreement final : public Task {
 public:
  explicit Agreement(const TaskSetting& setting)
      : probabilities_(setting.probabilities), tolerance_(number_option(setting, "tolerance", 0.05, 0)) {
    if (!setting.two)
      base::fail_usage("--task agreement", "compares two networks, and there is one", "give --baseline or --scheme");
    for (const graph::ValueId id : setting.network.outputs) {
      outputs_.emplace_back();
      outputs_.back().name = setting.network.value(id).name;
    }
  }

  void add(const Answers& answers) override {
    samples_ += answers.data.size();
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (!answers.comparable(i)) continue;  // the rows of its error say so
      if (answers.rows_of_classes(i))
        outputs_[i].classes.add(answers, i, probabilities_ && i == 0);
      else
        add_values(answers, i);
    }
  }

  TaskResult result(std::span<const OutputError> errors) const override;

 private:
  struct Output {
    std::string name;
    ClassAnswers classes;               // where its rows are classes
    std::vector<double> close, values;  // else by sample
    bool exact = false;                 // no floats: equality counts
    bool has_classes() const { return classes.samples > 0; }
    double close_share() const {
      double within = 0, of = 0;
      for (size_t s = 0; s < close.size(); ++s) within += close[s], of += values[s];
      return of > 0 ? within / of : 1.0;
    }
    double changed() const { return has_classes() ? changed_percent(classes) : 100 * (1 - close_share()); }
  };

  void add_values(const Answers& answers, size_t i) {
    Output& out = outputs_[i];
    const tensor::Tensor &x = answers.before[i], &y = answers.after[i];
    const auto samples = answers.by_sample(i) ? static_cast<size_t>(answers.data.size()) : 1;
    const size_t each = static_cast<size_t>(x.elements()) / samples;
    out.exact = x.dtype() != tensor::DType::f32;
    const size_t size = each ? x.bytes().size() / (each * samples) : 0;
    for (size_t s = 0; s < samples; ++s) {
      int64_t close = 0;
      if (out.exact) {
        for (size_t e = s * each; e < (s + 1) * each; ++e)
          close += std::memcmp(x.bytes().data() + e * size, y.bytes().data() + e * size, size) == 0;
      } else {
        const auto a = x.values<float>().subspan(s * each, each), b = y.values<float>().subspan(s * each, each);
        double largest = 0;
        for (const float v : a) largest = std::max(largest, std::fabs(double{v}));
        for (size_t e = 0; e < each; ++e) close += std::fabs(double{a[e]} - b[e]) <= tolerance_ * largest;
      }
      out.close.push_back(static_cast<double>(close));
      out.values.push_back(static_cast<double>(each));
    }
  }

  bool probabilities_;
  double tolerance_;
  int64_t samples_ = 0;
  std::vector<Output> outputs_;
};

TaskResult Agreement::result(std::span<const OutputError> errors) const {
  TaskResult r;
  Json::Array list;
  const Output* worst = nullptr;
  for (const Output& out : outputs_) {
    if (!out.has_classes() && out.close.empty()) continue;
    if (!worst || out.changed() > worst->changed()) worst = &out;
    Json::Object row{{"output", out.name}, {"same_share", 1 - out.changed() / 100}};
    if (out.has_classes() && &out == &outputs_[0]) {
      add_agreement(out.classes, r);
      row.emplace_back("unit", "answers");
    } else {
      const Interval i = out.has_classes() ? wilson_interval(out.classes.same_answer, out.classes.samples)
                                           : bootstrap_ratio_interval(out.close, out.values);
      const std::string of =
          out.has_classes() ? fmt::format("of {} samples", out.classes.samples)
          : out.exact       ? "of its values equal"
                            : fmt::format("of its values within {:.3g} % of the sample's largest", 100 * tolerance_);
      r.rows.push_back({"same " + base::printable(out.name, 28), "-", fmt::format("{:.2f} %", 100 - out.changed()),
                        fmt::format("[{:.2f}, {:.2f}]   {}", 100 * i.low, 100 * i.high, of)});
      row.emplace_back("unit", out.has_classes() ? "answers" : "values");
      row.emplace_back("interval", Json::Array{i.low, i.high});
    }
    list.push_back(std::move(row));
  }
  r.json.emplace_back("agreement", Json::Object{{"tolerance", tolerance_}, {"outputs", std::move(list)}});
  for (BillRow& row : output_error_rows(errors, outputs_.size() == 1 && outputs_[0].has_classes() ? 1 : 0, samples_))
    r.rows.push_back(std::move(row));
  if (!worst) return r;
  const bool first_alone = worst == &outputs_[0] && worst->has_classes();
  const std::string what = worst->has_classes() ? "answers" : "values";
  const std::string of_which = outputs_.size() > 1 ? " of " + base::printable(worst->name, 28) : "";
  r.drop = Drop{worst->changed(), "% of " + what + of_which + " changed"};
  r.sentence =
      first_alone && outputs_.size() == 1
          ? fmt::format("{:.2f} % of {} answers changed", worst->changed(), samples_)
          : fmt::format("{:.2f} % of the {}{} changed over {} samples", worst->changed(), what, of_which, samples_);
  TaskFigure figure;
  figure.label = "Agreement: the same answer as before";
  figure.after = 1 - worst->changed() / 100;
  figure.change = fmt::format("{:.2f} %", 100 * figure.after);
  figure.after_text = worst->has_classes() ? fmt::format("{} of {}", worst->classes.same_answer, worst->classes.samples)
                                           : fmt::format("{} samples", samples_);
  r.figure = figure;
  return r;
}

}  // namespace

const TaskKind& agreement_task() {
  static const TaskKind kind = {
      "agreement", "how often both networks answer the same: the same class, or values within a tolerance", "tolerance",
      [](const TaskSetting& setting) -> std::unique_ptr<Task> { return std::make_unique<Agreement>(setting); },
      [](const Answers& first, const TaskSetting& setting) -> std::string {
        return setting.two && first.rows_of_classes(0) ? "the network answers with classes, and there are no labels"
                                                       : "";
      }};
  return kind;
}

}  // namespace nibble::eval
