// Character error rate of text recognisers trained with connectionist temporal classification (Graves et al., ICML
// 2006). The first output holds a row of symbols a time step; decoding is greedy ("best path", section 3.2 there): the
// largest of each step, repeats merged, blanks dropped. Errors are Levenshtein distances over Unicode code points; the
// rate is their sum over the references' length, as speech and text recognition report it. Without reference texts the
// float network's text is the reference.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "eval/tasks/task.h"

namespace nibble::eval {
namespace {

using io::Json;
using tensor::Tensor;

/// One code point or symbol an element, so that a distance counts characters.
std::vector<std::string> characters_of(std::string_view text, bool with_spaces) {
  std::vector<std::string> characters;
  while (!text.empty()) {
    const size_t length = std::max<size_t>(1, base::utf8_length(text));
    if (with_spaces || text.substr(0, length) != " ") characters.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return characters;
}

int64_t distance(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<int64_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int64_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
  }
  return lines;
}

/// The symbols of an alphabet, one a line: a file's, or those that the network carries as metadata `character`.
std::vector<std::string> alphabet_of(const TaskSetting& setting, std::string& origin) {
  const auto file = setting.options.find("alphabet");
  if (file != setting.options.end()) {
    origin = file->second;
    const auto mapped = base::MappedFile::open(file->second);
    base::check_limit(static_cast<int64_t>(mapped->bytes().size()), setting.limits.string_bytes, "string-bytes",
                      file->second, "the size of the alphabet");
    return lines_of(base::as_text(mapped->bytes()));
  }
  const auto it = setting.network.metadata.find("character");
  if (it == setting.network.metadata.end())
    base::fail_usage("--task ctc", "the network carries no alphabet (metadata `character`)",
                     "--task ctc:alphabet=FILE, a symbol a line");
  origin = "metadata `character`";
  return lines_of(it->second);
}

bool flag(const TaskSetting& setting, const std::string& key, std::string_view yes, std::string_view no,
          bool fallback) {
  const auto it = setting.options.find(key);
  if (it == setting.options.end()) return fallback;
  if (it->second == yes) return true;
  if (it->second == no) return false;
  base::fail_usage("--task", key + "=" + base::in_quotes(it->second) + " is neither " + std::string(yes) + " nor " +
                                 std::string(no));
}

class Ctc final : public Task {
 public:
  explicit Ctc(const TaskSetting& setting)
      : two_(setting.two),
        referenced_(setting.dataset.has_references()),
        spaces_(flag(setting, "spaces", "count", "ignore", true)),
        steps_first_(flag(setting, "layout", "tnc", "ntc", false)),
        blank_(static_cast<int64_t>(number_option(setting, "blank", 0, 0))),
        alphabet_(alphabet_of(setting, alphabet_origin_)) {
    if (!referenced_ && !two_)
      base::fail_usage("--task ctc", "has no texts to compare with",
                       "give --references FILE with lines of name TAB text, or a --baseline");
  }

  void add(const Answers& answers) override {
    const Tensor& t = answers.after[0];
    const int64_t n = answers.data.size();
    if (t.dtype() != tensor::DType::f32 || t.rank() != 3 || t.shape()[steps_first_ ? 1 : 0] != n || t.shape()[2] < 2)
      base::fail_unsupported(
          "--task ctc", "needs a first output of floats of shape " +
                            std::string(steps_first_ ? "[steps, N, symbols]" : "[N, steps, symbols]") + ", it is " +
                            std::string(tensor::name_of(t.dtype())) + " " + tensor::to_string(t.shape()));
    know_symbols(t.shape()[2]);
    for (int64_t s = 0; s < n; ++s) {
      const auto after = decode(t, s);
      const auto before = two_ ? decode(answers.before[0], s) : std::vector<std::string>();
      if (two_) same_ += before == after;
      ++lines_;
      std::vector<std::string> wanted = before;
      if (referenced_) {
        const auto* text = std::get_if<std::string>(&answers.data.references.at(static_cast<size_t>(s)));
        if (!text) base::fail_usage("--task ctc", "takes texts as references, these are images or arrays");
        wanted = characters_of(*text, spaces_);
      }
      lengths_.push_back(static_cast<double>(wanted.size()));
      after_.push_back(static_cast<double>(distance(wanted, after)));
      before_.push_back(two_ ? static_cast<double>(distance(wanted, before)) : 0.0);
      if (!two_ || !referenced_) continue;
      ++exact_.samples;
      exact_.lost += before_.back() == 0 && after_.back() != 0;
      exact_.won += before_.back() != 0 && after_.back() == 0;
    }
  }

  TaskResult result(std::span<const OutputError> outputs) const override;

 private:
  /// Fits the alphabet to the output: the blank is no symbol of it, and one symbol more than it has lines is a space.
  void know_symbols(int64_t count) {
    if (!symbols_.empty()) return;
    const auto lines = static_cast<int64_t>(alphabet_.size());
    if (blank_ >= count || (lines + 1 != count && lines + 2 != count))
      base::fail_unsupported("--task ctc",
                             fmt::format("the network has {} symbols, one of them blank (number {}), and the alphabet "
                                         "({}) {} lines",
                                         count, blank_, alphabet_origin_, lines),
                             "the alphabet has a line for each symbol but the blank, and may leave out a space at the "
                             "end");
    symbols_ = alphabet_;
    if (lines + 2 == count) symbols_.emplace_back(" ");
    symbols_.insert(symbols_.begin() + blank_, std::string());
  }

  std::vector<std::string> decode(const Tensor& t, int64_t sample) const {
    const int64_t steps = t.shape()[steps_first_ ? 0 : 1], n = t.shape()[steps_first_ ? 1 : 0], symbols = t.shape()[2];
    const auto values = t.values<float>();
    std::string text;
    int64_t last = blank_;
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t row = steps_first_ ? step * n + sample : sample * steps + step;
      const auto scores = values.subspan(static_cast<size_t>(row * symbols), static_cast<size_t>(symbols));
      const int64_t best = std::max_element(scores.begin(), scores.end()) - scores.begin();
      if (best != last && best != blank_) text += symbols_[static_cast<size_t>(best)];
      last = best;
    }
    return characters_of(text, spaces_);
  }

  bool two_, referenced_, spaces_, steps_first_;
  int64_t blank_;
  std::string alphabet_origin_;
  std::vector<std::string> alphabet_, symbols_;
  int64_t lines_ = 0, same_ = 0;
  std::vector<double> lengths_, before_, after_;  // reference characters and wrong ones, by line
  PairedChange exact_;
};

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double v : values) total += v;
  return total;
}

TaskResult Ctc::result(std::span<const OutputError> outputs) const {
  TaskResult r;
  const double length = sum(lengths_);
  const auto rate = [&](const std::vector<double>& errors) { return length > 0 ? sum(errors) / length : 0.0; };
  const auto percent = [](double share) { return fmt::format("{:.2f} %", 100 * share); };
  const auto right = [](const std::vector<double>& errors) { return std::count(errors.begin(), errors.end(), 0.0); };
  const double before = rate(before_), after = rate(after_);
  Json::Object json{{"lines", lines_},
                    {"reference_characters", static_cast<int64_t>(length)},
                    {"against", referenced_ ? "references" : "the float network's text"},
                    {"spaces", spaces_ ? "counted" : "ignored"},
                    {"after", Json::Object{{"errors", static_cast<int64_t>(sum(after_))},
                                           {"rate", after},
                                           {"exact_lines", static_cast<int64_t>(right(after_))}}}};
  TaskFigure figure;
  figure.label = referenced_ ? "Characters read right" : "Characters as the float network reads them";
  figure.after = std::clamp(1 - after, 0.0, 1.0);
  figure.after_text = figure.change = percent(figure.after);
  const std::string of = fmt::format("{} of {} characters wrong", sum(after_), length);
  if (two_ && referenced_) {
    std::vector<double> more(after_.size());
    for (size_t i = 0; i < more.size(); ++i) more[i] = after_[i] - before_[i];
    const Interval i = bootstrap_ratio_interval(more, lengths_);
    const Interval lines = exact_.interval();
    r.rows.push_back(
        {"character error", percent(before), percent(after),
         fmt::format("{:+.2f}  [{:+.2f}, {:+.2f}]   {}", 100 * (after - before), 100 * i.low, 100 * i.high, of)});
    const auto share = [&](const std::vector<double>& errors) {
      return static_cast<double>(right(errors)) / static_cast<double>(std::max<int64_t>(1, lines_));
    };
    r.rows.push_back(
        {"lines read right", percent(share(before_)), percent(share(after_)),
         fmt::format("{:+.2f}  [{:+.2f}, {:+.2f}]   {} lost, {} won (p = {:.2g})", 100 * exact_.difference(),
                     100 * lines.low, 100 * lines.high, exact_.lost, exact_.won, exact_.p_value())});
    json.emplace_back("before", Json::Object{{"errors", static_cast<int64_t>(sum(before_))},
                                             {"rate", before},
                                             {"exact_lines", static_cast<int64_t>(right(before_))}});
    json.emplace_back("change", Json::Object{{"rate", after - before}, {"interval", Json::Array{i.low, i.high}}});
    const double lost = 100 * (after - before);
    r.drop = Drop{lost, "points of character error more"};
    r.sentence =
        lost > 0
            ? fmt::format("This cost the network {:.2f} points of character error over {} lines", lost, lines_)
            : fmt::format("This cost the network no character ({:+.2f} points of error over {} lines)", lost, lines_);
    figure.before = std::clamp(1 - before, 0.0, 1.0);
    figure.before_text = percent(*figure.before);
    figure.change = fmt::format("{:+.2f} points", -lost);
  } else {
    const Interval i = bootstrap_ratio_interval(after_, lengths_);
    const std::string text = fmt::format("[{:.2f}, {:.2f}]   {}", 100 * i.low, 100 * i.high, of);
    r.rows.push_back({referenced_ ? "character error" : "characters changed", two_ ? "-" : "", percent(after), text});
    if (referenced_) {
      const Interval w = wilson_interval(right(after_), lines_);
      r.rows.push_back({"lines read right", "",
                        percent(static_cast<double>(right(after_)) / static_cast<double>(std::max<int64_t>(1, lines_))),
                        fmt::format("[{:.2f}, {:.2f}]   {} of {}", 100 * w.low, 100 * w.high, right(after_), lines_)});
    } else {
      r.drop = Drop{100 * after, "% of characters changed"};
      r.sentence = fmt::format("{:.2f} % of the characters changed over {} lines (no reference texts were given)",
                               100 * after, lines_);
    }
  }
  if (two_) {
    const double share = static_cast<double>(same_) / static_cast<double>(std::max<int64_t>(1, lines_));
    r.rows.push_back({"same text", "-", percent(share), fmt::format("of {} lines", lines_)});
    json.emplace_back("same_text", same_);
    for (BillRow& row : output_error_rows(outputs, 0, lines_)) r.rows.push_back(std::move(row));
  }
  r.json.emplace_back("ctc", std::move(json));
  r.figure = figure;
  return r;
}

}  // namespace

const TaskKind& ctc_task() {
  static const TaskKind kind = {
      "ctc", "character error rate of text recognisers, decoded greedily, against reference texts",
      "alphabet, blank, layout, spaces",
      [](const TaskSetting& setting) -> std::unique_ptr<Task> { return std::make_unique<Ctc>(setting); },
      [](const Answers& first, const TaskSetting&) -> std::string {
        const bool texts =
            !first.data.references.empty() && std::holds_alternative<std::string>(first.data.references[0]);
        return texts && first.after[0].rank() == 3 ? "the data has reference texts, the output steps and symbols" : "";
      }};
  return kind;
}

}  // namespace nibble::eval
