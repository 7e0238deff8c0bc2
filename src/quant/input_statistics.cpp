#include "quant/input_statistics.h"

#include <algorithm>

#include "codec/format.h"

namespace nibble::quant {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::Tensor;

int64_t groups_of(const Node& node) { return node.op == "Conv" ? node.integer("group", 1) : 1; }

/// Input channel of reduction column `column` of output row `row`.
int64_t channel_of(const LayerPlan& layer, int64_t groups, int64_t row, int64_t column) {
  if (layer.op != "Conv") return column;
  const int64_t channels = layer.shape[1], window = layer.columns / channels;
  return row / (layer.rows / groups) * channels + column / window;
}

/// A constant operand of an Add that alone reads `value`, with one number an output; kNoValue else.
ValueId added_constant(const Graph& graph, ValueId value, int64_t outputs, NodeId& add) {
  ValueId found = kNoValue;
  if (graph.is_output(value)) return kNoValue;
  int64_t readers = 0;
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    const Node& node = graph.node(id);
    if (node.removed) continue;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != value) continue;
      ++readers;
      if (node.op != "Add" || !node.domain.empty() || node.inputs.size() != 2) continue;
      const ValueId other = node.inputs[1 - i];
      if (!graph.is_constant(other)) continue;
      const Tensor& c = graph.value(other).constant;
      if (c.dtype() == tensor::DType::f32 && !c.quantization() && c.elements() == outputs && c.rank() > 0 &&
          c.shape().back() == outputs)
        found = other, add = id;
    }
  }
  return readers == 1 ? found : kNoValue;
}

Tensor added(const Tensor& to, const std::vector<double>& correction) {
  Tensor sum(tensor::DType::f32, to.shape(), true);
  for (size_t i = 0; i < correction.size(); ++i)
    sum.mutable_values<float>()[i] = static_cast<float>(to.values<float>()[i] + correction[i]);
  return sum;
}

}  // namespace

InputStatistics input_statistics(const Graph& graph, const LayerPlan& layer, const Calibration& calibration) {
  InputStatistics out;
  const Node& node = graph.node(layer.node);
  const auto it = calibration.activations.find(graph.value(node.input(0)).name);
  if (it == calibration.activations.end()) return out;
  const ValueStatistics& s = it->second;
  const int64_t groups = groups_of(node);
  const auto channels = static_cast<size_t>(layer.op == "Conv" ? layer.shape[1] * groups : layer.columns);
  if (s.channel_mean.size() != channels) return out;
  out.mean = s.channel_mean;
  if (groups != 1) return out;
  double total = 0;
  for (int64_t c = 0; c < layer.columns; ++c)
    total += s.channel_mean_square[static_cast<size_t>(channel_of(layer, 1, 0, c))];
  const double floor = 1e-3 * total / static_cast<double>(layer.columns);
  if (!(total > 0)) return out;
  for (int64_t c = 0; c < layer.columns; ++c)
    out.mean_square.push_back(
        static_cast<float>(std::max(floor, s.channel_mean_square[static_cast<size_t>(channel_of(layer, 1, 0, c))])));
  return out;
}

bool correct_bias(Graph& graph, const LayerPlan& layer, const Tensor& weight, const Tensor& quantized,
                  const InputStatistics& statistics) {
  if (statistics.mean.empty()) return false;
  const Tensor decoded = codec::dequantize(quantized);
  const auto w = weight.values<float>(), q = decoded.values<float>();
  const Node& node = graph.node(layer.node);
  const int64_t groups = groups_of(node);
  std::vector<double> correction(static_cast<size_t>(layer.rows), 0.0);
  for (int64_t r = 0; r < layer.rows; ++r)
    for (int64_t c = 0; c < layer.columns; ++c) {
      const auto at = static_cast<size_t>(layer.transposed ? c * layer.rows + r : r * layer.columns + c);
      correction[static_cast<size_t>(r)] +=
          (static_cast<double>(w[at]) - q[at]) * statistics.mean[static_cast<size_t>(channel_of(layer, groups, r, c))];
    }
  if (layer.op == "MatMul") {
    NodeId add = -1;
    const ValueId constant = added_constant(graph, node.output(0), layer.rows, add);
    if (constant == kNoValue) return false;
    const ValueId corrected = graph.add_constant(graph.unique_name(graph.value(constant).name + "_corrected"),
                                                 added(graph.value(constant).constant, correction), graph::Role::kBias);
    std::replace(graph.node(add).inputs.begin(), graph.node(add).inputs.end(), constant, corrected);
    return true;
  }
  if (layer.op == "Gemm" && (node.real("alpha", 1.0f) != 1.0f || node.real("beta", 1.0f) != 1.0f)) return false;
  const ValueId bias = node.input(2);
  Tensor before(tensor::DType::f32, {layer.rows});
  if (bias != kNoValue) {
    if (!graph.is_constant(bias) || graph.value(bias).constant.dtype() != tensor::DType::f32 ||
        graph.value(bias).constant.elements() != layer.rows)
      return false;
    before = graph.value(bias).constant;
  }
  const std::string name = bias == kNoValue ? layer.weight_name + "_bias" : graph.value(bias).name + "_corrected";
  const ValueId corrected = graph.add_constant(graph.unique_name(name), added(before, correction), graph::Role::kBias);
  auto& inputs = graph.node(layer.node).inputs;
  inputs.resize(std::max<size_t>(inputs.size(), 3), kNoValue);
  inputs[2] = corrected;
  return true;
}

}  // namespace nibble::quant
