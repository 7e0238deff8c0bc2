#include "train/student.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/answers.h"
#include "graph/products.h"
#include "model/portable_form.h"
#include "quant/scheme.h"
#include "runtime/infer_shapes.h"
#include "train/copy.h"
#include "train/moments.h"

namespace nibble::train {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Tensor;

/// Inputs of an operator that are learned where they are float constants. Products' weights that are quantized are not
/// among them: those are TrainedWeights.
std::vector<size_t> learned_inputs(const Node& node) {
#define NIBBLE_GRADIENT(function, name, ...) \
  if (node.is(name)) return {__VA_ARGS__};
#include "train/gradients.def"
#undef NIBBLE_GRADIENT
  return {};
}

GridRule rule_of(Quantizer quantizer) {
  return quantizer == Quantizer::kPact  ? GridRule::kPact
         : quantizer == Quantizer::kSte ? GridRule::kSte
                                        : GridRule::kLsq;
}

}  // namespace

Tensor Student::Other::real() const {
  Tensor t(DType::f32, parameter.shape(), true);
  auto to = t.mutable_values<float>();
  const auto from = parameter.values<float>();
  const auto start = first.values<float>();
  // What has not moved is what it was, to the last bit.
  for (size_t i = 0; i < to.size(); ++i) to[i] = from[i] == start[i] / unit ? start[i] : from[i] * unit;
  return exact ? model::exact_bias(t) : t;
}

Student::Student(Graph quantized, const Graph& prepared, const quant::Plan& plan, Quantizer quantizer)
    : graph_(std::move(quantized)), quantizer_(quantizer) {
  const GridRule rule = rule_of(quantizer);
  for (const quant::LayerPlan& layer : plan.layers) {
    if (layer.bits == 16) continue;
    if (!layer.path.empty() || layer.table)
      base::fail_unsupported("layer " + base::in_quotes(layer.name),
                             "training does not reach into branches and quantized tables",
                             "leave it out with keep=" + layer.name + ":16");
    const ValueId value = graph_.find_value(layer.weight_name);
    const bool known = value != kNoValue && graph_.is_constant(value) && graph_.value(value).constant.quantization();
    NIBBLE_INVARIANT(known);
    if (std::find(weight_values_.begin(), weight_values_.end(), value) != weight_values_.end()) continue;  // shared
    weight_values_.push_back(value);
    weights_.emplace_back(layer, prepared.value(layer.weight).constant, graph_.value(value).constant, rule,
                          quantizer == Quantizer::kLsqPlus);
  }
  const auto consumers = graph_.consumers();
  for (NodeId id = 0; id < graph_.node_count(); ++id) {
    const Node& node = graph_.node(id);
    if (!node.is("QuantizeLinear") || graph_.is_constant(node.input(0))) continue;
    Activation a;
    const auto& readers = consumers[static_cast<size_t>(node.output(0))];
    NIBBLE_INVARIANT(readers.size() == 1 && graph_.node(readers[0]).is("DequantizeLinear"));
    a.place = {id, node.input(0), graph_.node(readers[0]).output(0)};
    a.name = graph_.value(node.input(0)).name;
    a.bits = tensor::bits_of(graph_.value(node.output(0)).dtype);
    a.first_scale = graph_.value(node.input(1)).constant.values<float>()[0];
    a.first_zero = static_cast<uint8_t>(codec::unpack(graph_.value(node.input(2)).constant)[0]);
    const tensor::Shape& shape = graph_.value(node.input(0)).shape;
    for (size_t d = 1; d < shape.size(); ++d) a.elements *= std::max<int64_t>(1, shape[d]);
    a.log_scale = Tensor(DType::f32, {1});
    a.zero = Tensor(DType::f32, {1});
    activations_.push_back(std::move(a));
  }
  find_others();
}

void Student::find_others() {
  const auto producers = graph_.producers();
  const auto add = [&](ValueId v, float unit, ValueId shifts, bool exact, bool positive) {
    const graph::Value& value = graph_.value(v);
    if (!graph_.is_constant(v) || value.constant.dtype() != DType::f32 || value.constant.quantization()) return;
    for (const Other& o : others_)
      if (o.value == v) return;
    Other o;
    o.value = v;
    o.name = value.name;
    o.unit = unit > 0 ? unit : 1.0f;
    o.shifts = shifts;
    o.exact = exact;
    o.positive = positive;
    o.first = value.constant;
    o.parameter = copy_of(value.constant);
    for (float& x : o.parameter.mutable_values<float>()) x /= o.unit;
    others_.push_back(std::move(o));
  };
  for (NodeId id = 0; id < graph_.node_count(); ++id) {
    const Node& node = graph_.node(id);
    if (node.removed) continue;
    const bool product = graph::is_product(node) || node.is("ConvTranspose");
    if (node.is("BatchNormalization")) batch_norms_.push_back({id});
    for (const size_t i : learned_inputs(node)) {
      const ValueId v = node.input(i);
      if (!graph_.is_constant(v) || graph_.value(v).constant.dtype() != DType::f32) continue;
      // A normalisation's output spreads as far as its scale says, so its shift moves in the same unit.
      const Tensor& sized = graph_.value(!product && i == 2 ? node.input(1) : v).constant;
      const bool bias = product && i == 2;
      const bool exact = bias && graph_.is_constant(node.input(1)) &&
                         graph_.value(node.input(1)).constant.quantization() &&
                         producers[static_cast<size_t>(node.input(0))] >= 0 &&
                         graph_.node(producers[static_cast<size_t>(node.input(0))]).is("DequantizeLinear");
      const float unit = sized.dtype() == DType::f32 && !sized.quantization()
                             ? moments_of(sized.values<float>()).root_mean_square()
                             : 1.0f;
      add(v, unit, bias ? node.output(0) : kNoValue, exact, node.is("BatchNormalization") && i == 1);
    }
    if (!node.is("Add") || node.inputs.size() != 2) continue;
    for (size_t i = 0; i < 2; ++i) {
      const ValueId other = node.inputs[1 - i];
      const NodeId from = other == kNoValue ? -1 : producers[static_cast<size_t>(other)];
      if (from >= 0 && (graph::is_product(graph_.node(from)) || graph_.node(from).is("ConvTranspose")) &&
          graph_.is_constant(node.inputs[i]) && graph_.value(node.inputs[i]).constant.dtype() == DType::f32)
        add(node.inputs[i], moments_of(graph_.value(node.inputs[i]).constant.values<float>()).root_mean_square(),
            node.output(0), false, false);
    }
  }
}

TrainableGraph Student::trainable(const std::vector<std::string>& features) const {
  TrainableGraph t;
  t.graph = graph_;
  t.constants = weight_values_;
  for (const Other& o : others_) t.constants.push_back(o.value);
  for (const Activation& a : activations_) t.activations.push_back(a.place);
  t.batch_norms = batch_norms_;
  // Rows of classes: the first output is [N, classes], perhaps through a Softmax.
  const ValueId out = graph_.outputs.at(0);
  const graph::Value& value = graph_.value(out);
  if (value.dtype == DType::f32 && value.shape_known && value.shape.size() == 2 && value.shape[1] >= 2) {
    t.logits = out;
    if (eval::ends_in_softmax(graph_)) t.logits = graph_.node(graph_.producers()[static_cast<size_t>(out)]).input(0);
  }
  for (const std::string& name : features) t.features.push_back(graph_.find_value(name));
  return t;
}

std::vector<Tensor> Student::constants() const {
  std::vector<Tensor> all;
  for (const TrainedWeight& w : weights_) all.push_back(w.value());
  for (const Other& o : others_) all.push_back(o.real());
  return all;
}

ActivationGrid Student::grid_of(const Activation& a) const {
  ActivationGrid g;
  const int highest = (1 << a.bits) - 1;
  codec::GroupParams wanted{a.first_scale * std::exp(a.log_scale.values<float>()[0]), 0, 0.0f};
  wanted.zero = std::clamp(a.first_zero + static_cast<int>(std::lround(a.zero.values<float>()[0])), 0, highest);
  const codec::GroupParams p = quant::activation_grid(a.bits).storable(wanted);
  g.scale = p.scale;
  g.zero = p.zero;
  g.highest = highest;
  g.rule = rule_of(quantizer_);
  g.enabled = activation_bits_ != 16;
  if (activation_bits_ == 8 && a.bits == 4) {  // the same range in 17 times as fine steps
    g.scale /= 17;
    g.zero *= 17;
    g.highest *= 17;
  }
  return g;
}

std::vector<ActivationGrid> Student::grids() const {
  std::vector<ActivationGrid> all;
  for (const Activation& a : activations_) all.push_back(grid_of(a));
  return all;
}

std::vector<ParameterGroup> Student::parameters() const {
  std::vector<ParameterGroup> groups(kKinds);
  for (const TrainedWeight& w : weights_) {
    groups[kWeights].parameters.push_back(w.masters);
    groups[kWeightScales].parameters.push_back(w.log_scale);
    if (w.zero) groups[kWeightScales].parameters.push_back(w.zero);
  }
  for (const Other& o : others_) groups[kOthers].parameters.push_back(o.parameter);
  for (const Activation& a : activations_) {
    groups[kActivationScales].parameters.push_back(a.log_scale);
    groups[kActivationScales].parameters.push_back(a.zero);
  }
  return groups;
}

std::vector<Tensor> Student::gradients(std::span<const SliceResult> slices, const Regularisation& r) const {
  const auto sum = [&](size_t i) {
    Tensor t = copy_of(slices[0].constants[i]);
    auto to = t.mutable_values<float>();
    for (size_t s = 1; s < slices.size(); ++s) {
      const auto from = slices[s].constants[i].values<float>();
      for (size_t k = 0; k < to.size(); ++k) to[k] += from[k];
    }
    return t;
  };
  std::vector<Tensor> weights, others, scales, activations;
  for (size_t i = 0; i < weights_.size(); ++i) {
    auto g = weights_[i].backward(sum(i), r.damping, r.kurtosis);
    weights.push_back(std::move(g.masters));
    scales.push_back(std::move(g.log_scale));
    if (g.zero) scales.push_back(std::move(g.zero));
  }
  for (size_t i = 0; i < others_.size(); ++i) {
    Tensor g = sum(weights_.size() + i);
    for (float& v : g.mutable_values<float>()) v *= others_[i].unit;
    others.push_back(std::move(g));
  }
  for (size_t i = 0; i < activations_.size(); ++i) {
    const ActivationGrid grid = grid_of(activations_[i]);
    GridGradient g;
    for (const SliceResult& s : slices) {
      g.scale += s.activations[i].scale;
      g.zero += s.activations[i].zero;
    }
    const double damp = 1.0 / std::sqrt(static_cast<double>(activations_[i].elements) * grid.highest);
    const bool learned = grid.enabled && quantizer_ != Quantizer::kSte;
    activations.push_back(
        Tensor::of<float>({1}, std::vector{learned ? static_cast<float>(g.scale * double{grid.scale} * damp) : 0.0f}));
    activations.push_back(Tensor::of<float>(
        {1}, std::vector{learned && quantizer_ == Quantizer::kLsqPlus ? static_cast<float>(g.zero * damp) : 0.0f}));
  }
  for (auto* more : {&others, &scales, &activations})
    weights.insert(weights.end(), std::make_move_iterator(more->begin()), std::make_move_iterator(more->end()));
  return weights;
}

void Student::set_bits(int weight_bits, int activation_bits) {
  for (TrainedWeight& w : weights_) w.set_fineness(weight_bits == 16 ? 0 : weight_bits == 8 && w.bits() == 4 ? 17 : 1);
  activation_bits_ = activation_bits;
}

void Student::refit_weights(const quant::Scheme& scheme, base::ThreadPool& pool) {
  for (TrainedWeight& w : weights_) w.refit(scheme, pool);
}

Graph Student::float_activations() const {
  Graph g = graph_;
  const auto values = constants();
  for (size_t i = 0; i < weight_values_.size(); ++i) g.value(weight_values_[i]).constant = values[i];
  for (size_t i = 0; i < others_.size(); ++i) g.value(others_[i].value).constant = values[weight_values_.size() + i];
  for (const Activation& a : activations_) g.replace_uses(a.place.result, a.place.source);
  g.compact();
  g.metadata.erase("nibble.scheme");
  runtime::infer_shapes(g);
  return g;
}

void Student::use_ranges(const quant::Plan& plan) {
  for (Activation& a : activations_)
    for (const quant::ActivationPlan& p : plan.activations)
      if (p.name == a.name && p.bits == a.bits) {
        a.first_scale = p.params.scale;
        a.first_zero = p.params.zero;
        fill(a.log_scale, 0);
        fill(a.zero, 0);
      }
}

void Student::set_bias_units(const std::map<std::string, float>& spread) {
  for (Other& o : others_) {
    const auto it = spread.find(o.name);
    if (it == spread.end() || !(it->second > 0) || !std::isfinite(it->second)) continue;
    const Tensor real = o.real();
    o.unit = it->second;
    auto to = o.parameter.mutable_values<float>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = real.values<float>()[i] / o.unit;
  }
}

std::vector<std::pair<std::string, std::string>> Student::biases() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (const Other& o : others_)
    if (o.shifts != kNoValue) all.emplace_back(o.name, graph_.value(o.shifts).name);
  return all;
}

Graph Student::graph() const {
  Graph g = graph_;
  for (size_t i = 0; i < weights_.size(); ++i) g.value(weight_values_[i]).constant = weights_[i].constant();
  for (const Other& o : others_) g.value(o.value).constant = o.real();
  for (const Activation& a : activations_) {
    const ActivationGrid grid = grid_of(a);
    const Node& node = g.node(a.place.quantize);
    g.value(node.input(1)).constant = Tensor::scalar<float>(grid.scale);
    const auto zero = static_cast<int8_t>(static_cast<uint8_t>(grid.zero));
    Tensor& stored = g.value(node.input(2)).constant;
    stored = codec::pack(stored.dtype(), {}, {&zero, 1});
  }
  return g;
}

}  // namespace nibble::train
