#include "quant/calibrate/calibrate.h"

#include <algorithm>

#include "base/error.h"
#include "runtime/session.h"

namespace nibble::quant {

Calibration calibrate(const graph::Graph& graph, const std::vector<std::string>& values, const NextBatch& next, int64_t total,
                      base::ThreadPool& pool, base::Progress& progress, const base::Limits& limits) {
  runtime::SessionOptions options;
  options.watched = values;
  options.limits = limits;
  runtime::Session session(graph, pool, options);
  Calibration calibration;
  session.watch([&](const std::string& name, const tensor::Tensor& value) { observe(calibration.activations[name], name, value); });
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

void add_weight_ranges(Calibration& calibration, const graph::Graph& graph) {
  for (graph::NodeId id = 0; id < graph.node_count(); ++id) {
    const graph::Node& node = graph.node(id);
    if (node.removed || (node.op != "Conv" && node.op != "Gemm" && node.op != "MatMul")) continue;
    if (!graph.is_constant(node.input(1))) continue;
    const graph::Value& v = graph.value(node.input(1));
    if (v.constant.dtype() != tensor::DType::f32 || v.constant.quantization() || v.constant.elements() == 0) continue;
    const auto values = v.constant.values<float>();
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    ValueStatistics& s = calibration.weights[v.name];
    s.min = *low;
    s.max = *high;
  }
}

}  // namespace nibble::quant
