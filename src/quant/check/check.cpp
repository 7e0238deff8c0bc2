#include "quant/check/check.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "graph/subgraphs.h"
#include "model/open.h"
#include "model/stored_weights.h"
#include "quant/prepare/prepare.h"
#include "runtime/infer_shapes.h"
#include "runtime/rewrite/rewrite.h"
#include "runtime/session.h"

namespace nibble::quant {
namespace {

using graph::Graph;
using graph::ValueId;
using tensor::Tensor;

// 16-bit floats end at 2^-24. Below 2^-20 a scale has fewer than five binary digits, and rounding it moves the
// outermost of 16 levels by up to half a step.
constexpr float kLeastGoodF16 = 0x1p-20f;

class Findings {
 public:
  void add(Severity severity, std::string place, std::string sentence, std::string advice = {}) {
    list_.push_back({severity, std::move(place), std::move(sentence), std::move(advice)});
  }
  void add(Severity severity, const base::Error& e) { add(severity, e.place(), e.sentence(), e.advice()); }
  /// Runs a step; its Error is a finding. False when there was one.
  template <typename Step>
  bool attempt(const Step& step) {
    try {
      step();
      return true;
    } catch (const base::Error& e) {
      if (e.kind() == base::ErrorKind::kInternal) throw;
      add(Severity::kError, e);
      return false;
    }
  }
  std::vector<Finding> sorted() && {
    std::stable_sort(list_.begin(), list_.end(),
                     [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
    return std::move(list_);
  }

 private:
  std::vector<Finding> list_;
};

std::string shape_text(const graph::Value& v) { return v.shape_known ? tensor::to_string(v.shape) : "of any rank"; }

void check_inputs(const Graph& graph, Findings& findings) {
  for (const ValueId id : graph.inputs) {
    const graph::Value& v = graph.value(id);
    const std::string place = "input " + base::in_quotes(v.name);
    const std::string what = std::string(name_of(v.dtype)) + " " + shape_text(v);
    if (!v.shape_known)
      findings.add(Severity::kWarning, place, what + ": the file leaves its shape open, data settles it");
    else if (std::count(v.shape.begin() + (v.shape.empty() ? 0 : 1), v.shape.end(), tensor::kUnknown))
      findings.add(Severity::kNote, place, what + ": sizes beside the batch are open, data settles them");
    else if (!v.shape.empty() && v.shape[0] != tensor::kUnknown && v.shape[0] != 1)
      findings.add(Severity::kNote, place, what + ": takes batches of exactly " + std::to_string(v.shape[0]));
  }
  if (graph.inputs.size() > 1)
    findings.add(Severity::kNote, "inputs",
                 std::to_string(graph.inputs.size()) + " of them; data must have an array for each");
}

/// Values whose shapes stay open though every input's sizes are known.
void check_shapes(const Graph& graph, Findings& findings) {
  Graph g = graph;
  for (const ValueId id : g.inputs) {
    graph::Value& v = g.value(id);
    if (!v.shape_known) return;
    for (size_t d = 0; d < v.shape.size(); ++d) {
      if (v.shape[d] != tensor::kUnknown) continue;
      if (d > 0) return;
      v.shape[d] = 1;
    }
  }
  std::vector<base::Error> problems;  // what does not fit a batch of one is no finding: the file does not promise it
  runtime::infer_shapes(g, &problems);
  if (!problems.empty()) return;
  base::ThreadPool pool(1);  // constants are small
  runtime::settle(g, pool, {});
  g.compact();
  int64_t open = 0;
  std::string first;
  for (graph::NodeId id = 0; id < g.node_count(); ++id)
    for (const ValueId v : g.node(id).outputs) {
      if (v == graph::kNoValue || (g.value(v).shape_known && tensor::is_known(g.value(v).shape))) continue;
      if (open++ == 0) first = g.node(id).describe();
    }
  if (open)
    findings.add(Severity::kNote, first,
                 "the shape of its output is known only when the network runs" +
                     (open > 1 ? ", as are those of " + std::to_string(open - 1) + " more values" : ""));
}

/// The scales of a layer's groups under the scheme: too large for their type, or so small that they lose bits or
/// vanish.
void check_scales(const Graph& graph, const LayerPlan& layer, Findings& findings) {
  const Tensor& w = graph::graph_at(graph, layer.path).value(layer.weight).constant;
  const auto values = w.values<float>();
  const int64_t row_stride = layer.transposed ? 1 : layer.columns, column_stride = layer.transposed ? layer.rows : 1;
  const int64_t length = layer.group ? layer.group : layer.columns;
  int64_t coarse = 0, vanished = 0, groups = 0;
  for (int64_t r = 0; r < layer.rows; ++r)
    for (int64_t begin = 0; begin < layer.columns; begin += length) {
      float low = 0, high = 0;
      for (int64_t c = begin; c < std::min(begin + length, layer.columns); ++c) {
        const float x = values[static_cast<size_t>(r * row_stride + c * column_stride)];
        if (!std::isfinite(x)) return;  // another finding
        low = std::min(low, x);
        high = std::max(high, x);
      }
      ++groups;
      const float scale = fit::params_from_range(low, high, layer.grid).scale;
      const float largest = std::max(-low, high);
      if (largest == 0) continue;
      vanished += scale == 1 && largest < 0.5f;  // storable's answer to a scale that rounds to zero
      coarse += layer.grid.stored_as == codec::ScaleType::kF16 && scale < kLeastGoodF16;
    }
  const std::string place = "tensor " + base::in_quotes(layer.weight_name);
  const std::string of = " of its " + std::to_string(groups) + " scales ";
  if (vanished)
    findings.add(Severity::kWarning, place,
                 std::to_string(vanished) + of + "would be too small to store: these weights become 0");
  if (coarse)
    findings.add(Severity::kWarning, place,
                 std::to_string(coarse) + of + "would be below 2^-20, where 16-bit floats have few digits",
                 "scale the weights up, or keep the layer at 8 bits (--keep)");
}

/// "1 output channel is", "3 output channels are".
std::string channels_text(int64_t n, const char* one, const char* many) {
  return std::to_string(n) + (n == 1 ? " output channel " + std::string(one) : " output channels " + std::string(many));
}

void check_weights(const Graph& graph, const Plan& plan, Findings& findings) {
  std::vector<std::string> differing;
  for (const LayerPlan& layer : plan.layers) {
    if (graph::graph_at(graph, layer.path).value(layer.weight).constant.quantization())
      continue;  // said for all of them at once
    const std::string place = "layer " + base::in_quotes(layer.name) + " (" + layer.op + ")";
    if (layer.bits == 16) {
      findings.add(Severity::kWarning, place, "cannot be quantized: " + layer.note,
                   "--allow-fallback leaves it as it is");
      continue;
    }
    if (!layer.note.empty()) differing.push_back(base::in_quotes(layer.name) + ", " + layer.note);
    findings.attempt([&] { check_scales(graph, layer, findings); });
    const ChannelRemarks remarks = channel_remarks(graph, layer);
    if (remarks.outliers)
      findings.add(Severity::kNote, place,
                   channels_text(remarks.outliers, "spans", "span") + " more than 20 times the median one",
                   "--keep leaves the layer at 8 bits");
    if (remarks.dead) findings.add(Severity::kNote, place, channels_text(remarks.dead, "is", "are") + " all zeros");
  }
  if (!differing.empty())
    findings.add(Severity::kNote, "",
                 std::to_string(differing.size()) + (differing.size() == 1 ? " layer differs" : " layers differ") +
                     " from the scheme: " + differing[0] + (differing.size() > 1 ? "; ..." : ""),
                 differing.size() > 1 ? "`nibble quantize --dry-run` lists all" : "");
  for (const std::string& text : plan.left_out) findings.add(Severity::kNote, "left out", text);
}

/// Weights that are quantized already. True when there is nothing else to quantize.
bool check_quantized(const Graph& graph, Findings& findings) {
  const auto weights = model::stored_weights(graph);
  const auto quantized =
      std::count_if(weights.begin(), weights.end(), [](const model::StoredWeight& w) { return w.bits < 32; });
  if (quantized)
    findings.add(
        Severity::kNote, "",
        std::to_string(quantized) + " of " + std::to_string(weights.size()) + " weights are quantized already");
  return quantized > 0 && quantized == static_cast<std::ptrdiff_t>(weights.size());
}

/// NaN and infinity: quantizing refuses them in the weights of layers; anywhere else they reach the output.
void check_finite(const Graph& graph, const Plan& plan, Findings& findings) {
  std::set<std::pair<const Graph*, ValueId>> weights;
  for (const LayerPlan& layer : plan.layers) weights.insert({&graph::graph_at(graph, layer.path), layer.weight});
  graph::for_each_graph(graph, [&](const Graph& g, const graph::Path& path) {
    for (ValueId v = 0; v < g.value_count(); ++v) {
      if (!g.is_constant(v)) continue;
      try {
        require_finite(g.value(v));
      } catch (const base::Error& e) {
        if (weights.count({&g, v}))
          findings.add(Severity::kError, e);
        else
          findings.add(Severity::kWarning, e.place() + graph::place_text(graph, path), e.sentence());
      }
    }
  });
}

}  // namespace

std::string_view name_of(Severity severity) {
  constexpr std::string_view kNames[] = {"error", "warning", "note"};
  return kNames[static_cast<size_t>(severity)];
}

ChannelRemarks channel_remarks(const Graph& graph, const LayerPlan& layer) {
  const auto w = graph::graph_at(graph, layer.path).value(layer.weight).constant.values<float>();
  const int64_t row_stride = layer.transposed ? 1 : layer.columns, column_stride = layer.transposed ? layer.rows : 1;
  ChannelRemarks remarks;
  std::vector<float> largest;
  for (int64_t r = 0; r < layer.rows; ++r) {
    float m = 0;
    for (int64_t c = 0; c < layer.columns; ++c)
      m = std::max(m, std::fabs(w[static_cast<size_t>(r * row_stride + c * column_stride)]));
    largest.push_back(m);
    remarks.dead += m == 0;
  }
  if (largest.empty()) return remarks;
  auto sorted = largest;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
  const float median = sorted[sorted.size() / 2];
  remarks.outliers =
      std::count_if(largest.begin(), largest.end(), [&](float m) { return median > 0 && m > 20 * median; });
  return remarks;
}

std::vector<Finding> check(const std::filesystem::path& path, const Scheme& scheme, const base::Limits& limits,
                           base::ThreadPool& pool) {
  base::MappedFile::open(path, true);  // that it cannot be opened says nothing of the network
  Findings findings;
  io::Notes notes;
  std::vector<base::Error> problems;
  model::OpenOptions options;
  options.limits = limits;
  const Graph graph = model::open(path, options, notes, &problems);
  for (const base::Error& e : problems) findings.add(Severity::kError, e);
  const std::string place = base::printable(path.string(), 400);
  for (const std::string& note : notes) {
    const bool placed = note.rfind(place + ": ", 0) == 0;
    findings.add(Severity::kNote, placed ? place : "", placed ? note.substr(place.size() + 2) : note);
  }
  if (!problems.empty()) return std::move(findings).sorted();

  check_inputs(graph, findings);
  check_shapes(graph, findings);
  runtime::SessionOptions session;
  session.limits = limits;
  findings.attempt([&] { runtime::Session(graph, pool, session); });
  Plan plan;
  Graph prepared = graph;
  const bool done = check_quantized(graph, findings);
  if (!done && findings.attempt([&] { prepare(prepared); })) {
    PlanOptions plan_options;
    plan_options.allow_fallback = true;
    plan_options.zero_nonfinite = true;
    try {
      plan = make_plan(prepared, scheme, nullptr, plan_options);
    } catch (const base::Error& e) {
      if (e.kind() == base::ErrorKind::kInternal) throw;
      findings.add(Severity::kWarning, e);  // it can be run, though not quantized
    }
  }
  check_weights(prepared, plan, findings);
  check_finite(prepared, plan, findings);
  return std::move(findings).sorted();
}

}  // namespace nibble::quant
