// Batch-norm folding: y = gamma * (conv(x, W) + b - mean) / sqrt(var + eps) + beta becomes a convolution with
//   W' = W * f,  b' = (b - mean) * f + beta,  f = gamma / sqrt(var + eps) per output channel,
// computed in double. A constant a channel that is added after a convolution becomes its bias.
#include <cmath>

#include "ops/numbers.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::runtime {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;

/// A constant whose bytes are its numbers, not the codes of quantized ones.
bool is_plain_constant(const Graph& graph, ValueId value) {
  return graph.is_constant(value) && !graph.value(value).constant.quantization();
}

/// The convolution (or product) that alone feeds `value`, when it has a float constant weight; else -1.
NodeId foldable_producer(const Graph& graph, ValueId value, const std::vector<NodeId>& producers,
                         const std::vector<std::vector<NodeId>>& consumers) {
  const NodeId id = producers[static_cast<size_t>(value)];
  if (id < 0 || consumers[static_cast<size_t>(value)].size() != 1 || graph.is_output(value)) return -1;
  const Node& node = graph.node(id);
  const bool conv = node.op == "Conv" && node.domain.empty();
  const bool gemm = node.op == "Gemm" && node.domain.empty() && node.integer("transB", 0) == 1 &&
                    node.real("alpha", 1.0f) == 1.0f && node.real("beta", 1.0f) == 1.0f;
  if (!conv && !gemm) return -1;
  if (!is_plain_constant(graph, node.input(1)) || graph.value(node.input(1)).constant.dtype() != DType::f32) return -1;
  const Tensor& weight = graph.value(node.input(1)).constant;
  if (weight.rank() < 2 || weight.elements() == 0) return -1;
  if (node.input(2) != kNoValue && !is_plain_constant(graph, node.input(2))) return -1;
  return id;
}

/// The bias of a node as doubles, one an output channel; zeros where there is none. Empty when its shape is another.
std::vector<double> bias_of(const Graph& graph, const Node& node, int64_t channels) {
  if (node.input(2) == kNoValue) return std::vector<double>(static_cast<size_t>(channels), 0.0);
  auto bias = ops::decode_numbers(graph.value(node.input(2)).constant);
  if (static_cast<int64_t>(bias.size()) != channels) bias.clear();
  return bias;
}

void set_bias(Graph& graph, NodeId id, const std::vector<double>& bias, const std::string& stem) {
  std::vector<float> values(bias.begin(), bias.end());
  const ValueId v = graph.add_constant(
      graph.unique_name(stem), Tensor::of<float>({static_cast<int64_t>(values.size())}, values), graph::Role::kBias);
  auto& inputs = graph.node(id).inputs;
  inputs.resize(std::max<size_t>(inputs.size(), 3), kNoValue);
  inputs[2] = v;
}

}  // namespace

void fold_batch_normalization(Graph& graph) {
  const auto producers = graph.producers();
  const auto consumers = graph.consumers();
  for (NodeId bn = 0; bn < graph.node_count(); ++bn) {
    if (graph.node(bn).removed || graph.node(bn).op != "BatchNormalization" || !graph.node(bn).domain.empty()) continue;
    bool constants = true;
    for (size_t i = 1; i < 5; ++i) constants = constants && is_plain_constant(graph, graph.node(bn).input(i));
    if (!constants) continue;
    const NodeId id = foldable_producer(graph, graph.node(bn).input(0), producers, consumers);
    if (id < 0) continue;
    const Tensor weight = graph.value(graph.node(id).input(1)).constant;
    const int64_t channels = weight.shape()[0];
    std::array<std::vector<double>, 4> p;  // gamma, beta, mean, variance
    bool fits = true;
    for (size_t i = 0; i < 4; ++i) {
      p[i] = ops::decode_numbers(graph.value(graph.node(bn).input(i + 1)).constant);
      fits = fits && static_cast<int64_t>(p[i].size()) == channels;
    }
    auto bias = bias_of(graph, graph.node(id), channels);
    if (!fits || bias.empty()) continue;
    const double epsilon = graph.node(bn).real("epsilon", 1e-5f);
    Tensor scaled(DType::f32, weight.shape(), true);
    const auto from = weight.values<float>();
    auto to = scaled.mutable_values<float>();
    const int64_t per_channel = weight.elements() / channels;
    for (int64_t o = 0; o < channels; ++o) {
      const double f = p[0][o] / std::sqrt(p[3][o] + epsilon);
      bias[o] = (bias[o] - p[2][o]) * f + p[1][o];
      for (int64_t i = o * per_channel; i < (o + 1) * per_channel; ++i) to[i] = static_cast<float>(from[i] * f);
    }
    const std::string weight_name = graph.value(graph.node(id).input(1)).name;
    const ValueId w = graph.add_constant(graph.unique_name(weight_name + "_folded"), scaled, graph::Role::kWeight);
    graph.node(id).inputs[1] = w;
    set_bias(graph, id, bias, weight_name + "_bias");
    // The convolution now writes what the normalization wrote.
    graph.node(id).outputs[0] = graph.node(bn).outputs[0];
    graph.remove_node(bn);
  }
}

void fold_bias(Graph& graph) {
  const auto producers = graph.producers();
  const auto consumers = graph.consumers();
  for (NodeId add = 0; add < graph.node_count(); ++add) {
    const Node& node = graph.node(add);
    if (node.removed || node.op != "Add" || !node.domain.empty()) continue;
    for (size_t side = 0; side < 2; ++side) {
      const ValueId addend = graph.node(add).input(side), value = graph.node(add).input(1 - side);
      if (!is_plain_constant(graph, addend) || value == kNoValue || graph.is_constant(value)) continue;
      const NodeId id = foldable_producer(graph, value, producers, consumers);
      if (id < 0 || graph.node(id).op != "Conv") continue;
      const Shape& weight = graph.value(graph.node(id).input(1)).constant.shape();
      const Tensor constant = graph.value(addend).constant;
      // One value a channel, aligned with dimension 1 of the output: [C,1,1], [1,C,1,1] or a single number.
      Shape shape = constant.shape();
      while (shape.size() < weight.size()) shape.insert(shape.begin(), 1);
      bool per_channel = shape.size() == weight.size() && constant.dtype() == DType::f32;
      for (size_t d = 0; per_channel && d < shape.size(); ++d)
        per_channel = shape[d] == 1 || (d == 1 && shape[d] == weight[0]);
      auto bias = bias_of(graph, graph.node(id), weight[0]);
      if (!per_channel || bias.empty()) continue;
      const auto values = ops::decode_numbers(constant);
      if (values.size() != 1 && values.size() != bias.size()) continue;
      for (size_t o = 0; o < bias.size(); ++o) bias[o] += values[values.size() == 1 ? 0 : o];
      set_bias(graph, id, bias, graph.value(addend).name + "_bias");
      graph.node(id).outputs[0] = graph.node(add).outputs[0];
      graph.remove_node(add);
      break;
    }
  }
}

}  // namespace nibble::runtime
