#include "eval/evaluate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "base/error.h"
#include "graph/products.h"
#include "runtime/session.h"

namespace nibble::eval {
namespace {

using graph::Graph;
using tensor::Tensor;

/// Whether the first output already holds probabilities.
bool ends_in_softmax(const Graph& graph) {
  const auto producers = graph.producers();
  const graph::NodeId id = producers[static_cast<size_t>(graph.outputs[0])];
  return id >= 0 && graph.node(id).op == "Softmax";
}

/// Place of the largest value, the first one on ties.
int64_t top_class(std::span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

bool among_top(std::span<const float> row, int64_t label, int64_t k) {
  if (label < 0 || label >= static_cast<int64_t>(row.size())) return false;
  int64_t larger = 0;
  for (size_t i = 0; i < row.size(); ++i)
    larger += row[i] > row[static_cast<size_t>(label)] ||
              (row[i] == row[static_cast<size_t>(label)] && static_cast<int64_t>(i) < label);
  return larger < k;
}

std::span<const float> floats_of(const Tensor& t, const char* which) {
  if (t.dtype() != tensor::DType::f32)
    base::fail_unsupported("", std::string("the first output of the ") + which + " network is of type " +
                                   std::string(name_of(t.dtype())) + ", 32-bit floats can be compared");
  return t.values<float>();
}

void check_finite(std::span<const float> y, const char* which) {
  for (size_t i = 0; i < y.size(); ++i)
    if (!std::isfinite(y[i]))
      base::fail_malformed("", std::string("the ") + which + " network's output is " + std::to_string(y[i]) +
                                   " at index " + std::to_string(i));
}

void score(Accuracy& a, std::span<const float> row, int64_t label) {
  ++a.samples;
  a.top1 += top_class(row) == label;
  a.top5 += among_top(row, label, 5);
}

struct Sums {
  double signal = 0, noise = 0, product = 0, other = 0;
  void add(std::span<const float> x, std::span<const float> y) {
    for (size_t i = 0; i < x.size(); ++i) {
      const double a = x[i], b = y[i];
      signal += a * a;
      noise += (a - b) * (a - b);
      product += a * b;
      other += b * b;
    }
  }
  double sqnr_db() const { return noise > 0 ? 10 * std::log10(signal / noise) : INFINITY; }
  double cosine() const { return signal > 0 && other > 0 ? product / std::sqrt(signal * other) : 1.0; }
};

/// Errors of every product's output, by running both networks and watching the values that they have in common.
std::vector<LayerError> compare_layers(const Graph& before, const Graph& after, const data::Dataset& dataset,
                                       int64_t samples, int64_t batch, const EvaluateOptions& options,
                                       base::ThreadPool& pool) {
  std::vector<LayerError> layers;
  std::vector<std::string> values;
  for (graph::NodeId id = 0; id < after.node_count(); ++id) {
    const graph::Node& node = after.node(id);
    if (!graph::is_product(node)) continue;
    const graph::Value& out = after.value(node.output(0));
    const graph::ValueId twin = before.find_value(out.name);
    if (twin == graph::kNoValue || out.dtype != tensor::DType::f32 || before.value(twin).dtype != tensor::DType::f32)
      continue;
    LayerError layer;
    layer.name = after.name_of(node);
    layer.op = node.op;
    const graph::ValueId w = node.input(1);
    layer.four_bit = after.is_constant(w) && after.value(w).constant.quantization() &&
                     tensor::bits_of(after.value(w).constant.dtype()) == 4;
    layers.push_back(std::move(layer));
    values.push_back(out.name);
  }
  if (layers.empty()) return layers;
  runtime::SessionOptions session_options;
  session_options.watched = values;
  session_options.limits = options.limits;
  runtime::Session a(before, pool, session_options), b(after, pool, session_options);
  std::map<std::string, Sums> sums;
  std::map<std::string, Tensor> seen;
  a.watch([&](const std::string& name, const Tensor& value) { seen[name] = value; });
  b.watch([&](const std::string& name, const Tensor& value) {
    const Tensor& x = seen.at(name);
    if (x.elements() == value.elements()) sums[name].add(x.values<float>(), value.values<float>());
  });
  for (int64_t at = 0; at < samples; at += batch) {
    const data::Batch data = dataset.batch(at, std::min(batch, samples - at), pool);
    if (data.empty()) continue;
    a.run(data.inputs);
    b.run(data.inputs);
    seen.clear();
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    layers[i].sqnr_db = sums[values[i]].sqnr_db();
    layers[i].cosine = sums[values[i]].cosine();
  }
  return layers;
}

}  // namespace

Comparison evaluate(const Graph* before, const Graph& after, const data::Dataset& dataset,
                    const EvaluateOptions& options, base::ThreadPool& pool, base::Progress& progress) {
  Comparison c;
  runtime::SessionOptions session_options;
  session_options.limits = options.limits;
  runtime::Session session(after, pool, session_options);
  std::unique_ptr<runtime::Session> baseline;
  if (before) baseline = std::make_unique<runtime::Session>(*before, pool, session_options);
  const bool probabilities = ends_in_softmax(after) && (!before || ends_in_softmax(*before));
  const int64_t fixed = dataset.fixed_batch(after);
  const int64_t batch = fixed == tensor::kUnknown ? options.batch : fixed;
  c.labelled = dataset.has_labels();
  Sums output;
  progress.begin("evaluate", dataset.size(), "samples");
  for (int64_t at = 0; at < dataset.size(); at += batch) {
    progress.check_cancelled();
    const data::Batch data = dataset.batch(at, std::min(batch, dataset.size() - at), pool);
    if (data.empty()) continue;
    if (fixed != tensor::kUnknown && data.size() < fixed) break;  // a fixed batch that cannot be filled
    const Tensor y = session.run(data.inputs).at(0);
    const auto after_values = floats_of(y, "quantized");
    check_finite(after_values, before ? "quantized" : "");
    const int64_t n = data.size();
    c.samples += n;
    c.classes = y.rank() == 2 && y.shape()[0] == n && y.shape()[1] > 1;
    std::span<const float> before_values;
    Tensor x;
    if (baseline) {
      x = baseline->run(data.inputs).at(0);
      before_values = floats_of(x, "baseline");
      if (x.shape() != y.shape())
        base::fail_unsupported("", "the networks' first outputs differ in shape: " + tensor::to_string(x.shape()) +
                                       " and " + tensor::to_string(y.shape()));
      check_finite(before_values, "baseline");
      output.add(before_values, after_values);
    }
    if (c.classes) {
      const auto classes = static_cast<size_t>(y.shape()[1]);
      for (int64_t i = 0; i < n; ++i) {
        const auto a = after_values.subspan(static_cast<size_t>(i) * classes, classes);
        const auto label = data.labels[static_cast<size_t>(i)];
        if (label) score(c.after, a, *label);
        if (!baseline) continue;
        const auto b = before_values.subspan(static_cast<size_t>(i) * classes, classes);
        if (label) {
          score(c.before, b, *label);
          const bool was = top_class(b) == *label, is = top_class(a) == *label;
          ++c.change.samples;
          c.change.lost += was && !is;
          c.change.won += is && !was;
        }
        c.same_answer += top_class(a) == top_class(b);
        c.kl.push_back(probabilities ? kl_divergence_of_probabilities(b, a) : kl_divergence_of_logits(b, a));
      }
    }
    progress.advance(std::min(dataset.size(), at + batch));
  }
  progress.end();
  c.skipped = dataset.skipped();
  if (c.samples == 0)
    base::fail_usage(
        "", "the data has no sample that can be used" +
                std::string(fixed > 1 ? ": the network takes batches of exactly " + std::to_string(fixed) : ""));
  c.labelled = c.labelled && c.after.samples > 0;
  if (before) {
    c.output_sqnr_db = output.sqnr_db();
    c.relative_error = output.signal > 0 ? std::sqrt(output.noise / output.signal) : 0;
    c.layer_samples = std::min(options.layer_samples, c.samples);
    if (fixed != tensor::kUnknown) c.layer_samples -= c.layer_samples % fixed;
    if (c.layer_samples > 0)
      c.layers = compare_layers(*before, after, dataset, c.layer_samples,
                                std::min<int64_t>(batch, fixed == tensor::kUnknown ? 8 : fixed), options, pool);
  }
  return c;
}

}  // namespace nibble::eval
