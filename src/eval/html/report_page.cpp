#include "eval/html/report_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/table.h"

namespace nibble::eval {
namespace {

PageBar time_bar(const Report& r) {
  PageBar b;
  b.label = fmt::format("Median time, batch 1, {} {}", r.threads, r.threads == 1 ? "thread" : "threads");
  b.after = r.after.latency->p50();
  b.after_text = b.change = seconds_text(b.after);
  b.full = b.after;
  if (r.before && r.before->latency) {
    b.before = r.before->latency->p50();
    b.before_text = seconds_text(*b.before);
    b.full = std::max(*b.before, b.after);
    b.change = ratio_text(*b.before, b.after, "faster", "slower");
  }
  return b;
}

PageBar task_bar(const TaskFigure& figure) {
  PageBar b;
  b.label = figure.label;
  b.before = figure.before;
  b.after = figure.after;
  b.change = figure.change;
  b.before_text = figure.before_text;
  b.after_text = figure.after_text;
  return b;
}

std::vector<PageLayer> layers_of(const Report& r) {
  std::vector<PageLayer> layers;
  for (const WeightError& w : r.weights) {
    PageLayer l;
    l.name = w.name;
    l.op = w.op;
    l.shape = tensor::to_string(w.stored.shape());
    l.format = w.format;
    l.bits = w.bits;
    l.bits_per_weight = w.bits_per_weight();
    l.bytes = w.bytes;
    if (w.real && w.is_quantized()) l.weight_db = w.sqnr_db;
    layers.push_back(std::move(l));
  }
  for (const LayerError& e : r.comparison.layers) {
    const auto it = std::find_if(layers.begin(), layers.end(), [&](const PageLayer& l) { return l.name == e.name; });
    PageLayer& l = it == layers.end() ? layers.emplace_back() : *it;
    if (it == layers.end()) {
      l.name = e.name;
      l.op = e.op;
    }
    l.output_db = e.sqnr_db;
    l.cosine = e.cosine;
  }
  return layers;
}

}  // namespace

PageBar size_bar(int64_t before, int64_t after) {
  PageBar b;
  b.label = "Size of the file";
  b.after = static_cast<double>(after);
  b.after_text = b.change = bytes_text(after);
  b.full = b.after;
  if (before > 0) {
    b.before = static_cast<double>(before);
    b.before_text = bytes_text(before);
    b.full = std::max(*b.before, b.after);
    b.change = ratio_text(*b.before, b.after, "smaller", "larger");
  }
  return b;
}

Page page_of(const Report& r) {
  Page page;
  page.kind = "nibble eval";
  page.two = r.before.has_value();
  page.title = !page.two              ? r.after.file
               : r.after.file.empty() ? fmt::format("{} at {}", r.before->file, r.scheme.substr(0, r.scheme.find(':')))
                                      : fmt::format("{} against {}", r.after.file, r.before->file);
  page.lead = verdict(r);
  page.bill = bill(r);
  if (r.after.file_bytes > 0) page.bars.push_back(size_bar(page.two ? r.before->file_bytes : 0, r.after.file_bytes));
  if (r.after.latency) page.bars.push_back(time_bar(r));
  if (r.comparison.task.figure) page.bars.push_back(task_bar(*r.comparison.task.figure));
  const auto fact = [](std::vector<PageFact>& facts, const char* label, const std::string& value) {
    if (!value.empty()) facts.push_back({label, value});
  };
  fact(page.facts, "task", task_text(r.comparison.task));
  fact(page.facts, "scheme", r.scheme);
  fact(page.facts, "quantized", r.positions);
  fact(page.facts, "data", r.data);
  if (r.after.energy) fact(page.facts, "energy from", r.after.energy->source);
  page.layers = layers_of(r);
  page.weights = r.weights;
  const size_t left = static_cast<size_t>(
      std::count_if(r.weights.begin(), r.weights.end(), [](const auto& w) { return w.is_quantized() && !w.real; }));
  page.layers_text =
      !page.two ? "The bits of a weight count its scales."
                : fmt::format(
                      "Signal to quantization noise (SQNR) in decibels, more is better: of the weights, and "
                      "of the layer's output over {} "
                      "samples, which has lost what earlier layers lost too. The bits of a weight count its scales.",
                      r.comparison.layer_samples);
  if (left)
    page.layers_text += fmt::format(" {} {} no counterpart of the same shape in the baseline.", left,
                                    left == 1 ? "weight has" : "weights have");
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
