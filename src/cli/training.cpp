#include "cli/training.h"

#include <fmt/format.h>

#include <cmath>

#include "eval/html/report_page.h"

namespace nibble::cli {

TrainingData open_training_data(const std::filesystem::path& path, const std::string& validation, DataFlags flags,
                                uint64_t seed, const Network& network, Context& context) {
  TrainingData d;
  if (validation == "none") {
    d.training = open_data(path, flags, network, context);
    return d;
  }
  std::error_code none;
  if (std::filesystem::exists(validation, none)) {
    if (data::parse_labels(flags.labels).from == data::LabelOptions::From::kFile)
      base::fail_usage("--labels", "names the labels of --data, which are not those of --val",
                       "give --val a share or a number of samples");
    d.training = open_data(path, flags, network, context);
    DataFlags whole = flags;
    whole.samples = whole.offset = 0;
    whole.seed.reset();
    d.validation = open_data(validation, whole, network, context);
    return d;
  }
  char* end = nullptr;
  const double number = std::strtod(validation.c_str(), &end);
  const bool percent = *end == '%';
  if (end == validation.c_str() || *(percent ? end + 1 : end) != '\0' || !(number > 0) ||
      (!percent && number != std::floor(number)))
    base::fail_usage("--val", "there is no file " + base::in_quotes(validation),
                     "give a share (5%), a number of samples, data, or none");
  if (!flags.seed) flags.seed = seed;
  const int64_t all = open_data(path, flags, network, context)->size();
  const double wanted = percent ? std::ceil(static_cast<double>(all) * number / 100) : number;
  if (wanted >= static_cast<double>(all))
    base::fail_usage("--val", fmt::format("takes {} of {} samples, which leaves none to train on", wanted, all));
  DataFlags first = flags, rest = flags;
  first.samples = static_cast<int64_t>(wanted);
  rest.offset += first.samples;
  rest.samples = all - first.samples;
  d.validation = open_data(path, first, network, context, true);
  d.training = open_data(path, rest, network, context, true);
  return d;
}

std::string epoch_text(const train::Epoch& e, int64_t epochs) {
  std::string text = fmt::format("{}/{}   loss {:.4f}", e.epoch, epochs, e.loss);
  if (e.train_accuracy) text += fmt::format("   training {:.2f} %", 100 * *e.train_accuracy);
  if (e.score) text += "   validation " + e.score_text;
  if (e.bits != "full/full") text += fmt::format("   (weights/activations: {})", e.bits);
  if (e.frozen) text += fmt::format("   {} weights fixed", count_text(e.frozen));
  if (e.epoch < epochs)
    text += fmt::format("   {} left",
                        seconds_text(e.seconds / static_cast<double>(e.epoch) * static_cast<double>(epochs - e.epoch)));
  return text;
}

std::string verdict(const train::Outcome& o) {
  if (!o.final_score || o.score_name.empty()) return {};
  std::string text = fmt::format("{} on validation: {} after training", o.score_name, o.final_text);
  if (!o.start_text.empty()) text += fmt::format(", {} before", o.start_text);
  if (!o.teacher_text.empty()) text += ", float " + o.teacher_text;
  if (o.teacher_score && o.start_score && *o.teacher_score > *o.start_score)
    text += fmt::format("; {:.0f} % of what 4 bits cost is won back",
                        100 * (*o.final_score - *o.start_score) / (*o.teacher_score - *o.start_score));
  return text;
}

io::Json::Object training_json(const train::Outcome& o, const train::Options& options) {
  io::Json::Array epochs;
  for (const train::Epoch& e : o.epochs) epochs.push_back(train::to_json(e));
  const auto number = [](const std::optional<double>& v) { return v ? io::Json(*v) : io::Json(); };
  return {{"options", train::to_text(options)},
          {"epochs", std::move(epochs)},
          {"best_epoch", o.best_epoch},
          {"stopped", o.stopped},
          {"score", io::Json::Object{{"name", o.score_name},
                                     {"float", number(o.teacher_score)},
                                     {"before", number(o.start_score)},
                                     {"after", number(o.final_score)}}},
          {"step_seconds", o.step_seconds}};
}

eval::Page training_page(const train::Outcome& o, const train::Options& options, const quant::Plan& plan,
                         const std::string& file, int64_t float_bytes, int64_t bytes) {
  eval::Page page;
  page.kind = "nibble train";
  page.title = file;
  page.two = true;
  page.lead = verdict(o);
  if (!page.lead.empty()) page.lead += ".";
  page.notes = {
      "Validation was not trained on, but chose the epoch. What the network is worth is measured on other data, by "
      "nibble eval."};
  page.bars = {eval::size_bar(float_bytes, bytes)};
  const bool cost = o.score_name == train::kCost;
  if (o.final_score && o.start_score && !cost)
    page.bars.push_back({o.score_name + ", validation", fmt::format("from {} to {}", o.start_text, o.final_text),
                         *o.start_score, *o.final_score, 1.0, o.start_text, o.final_text});
  page.bill = {{"file", bytes_text(float_bytes), bytes_text(bytes),
                eval::ratio_text(static_cast<double>(float_bytes), static_cast<double>(bytes), "smaller", "larger")}};
  if (o.final_score)
    page.bill.push_back({o.score_name + " (validation)", o.start_text, o.final_text,
                         o.teacher_text.empty() ? "" : "float " + o.teacher_text});
  page.facts = {{"scheme", quant::to_text(plan.scheme)}, {"training", train::to_text(options)}};
  page.facts.push_back({"epoch written", fmt::format("{} of {}", o.best_epoch, o.epochs.size())});
  if (!o.stopped.empty()) page.facts.push_back({"stopped", o.stopped});
  for (const auto& l : plan.layers)
    if (!l.note.empty()) page.facts.push_back({base::printable(l.name), l.note});
  const auto height = [&](double v) { return cost ? -v : 100 * v; };
  eval::PageCurve score{o.score_name, "", cost ? "" : " %", "epoch", {{"validation", {}}}};
  eval::PageCurve::Line right{"training samples, as they were changed", {}};
  eval::PageCurve loss{"Loss", "", "", "epoch", {{"loss", {}}, {"labels", {}}, {"float network's answers", {}}}};
  if (o.start_score) score.lines[0].points.emplace_back(0, height(*o.start_score));
  for (const train::Epoch& e : o.epochs) {
    const auto x = static_cast<double>(e.epoch);
    if (e.score) score.lines[0].points.emplace_back(x, height(*e.score));
    if (e.train_accuracy) right.points.emplace_back(x, 100 * *e.train_accuracy);
    loss.lines[0].points.emplace_back(x, e.loss);
    if (e.label_loss > 0) loss.lines[1].points.emplace_back(x, e.label_loss);
    if (e.teacher_loss > 0) loss.lines[2].points.emplace_back(x, e.teacher_loss);
  }
  if (o.teacher_score && !cost) score.lines.push_back({"float", {{0, height(*o.teacher_score)}}});
  if (!right.points.empty() && !cost) score.lines.push_back(right);
  score.caption = verdict(o) + ". Epoch 0 is quantization without training.";
  loss.caption = "Mean over each epoch's samples; the parts as they are weighted.";
  if (score.lines[0].points.size() > 1) page.curves.push_back(score);
  if (o.epochs.size() > 1) page.curves.push_back(loss);
  return page;
}

}  // namespace nibble::cli
