#include "quant/plan/plan.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "base/error.h"
#include "codec/format.h"
#include "graph/products.h"
#include "quant/apply.h"
#include "quant/calibrate/calibrate.h"
#include "quant/plan/lattice.h"

namespace nibble::quant {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Tensor;

constexpr int64_t kCalibrationProgram = int64_t{20} << 20;  // code of the operators, decoded images, histograms
constexpr int64_t kLargeConstant = 4096;                    // elements; smaller ones are not worth a word

/// A Gather of whole rows of a constant, as embeddings are; small ones are not worth it.
bool is_large_table(const Graph& graph, const Node& node) {
  if (!node.is("Gather") || node.integer("axis", 0) != 0 || !graph.is_constant(node.input(0))) return false;
  const Tensor& t = graph.value(node.input(0)).constant;
  return t.dtype() == DType::f32 && !t.quantization() && t.rank() == 2 && t.elements() >= kLargeConstant;
}

/// Why a product's weight cannot be quantized at all; empty if it can. Fills the layer's shape.
std::string describe_weight(const Graph& graph, const Node& node, LayerPlan& layer) {
  const Tensor& w = graph.value(layer.weight).constant;
  layer.shape = w.shape();
  layer.table = node.op == "Gather";
  if (w.quantization()) return "its weight is quantized already";
  if (w.dtype() != DType::f32)
    return "its weight is of type " + std::string(name_of(w.dtype())) + ", 32-bit floats were expected";
  if (w.elements() == 0) return "its weight is empty";
  if (node.op == "Conv") {
    layer.rows = w.shape()[0];
    layer.columns = w.elements() / layer.rows;
    layer.depthwise = w.shape()[1] == 1 && node.integer("group", 1) == layer.rows && layer.rows > 1;
    return {};
  }
  if (w.rank() != 2) return "its weight " + tensor::to_string(w.shape()) + " is no matrix";
  layer.transposed = !layer.table && (node.op == "MatMul" || node.integer("transB", 0) == 0);
  layer.rows = w.shape()[layer.transposed ? 1 : 0];
  layer.columns = w.shape()[layer.transposed ? 0 : 1];
  return {};
}

bool matches(const Keep& keep, const LayerPlan& layer) {
  if (keep.layers == "first") return layer.first;
  if (keep.layers == "last") return layer.last;
  if (keep.layers == "depthwise") return layer.depthwise;
  return keep.layers == layer.name || keep.layers == layer.weight_name;
}

/// In the style matmulnbits: whether the layer is written so, and with which codes.
void choose_style(const Graph& graph, LayerPlan& layer) {
  const model::WeightForm form{layer.bits, layer.group, layer.per_tensor, layer.grid.map == fit::Map::kMinmax,
                               layer.activation_bits < 16};
  layer.why_qdq = model::why_not_nbits(graph, graph.node(layer.node), form);
  if (!layer.grid.format->uniform())
    layer.why_qdq = "the format " + std::string(layer.grid.format->name) + " is no int4 or uint4";
  if (!layer.why_qdq.empty()) return;
  layer.nbits_block = model::nbits_block(layer.columns, layer.group);
  // MatMulNBits has unsigned codes only and zero points are always written: uint4 around 8 is int4, level by level.
  if (!layer.table && !layer.grid.stores_zero() && !layer.grid.stores_offset())
    layer.grid = fit::make_grid(*codec::find_format("uint4"), layer.grid.map);
}

/// Decides bits, grid and granularity of a layer that can be quantized.
void choose_format(const Scheme& scheme, LayerPlan& layer) {
  layer.grid = scheme.weights;
  layer.bits = scheme.weights.format->bits;
  layer.group = scheme.group;
  layer.per_tensor = scheme.per_tensor;
  layer.activation_bits = layer.table ? 16 : scheme.activation_bits;
  for (const Keep& keep : scheme.keep) {
    if (!matches(keep, layer)) continue;
    layer.bits = keep.bits;
    layer.note = "kept at " + std::to_string(keep.bits) + " bits (keep=" + keep.layers + ")";
    if (keep.bits == 8) {
      layer.grid = fit::make_grid(*codec::find_format("int8"), fit::Map::kRestricted);
      layer.group = 0;
      layer.per_tensor = false;
      if (!layer.table) layer.activation_bits = std::max(8, scheme.activation_bits);
    }
    break;
  }
  if (layer.bits == 16) {
    layer.activation_bits = 16;
    return;
  }
  if (layer.group > 0 && layer.columns < 2 * layer.group && layer.grid.format->block == 0) {
    layer.note += (layer.note.empty() ? "" : "; ") + std::string("a scale a channel: ") +
                  std::to_string(layer.columns) + " inputs are fewer than two groups";
    layer.group = 0;
  }
}

void count_bytes(LayerPlan& layer) {
  const int64_t weights = layer.rows * layer.columns;
  layer.bytes_before = weights * 4;
  if (layer.bits == 16) {
    layer.bytes_after = layer.bytes_before;
    return;
  }
  const int64_t length = layer.per_tensor ? weights : layer.group ? layer.group : layer.columns;
  const int64_t groups = layer.per_tensor ? 1 : layer.rows * ((layer.columns + length - 1) / length);
  const int64_t group_bits =
      std::llround((layer.grid.bits_per_weight(length) - layer.grid.format->bits) * static_cast<double>(length));
  layer.bytes_after = tensor::packed_bytes(layer.grid.format->code, weights) + (group_bits * groups + 7) / 8;
  if (layer.grid.format->tensor_scale) layer.bytes_after += 4;
  if (layer.nbits_block > 0 && layer.table && !layer.grid.stores_zero())
    layer.bytes_after += tensor::packed_bytes(layer.grid.format->code, groups);
  if (layer.nbits_block > 0 && !layer.table)
    layer.bytes_after = model::nbits_bytes(layer.rows, layer.columns, layer.nbits_block,
                                           codec::bits_of(layer.grid.stored_as), layer.grid.stores_offset());
  layer.bits_per_weight = 8.0 * static_cast<double>(layer.bytes_after) / static_cast<double>(weights);
}

/// Adds what one Graph of the network holds, and, where they stand, what the subgraphs of its nodes do.
void find_layers(const Graph& network, graph::Path& path, const PlanOptions& options, Plan& plan,
                 std::vector<std::string>& refused) {
  const Graph& graph = graph::graph_at(network, path);
  const std::string where = graph::place_text(network, path);
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    const Node& node = graph.node(id);
    if (node.removed) continue;
    const std::string name = graph.name_of(node) + where;
    for (const auto& [key, attribute] : node.attributes)
      if (std::holds_alternative<std::shared_ptr<Graph>>(attribute)) {
        path.push_back({id, key});
        find_layers(network, path, options, plan, refused);
        path.pop_back();
      }
    const bool table = path.empty() && options.style == model::OnnxStyle::kMatMulNBits && is_large_table(graph, node);
    if (!graph::is_product(node) && !table) {
      // Other operators with large constants are not silently passed over.
      for (const ValueId v : node.inputs)
        if (graph.is_constant(v) && graph.value(v).constant.dtype() == DType::f32 &&
            graph.value(v).constant.elements() >= kLargeConstant)
          plan.left_out.push_back(base::printable(name, 120) + " (" + node.op + "): its constant " +
                                  tensor::to_string(graph.value(v).shape) + " stays as it is, " +
                                  (graph::captured_inputs(node) ? "its branches read it, and not as a product's weight"
                                                                : "schemes quantize Conv, Gemm and MatMul"));
      continue;
    }
    if (table && plan.scheme.weights.map == fit::Map::kMinmax) {
      plan.left_out.push_back(base::printable(name) +
                              " (Gather): its table stays as it is, GatherBlockQuantized has no real offsets");
      continue;
    }
    if (!table && !graph.is_constant(node.input(1))) {
      plan.left_out.push_back(base::printable(name, 120) + " (" + node.op +
                              "): its second operand is computed, not constant");
      continue;
    }
    LayerPlan layer;
    layer.path = path;
    layer.node = id;
    layer.name = name;
    layer.op = node.op;
    layer.weight = node.input(table ? 0 : 1);
    layer.weight_name = graph.value(layer.weight).name;
    const std::string reason = describe_weight(graph, node, layer);
    if (!reason.empty()) {
      layer.note = reason;
      layer.bytes_before = layer.bytes_after = codec::stored_bytes(graph.value(layer.weight).constant);
      refused.push_back(base::in_quotes(name) + " (" + reason + ")");
    } else if (!options.zero_nonfinite) {
      require_finite(graph.value(layer.weight));
    }
    plan.layers.push_back(std::move(layer));
  }
}

/// Both operands of an Add that are computed, of equal shape: a residual connection.
bool is_residual_addition(const Graph& graph, const Node& node) {
  if (node.removed || !node.domain.empty() || node.op != "Add" || node.inputs.size() != 2) return false;
  if (graph.is_constant(node.inputs[0]) || graph.is_constant(node.inputs[1])) return false;
  return graph.value(node.inputs[0]).dtype == DType::f32;
}

void find_activations(const Graph& graph, Plan& plan) {
  const auto add = [&](ValueId v, int bits, const std::string& position) {
    for (ActivationPlan& a : plan.activations)
      if (a.value == v && a.bits == bits)
        return void(a.position += a.position.find(position) == std::string::npos ? ", " + position : "");
    const bool input = std::find(graph.inputs.begin(), graph.inputs.end(), v) != graph.inputs.end();
    plan.activations.push_back(
        {v, graph.value(v).name, bits, (input ? "network input, " : "") + position, false, false, {}});
  };
  for (const LayerPlan& layer : plan.layers)
    if (layer.bits < 16 && layer.activation_bits < 16) {
      const std::string what = layer.op == "Conv" ? "input of convolutions" : "input of products";
      add(graph.node(layer.node).input(0), layer.activation_bits, what);
    }
  if (plan.scheme.positions != Positions::kAll || plan.scheme.activation_bits == 16) return;
  for (NodeId id = 0; id < graph.node_count(); ++id)
    if (is_residual_addition(graph, graph.node(id)))
      for (const ValueId v : graph.node(id).inputs) add(v, plan.scheme.activation_bits, "input of residual additions");
}

}  // namespace

void require_finite(const graph::Value& value) {
  if (value.constant.dtype() != DType::f32 || value.constant.quantization()) return;
  const auto values = value.constant.values<float>();
  int64_t bad = 0, first_bad = -1;
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i])) {
      ++bad;
      if (first_bad < 0) first_bad = static_cast<int64_t>(i);
    }
  if (bad)
    base::fail_malformed("tensor " + base::in_quotes(value.name),
                         "is " + std::to_string(values[static_cast<size_t>(first_bad)]) + " at index " +
                             std::to_string(first_bad) + (bad > 1 ? " (" + std::to_string(bad) + " such values)" : ""),
                         "--nonfinite zero replaces such values by 0");
}

fit::MatrixView matrix_of(const LayerPlan& layer, const tensor::Tensor& weight) {
  const float* const data = weight.values<float>().data();
  if (layer.transposed) return {data, layer.rows, layer.columns, 1, layer.rows};
  return {data, layer.rows, layer.columns, layer.columns, 1};
}

int64_t Plan::quantized_layers() const {
  return std::count_if(layers.begin(), layers.end(), [](const LayerPlan& l) { return l.bits < 16; });
}

Plan make_plan(const Graph& graph, const Scheme& scheme, const Calibration* calibration, const PlanOptions& options) {
  Plan plan;
  plan.scheme = scheme;
  plan.style = options.style;
  std::vector<std::string> refused;
  graph::Path path;
  find_layers(graph, path, options, plan, refused);
  if (!refused.empty() && !options.allow_fallback) {
    std::string list;
    for (size_t i = 0; i < refused.size() && i < 5; ++i) list += (i ? ", " : "") + refused[i];
    if (refused.size() > 5) list += ", ...";
    base::fail_unsupported(
        "",
        std::to_string(refused.size()) + (refused.size() == 1 ? " layer" : " layers") + " cannot be quantized: " + list,
        "--allow-fallback leaves such layers as they are");
  }
  std::vector<LayerPlan*> products;
  for (LayerPlan& layer : plan.layers)
    if (layer.note.empty() && !layer.table) products.push_back(&layer);
  if (products.empty())
    base::fail_unsupported("",
                           "the network has no Conv, Gemm or MatMul with constant weights, so there is nothing to "
                           "quantize" +
                               (plan.left_out.empty() ? std::string() : "; left out: " + plan.left_out.front()));
  products.front()->first = true;
  products.back()->last = true;
  for (LayerPlan& layer : plan.layers)
    if (layer.note.empty() && layer.table) products.push_back(&layer);
  for (const Keep& keep : scheme.keep)
    if (std::none_of(products.begin(), products.end(), [&](const LayerPlan* l) { return matches(keep, *l); }))
      base::fail_usage("keep=" + base::printable(keep.layers), "matches no layer",
                       "write first, last, depthwise, or a layer's name as `nibble inspect -v` lists them");
  for (LayerPlan* layer : products) {
    choose_format(scheme, *layer);
    if (!layer->path.empty() && layer->activation_bits < 16) {
      layer->activation_bits = 16;
      layer->note += (layer->note.empty() ? "" : "; ") + std::string("activations in branches stay floats");
    }
    if (options.style == model::OnnxStyle::kMatMulNBits && layer->bits < 16) {
      if (layer->path.empty())
        choose_style(graph, *layer);
      else
        layer->why_qdq = "it lies in a branch";
    }
    find_lattice(*layer, graph::graph_at(graph, layer->path).value(layer->weight).constant);
    count_bytes(*layer);
  }
  find_activations(graph, plan);

  int64_t constants = 0, largest = 0, before = 0, after = 0;
  std::set<std::pair<const Graph*, ValueId>> counted;
  graph::for_each_graph(graph, [&](const Graph& g, const graph::Path&) {
    for (ValueId v = 0; v < g.value_count(); ++v)
      if (g.is_constant(v)) constants += codec::stored_bytes(g.value(v).constant);
  });
  for (const LayerPlan& layer : plan.layers) {
    if (!counted.insert({&graph::graph_at(graph, layer.path), layer.weight}).second) continue;
    before += layer.bytes_before;
    after += layer.bytes_after;
    largest = std::max(largest, layer.bytes_before);
  }
  // Beside the tensors a file holds names, shapes and nodes: as many bytes as the float file, and the nodes that are
  // added.
  const int64_t structure = options.file_bytes > constants ? options.file_bytes - constants : 120 * graph.node_count();
  constexpr int64_t kLayerNodes = 420, kActivationNodes = 330;  // bytes of the added nodes, names included
  plan.bytes_before = options.file_bytes ? options.file_bytes : constants + structure;
  plan.bytes_after = constants - before + after + structure + kLayerNodes * plan.quantized_layers() +
                     kActivationNodes * static_cast<int64_t>(plan.activations.size());
  try {
    plan.bytes_after = predicted_file_bytes(graph, plan);
  } catch (const base::Error& e) {
    if (e.kind() != base::ErrorKind::kUnsupported) throw;  // no file holds these formats: the estimate stays
  }
  // The float weights stay mapped; a layer at work holds its codes, parameters and a packed copy. A calibration holds
  // the weights as its convolutions want them, and the activations of a batch, as much again for copies in other
  // layouts and buffers that wait for their next use. A promise: the networks of the tests take at most a tenth more.
  constexpr int64_t kProgram = int64_t{16} << 20;
  plan.memory_bytes = kProgram + constants + after + 2 * largest;
  if (!plan.activations.empty()) {
    const int64_t batch = activation_bytes(graph) * calibration_batch(graph);
    plan.memory_bytes = std::max(plan.memory_bytes, kProgram + kCalibrationProgram + 2 * constants + 2 * batch);
  }
  const bool search = scheme.clip->name != "minmax";
  const double a_second =
      (search ? (scheme.weights.map == fit::Map::kAffine ? 4e6 : 15e6) : 100e6) * options.threads;  // bytes
  plan.seconds = static_cast<double>(before) / a_second;
  if (calibration) use_calibration(plan, *calibration);
  return plan;
}

std::vector<Observed> observed_values(const Graph& graph, const Plan& plan) {
  std::vector<Observed> values;
  const auto add = [&](const std::string& name, int64_t axis) {
    if (std::none_of(values.begin(), values.end(), [&](const Observed& o) { return o.name == name; }))
      values.push_back({name, axis});
  };
  for (const LayerPlan& layer : plan.layers)
    if (layer.bits < 16 && !layer.table && layer.path.empty())
      add(graph.value(graph.node(layer.node).input(0)).name, layer.op == "Conv" ? 1 : -1);
  for (const ActivationPlan& a : plan.activations) add(a.name, 1);
  return values;
}

void use_calibration(Plan& plan, const Calibration& calibration) {
  if (const std::string wanted = preparations_text(plan.scheme); calibration.prepared != wanted) {
    const auto named = [](const std::string& text) { return text.empty() ? "none" : base::printable(text); };
    base::fail_usage("",
                     "the ranges belong to a network prepared by " + named(calibration.prepared) +
                         ", this one is prepared by " + named(wanted),
                     "preparations change what values look like: calibrate again with --calib");
  }
  std::string missing;
  int64_t count = 0;
  for (ActivationPlan& a : plan.activations) {
    const auto it = calibration.activations.find(a.name);
    if (it == calibration.activations.end()) {
      if (++count <= 3) missing += (count > 1 ? ", " : "") + base::in_quotes(a.name);
      continue;
    }
    const ValueStatistics& s = it->second;
    const fit::Grid grid = activation_grid(a.bits);
    a.calibrated = true;
    a.is_signed = s.min < 0;
    const auto& bins = s.histogram.counts;
    if (s.count == 0 || plan.scheme.activation_clip->name == "minmax" || bins.empty()) {
      a.params = fit::params_from_range(std::min(s.min, 0.0f), std::max(s.max, 0.0f), grid);
      continue;
    }
    // The values are the bin centres, clamped to the range that was seen; zeros lie on a level whatever the scale.
    std::vector<float> centres, weights;
    const double width = std::ldexp(1.0, s.histogram.exponent);
    for (size_t i = 0; i < bins.size(); ++i) {
      if (bins[i] == 0) continue;
      const double centre = (static_cast<double>(s.histogram.first + static_cast<int64_t>(i)) + 0.5) * width;
      centres.push_back(std::clamp(static_cast<float>(centre), s.min, s.max));
      weights.push_back(static_cast<float>(bins[i]));
    }
    if (s.histogram.zeros) {
      centres.push_back(0.0f);
      weights.push_back(static_cast<float>(s.histogram.zeros));
    }
    fit::ClipOptions options;
    options.percentile = plan.scheme.percentile;
    a.params = plan.scheme.activation_clip->choose({centres, weights}, grid, options);
  }
  if (count)
    base::fail_usage("",
                     "the calibration has no range for " + std::to_string(count) +
                         (count == 1 ? " value: " : " values: ") + missing + (count > 3 ? ", ..." : ""),
                     "make it with --save-ranges from this network, or give data with --calib");
}

}  // namespace nibble::quant
