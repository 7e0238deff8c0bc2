#include "quant/apply.h"

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "codec/format.h"
#include "fit/quantize.h"
#include "model/portable_form.h"
#include "model/save.h"
#include "quant/input_statistics.h"
#include "runtime/infer_shapes.h"

namespace nibble::quant {
namespace {

using graph::Graph;
using graph::Node;
using graph::ValueId;
using tensor::Tensor;

/// The float weight with NaN and infinity replaced by 0 (the plan refused them unless that was asked for).
Tensor finite_weight(const Tensor& weight) {
  bool finite = true;
  for (const float v : weight.values<float>()) finite = finite && std::isfinite(v);
  if (finite) return weight;
  Tensor copy(tensor::DType::f32, weight.shape(), true);
  auto to = copy.mutable_values<float>();
  const auto from = weight.values<float>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = std::isfinite(from[i]) ? from[i] : 0.0f;
  return copy;
}

fit::QuantizedMatrix quantize_weight(const LayerPlan& layer, const Tensor& weight, const Scheme& scheme,
                                     const Calibration* calibration, const InputStatistics& inputs,
                                     base::ThreadPool& pool) {
  const fit::MatrixView view = matrix_of(layer, weight);
  if (layer.lattice)
    return fit::quantize_with_params(view, layer.grid, layer.group, layer.per_tensor, layer.lattice->params,
                                     *fit::find_round_method("nearest"), pool);
  if (calibration && layer.path.empty() && scheme.clip->name == "minmax" && layer.group == 0 &&
      layer.grid.format->block == 0) {
    // A range that was given for this tensor takes the place of its own.
    const auto it = calibration->weights.find(layer.weight_name);
    if (it != calibration->weights.end() && layer.per_tensor) {
      const fit::Range range{it->second.min, it->second.max};
      return fit::quantize_with_ranges(view, layer.grid, {&range, 1}, *scheme.round, pool);
    }
  }
  fit::ClipOptions options;
  options.percentile = scheme.percentile;
  return fit::quantize_matrix(view, layer.grid, layer.group, layer.per_tensor, *scheme.clip, *scheme.round, options,
                              inputs.mean_square, pool);
}

/// Adds QuantizeLinear and DequantizeLinear after `a.value`; returns what readers of the quantized value read.
ValueId add_pair(Graph& graph, const ActivationPlan& a) {
  const graph::Value source = graph.value(a.value);
  const tensor::DType type = a.bits == 4 ? tensor::DType::uint4 : tensor::DType::u8;
  const std::string stem = source.name + (a.bits == 4 ? "_u4" : "_u8");
  const auto zero = static_cast<int8_t>(static_cast<uint8_t>(a.params.zero));
  const ValueId scale = graph.add_constant(graph.unique_name(stem + "_scale"), Tensor::scalar<float>(a.params.scale));
  const ValueId zero_point =
      graph.add_constant(graph.unique_name(stem + "_zero_point"), codec::pack(type, {}, {&zero, 1}));
  graph::Value codes = source, real = source;
  codes.name = graph.unique_name(stem);
  codes.dtype = type;
  codes.constant = real.constant = Tensor();
  real.name = graph.unique_name(stem + "_dequantized");
  const ValueId codes_id = graph.add_value(std::move(codes)), real_id = graph.add_value(std::move(real));
  Node quantize;
  quantize.op = "QuantizeLinear";
  quantize.name = graph.value(codes_id).name;
  quantize.inputs = {a.value, scale, zero_point};
  quantize.outputs = {codes_id};
  graph.add_node(std::move(quantize));
  Node dequantize;
  dequantize.op = "DequantizeLinear";
  dequantize.name = graph.value(real_id).name;
  dequantize.inputs = {codes_id, scale, zero_point};
  dequantize.outputs = {real_id};
  graph.add_node(std::move(dequantize));
  return real_id;
}

void quantize_activations(Graph& graph, const Plan& plan) {
  std::map<std::pair<ValueId, int>, ValueId> pairs;
  for (const ActivationPlan& a : plan.activations) {
    if (!a.calibrated)
      base::fail_usage("value " + base::in_quotes(a.name), "has no range, quantizing activations needs data",
                       "--calib DATA or --ranges FILE");
    pairs[{a.value, a.bits}] = add_pair(graph, a);
  }
  for (const LayerPlan& layer : plan.layers) {
    if (layer.bits == 16 || layer.activation_bits == 16) continue;
    ValueId& x = graph.node(layer.node).inputs[0];
    x = pairs.at({x, layer.activation_bits});
    const ValueId bias = layer.op == "MatMul" ? graph::kNoValue : graph.node(layer.node).input(2);
    if (graph.is_constant(bias) && graph.value(bias).constant.dtype() == tensor::DType::f32)
      graph.value(bias).constant = model::exact_bias(graph.value(bias).constant);
  }
  if (plan.scheme.positions != Positions::kAll) return;
  for (graph::NodeId id = 0; id < graph.node_count(); ++id) {
    Node& node = graph.node(id);
    if (node.op != "Add" || !node.domain.empty() || node.inputs.size() != 2) continue;
    if (graph.is_constant(node.inputs[0]) || graph.is_constant(node.inputs[1])) continue;
    for (ValueId& v : node.inputs) {
      const auto it = pairs.find({v, plan.scheme.activation_bits});
      if (it != pairs.end()) v = it->second;
    }
  }
}

/// What a layer's weight becomes: codes with their Quantization, and what the report says of it.
using MakeCodes = std::function<fit::QuantizedMatrix(const LayerPlan&, const Tensor&, const InputStatistics&)>;

/// After quantized constants took the places of float ones. A float weight that is still read elsewhere keeps its name;
/// the quantized copy gets another.
void tidy(Graph& graph) {
  graph.compact();
  std::map<std::string, int> seen;
  for (ValueId v = 0; v < graph.value_count(); ++v) {
    std::string& name = graph.value(v).name;
    if (seen[name]++ > 0) name = graph.unique_name(name + "_4bit");
  }
}

/// tidy in every subgraph at any depth. All of them are this Graph's own: those that were changed, and their holders.
void tidy_branches(Graph& graph) {
  for (graph::NodeId id = 0; id < graph.node_count(); ++id)
    for (auto& [key, attribute] : graph.node(id).attributes)
      if (auto* inner = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        *inner = std::make_shared<Graph>(**inner);
        tidy_branches(**inner);
        tidy(**inner);
      }
}

/// Gives back the memory of a float weight that nothing reads any more.
void drop_unread(Graph& graph, ValueId weight) {
  if (graph.is_output(weight)) return;
  for (graph::NodeId id = 0; id < graph.node_count(); ++id) {
    const auto& inputs = graph.node(id).inputs;
    if (!graph.node(id).removed && std::find(inputs.begin(), inputs.end(), weight) != inputs.end()) return;
  }
  base::forget_pages(graph.value(weight).constant.bytes());
  graph.value(weight).constant = Tensor();
}

std::vector<LayerResult> apply_with(Graph& graph, const Plan& plan, const Calibration* calibration,
                                    const MakeCodes& make_codes, base::Progress& progress) {
  std::vector<LayerResult> results;
  // A weight that several nodes of one Graph share.
  std::map<std::tuple<const Graph*, ValueId, bool>, std::pair<ValueId, LayerResult>> done;
  bool in_branches = false;
  progress.begin("quantize", static_cast<int64_t>(plan.layers.size()), "layers");
  int64_t count = 0;
  for (const LayerPlan& layer : plan.layers) {
    progress.check_cancelled();
    if (layer.bits < 16) {
      Graph& home = graph::writable_graph_at(graph, layer.path);
      in_branches = in_branches || !layer.path.empty();
      const bool known = calibration && !layer.table && layer.path.empty();
      const InputStatistics inputs = known ? input_statistics(graph, layer, *calibration) : InputStatistics();
      const auto key = std::make_tuple(&home, layer.weight, layer.transposed);
      auto it = done.find(key);
      if (it == done.end()) {
        const fit::QuantizedMatrix q = make_codes(layer, home.value(layer.weight).constant, inputs);
        const Tensor codes = fit::to_tensor(q, layer.shape, layer.transposed);
        LayerResult result;
        result.weight_name = layer.weight_name;
        result.sqnr_db = q.error > 0 ? 10.0 * std::log10(q.signal / q.error) : std::numeric_limits<double>::infinity();
        // As MatMulNBits the last block of a row is filled up, and zero points are always there.
        result.bytes = layer.nbits_block > 0 ? layer.bytes_after : codec::stored_bytes(codes);
        result.bits_per_weight = 8.0 * static_cast<double>(result.bytes) / static_cast<double>(codes.elements());
        const ValueId id =
            home.add_constant(layer.weight_name, codes, layer.table ? graph::Role::kEmbedding : graph::Role::kWeight);
        it = done.emplace(key, std::make_pair(id, result)).first;
      }
      // What a weight that was trained on its lattice differs from it is no error of ours.
      if (plan.scheme.correct_bias && known && !layer.lattice)
        correct_bias(graph, layer, finite_weight(graph.value(layer.weight).constant),
                     graph.value(it->second.first).constant, inputs);
      home.node(layer.node).inputs[layer.table ? 0 : 1] = it->second.first;
      drop_unread(home, layer.weight);
      results.push_back(it->second.second);
      results.back().name = layer.name;
    }
    progress.advance(++count);
  }
  progress.end();
  quantize_activations(graph, plan);
  graph.metadata["nibble.scheme"] = to_text(plan.scheme);
  if (in_branches) tidy_branches(graph);
  tidy(graph);
  runtime::infer_shapes(graph);
  return results;
}

/// Codes and parameters that take the room of real ones.
fit::QuantizedMatrix placeholder(const LayerPlan& layer, const Tensor&, const InputStatistics&) {
  fit::QuantizedMatrix q;
  q.grid = layer.grid;
  q.rows = layer.rows;
  q.columns = layer.columns;
  q.group = layer.group ? layer.group : layer.columns;
  q.per_tensor = layer.per_tensor;
  q.codes.assign(static_cast<size_t>(layer.rows * layer.columns), 0);
  codec::GroupParams params;
  params.scale = 1;
  q.params.assign(static_cast<size_t>(layer.per_tensor ? 1 : layer.rows * q.groups_per_row()), params);
  return q;
}

}  // namespace

std::vector<LayerResult> apply(Graph& graph, const Plan& plan, const Calibration* calibration, base::ThreadPool& pool,
                               base::Progress& progress) {
  const auto quantize = [&](const LayerPlan& layer, const Tensor& weight, const InputStatistics& inputs) {
    try {
      return quantize_weight(layer, finite_weight(weight), plan.scheme, calibration, inputs, pool);
    } catch (const base::Error& e) {
      throw e.within("tensor " + base::in_quotes(layer.weight_name));
    }
  };
  return apply_with(graph, plan, calibration, quantize, progress);
}

int64_t predicted_file_bytes(const Graph& graph, const Plan& plan) {
  Graph copy = graph;
  Plan filled = plan;
  for (ActivationPlan& a : filled.activations) {
    a.calibrated = true;
    a.params.scale = 1;
  }
  // Bias correction gives a bias to layers without one, where a calibration knows their inputs.
  for (const LayerPlan& layer : plan.layers) {
    if (!plan.scheme.correct_bias || plan.activations.empty() || layer.bits == 16 || layer.op == "MatMul" ||
        layer.table || layer.lattice || !layer.path.empty())
      continue;
    if (copy.node(layer.node).input(2) != graph::kNoValue) continue;
    const ValueId bias = copy.add_constant(copy.unique_name(layer.weight_name + "_bias"),
                                           Tensor(tensor::DType::f32, {layer.rows}), graph::Role::kBias);
    copy.node(layer.node).inputs.resize(3, graph::kNoValue);
    copy.node(layer.node).inputs[2] = bias;
  }
  base::NoProgress silent;
  apply_with(copy, filled, nullptr, placeholder, silent);
  copy.metadata["nibble.float_bytes"] = std::to_string(plan.bytes_before);
  return static_cast<int64_t>(model::saved_size(copy, plan.style));
}

}  // namespace nibble::quant
