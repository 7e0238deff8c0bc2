#include "quant/calibrate/calibrate.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "graph/products.h"
#include "runtime/session.h"

namespace nibble::quant {

Calibration calibrate(const graph::Graph& graph, const std::vector<Observed>& values, const NextBatch& next,
                      int64_t total, base::ThreadPool& pool, base::Progress& progress, const base::Limits& limits) {
  runtime::SessionOptions options;
  std::map<std::string, int64_t> axes;
  for (const Observed& o : values) {
    options.watched.push_back(o.name);
    axes[o.name] = o.channel_axis;
  }
  options.limits = limits;
  runtime::Session session(graph, pool, options);
  Calibration calibration;
  session.watch([&](const std::string& name, const tensor::Tensor& value) {
    observe(calibration.activations[name], name, value, axes.at(name));
  });
  progress.begin("calibrate", total, "samples");
  for (;;) {
    progress.check_cancelled();
    const auto inputs = next();
    if (inputs.empty()) break;
    session.run(inputs);
    calibration.samples += inputs[0].rank() ? inputs[0].shape()[0] : 1;
    progress.advance(calibration.samples);
  }
  progress.end();
  if (calibration.samples == 0) base::fail_usage("", "the calibration data has no samples");
  return calibration;
}

int64_t activation_bytes(const graph::Graph& graph) {
  const auto bytes_of = [&](graph::ValueId id) {
    if (id == graph::kNoValue || graph.is_constant(id) || !graph.value(id).shape_known) return 0.0;
    double bytes = tensor::bits_of(graph.value(id).dtype) / 8.0;
    const auto& shape = graph.value(id).shape;
    for (size_t d = 0; d < shape.size(); ++d)
      if (d > 0 && shape[d] == tensor::kUnknown)
        return 0.0;
      else if (shape[d] != tensor::kUnknown)
        bytes *= static_cast<double>(shape[d]);
    return bytes;
  };
  std::vector<int32_t> reads(static_cast<size_t>(graph.value_count()), 0);
  double alive = 0, most = 0;
  for (graph::NodeId id = 0; id < graph.node_count(); ++id)
    for (const graph::ValueId v : graph.node(id).inputs)
      if (v != graph::kNoValue) ++reads[static_cast<size_t>(v)];
  for (const graph::ValueId v : graph.inputs) alive += bytes_of(v);
  for (graph::NodeId id = 0; id < graph.node_count(); ++id) {
    const graph::Node& node = graph.node(id);
    for (const graph::ValueId v : node.outputs) alive += bytes_of(v);
    most = std::max(most, alive);
    for (const graph::ValueId v : node.inputs)
      if (v != graph::kNoValue && --reads[static_cast<size_t>(v)] == 0) alive -= bytes_of(v);
  }
  return static_cast<int64_t>(std::min(most, 9e18));
}

int64_t calibration_batch(const graph::Graph& graph) {
  constexpr int64_t kBytes = int64_t{48} << 20;
  return std::clamp<int64_t>(kBytes / std::max<int64_t>(1, activation_bytes(graph)), 1, 16);
}

void add_weight_ranges(Calibration& calibration, const graph::Graph& graph) {
  for (const graph::NodeId id : graph::weighted_products(graph)) {
    const graph::Value& v = graph.value(graph.node(id).input(1));
    if (v.constant.dtype() != tensor::DType::f32 || v.constant.quantization() || v.constant.elements() == 0) continue;
    const auto values = v.constant.values<float>();
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    ValueStatistics& s = calibration.weights[v.name];
    s.min = *low;
    s.max = *high;
  }
}

}  // namespace nibble::quant
