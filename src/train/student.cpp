#include "train/student.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/answers.h"
#include "graph/products.h"
#include "model/portable_form.h"
#include "quant/scheme.h"
#include "runtime/infer_shapes.h"

namespace nibble::train {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Tensor;

constexpr float kRunningMomentum = 0.1f;  // of batch normalisation's statistics, as torch's default
constexpr float kLeastScale = 1e-3f;      // of a normalisation, in units of its scales' root mean square
constexpr float kRangeMomentum = 0.1f;    // of the ranges that straight-through activations follow

/// Inputs of an operator that are learned where they are float constants. Products' weights that are quantized are not
/// among them: those are TrainedWeights.
std::vector<size_t> learned_inputs(const Node& node) {
#define NIBBLE_GRADIENT(function, name, ...) \
  if (node.is(name)) return {__VA_ARGS__};
#include "train/gradients.def"
#undef NIBBLE_GRADIENT
  return {};
}

float root_mean_square(const Tensor& t) {
  double sum = 0;
  for (const float v : t.values<float>()) sum += double{v} * double{v};
  return t.elements() ? static_cast<float>(std::sqrt(sum / static_cast<double>(t.elements()))) : 0.0f;
}

Tensor copy_of(const Tensor& t) { return Tensor::of<float>(t.shape(), t.values<float>()); }

/// The power of two nearest to a size, 1 for none: taking a number into such units and back does not round it.
float unit_of(float size) { return size > 0 && std::isfinite(size) ? std::exp2(std::round(std::log2(size))) : 1.0f; }

void fill(Tensor& t, float value) { std::fill_n(t.mutable_values<float>().data(), t.elements(), value); }

}  // namespace

Tensor Student::Other::real() const {
  Tensor t(DType::f32, parameter.shape(), true);
  auto to = t.mutable_values<float>();
  const auto from = parameter.values<float>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = from[i] * unit;
  return exact ? model::exact_bias(t) : t;
}

Student::Student(Graph quantized, const Graph& prepared, const quant::Plan& plan, Quantizer quantizer)
    : graph_(std::move(quantized)), quantizer_(quantizer) {
  const GridRule rule = quantizer == Quantizer::kPact  ? GridRule::kPact
                        : quantizer == Quantizer::kSte ? GridRule::kSte
                                                       : GridRule::kLsq;
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
    const Tensor& zero = graph_.value(node.input(2)).constant;
    a.first_zero = a.bits == 4 ? codec::unpack(zero)[0] : zero.values<uint8_t>()[0];
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
    o.unit = unit_of(unit);
    o.shifts = shifts;
    o.exact = exact;
    o.positive = positive;
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
      const float unit = sized.dtype() == DType::f32 && !sized.quantization() ? root_mean_square(sized) : 1.0f;
      add(v, unit, bias ? node.output(0) : kNoValue, exact, node.is("BatchNormalization") && i == 1);
    }
    if (!node.is("Add") || node.inputs.size() != 2) continue;
    for (size_t i = 0; i < 2; ++i) {
      const ValueId other = node.inputs[1 - i];
      const NodeId from = other == kNoValue ? -1 : producers[static_cast<size_t>(other)];
      if (from >= 0 && (graph::is_product(graph_.node(from)) || graph_.node(from).is("ConvTranspose")) &&
          graph_.is_constant(node.inputs[i]) && graph_.value(node.inputs[i]).constant.dtype() == DType::f32)
        add(node.inputs[i], root_mean_square(graph_.value(node.inputs[i]).constant), node.output(0), false, false);
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
  g.rule = quantizer_ == Quantizer::kPact  ? GridRule::kPact
           : quantizer_ == Quantizer::kSte ? GridRule::kSte
                                           : GridRule::kLsq;
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

void Student::finish_step(std::span<const SliceResult> slices, const Oscillation& oscillation, double averaging) {
  for (TrainedWeight& w : weights_) {
    if (quantizer_ == Quantizer::kSte) w.cover_range();
    w.track(oscillation);
  }
  for (size_t i = 0; i < activations_.size() && quantizer_ == Quantizer::kSte; ++i) {
    Activation& a = activations_[i];
    float low = 0, high = 0;
    for (const SliceResult& s : slices) {
      low = std::min(low, s.activations[i].low);
      high = std::max(high, s.activations[i].high);
    }
    const int highest = (1 << a.bits) - 1;
    const float old_low = -a.first_scale * static_cast<float>(a.first_zero),
                old_high = a.first_scale * static_cast<float>(highest - a.first_zero);
    const auto p =
        fit::params_from_range(old_low + kRangeMomentum * (low - old_low),
                               old_high + kRangeMomentum * (high - old_high), quant::activation_grid(a.bits));
    a.first_scale = p.scale;
    a.first_zero = p.zero;
  }
  for (Other& o : others_)
    if (o.positive)
      for (float& v : o.parameter.mutable_values<float>()) v = std::max(v, kLeastScale);
  for (const SliceResult& s : slices)
    for (size_t i = 0; i < s.batch_norms.size(); ++i) {
      const Node& node = graph_.node(batch_norms_[i].node);
      const auto follow = [&](size_t input, const std::vector<float>& seen) {
        Tensor& constant = graph_.value(node.input(input)).constant;
        Tensor next = copy_of(constant);
        auto to = next.mutable_values<float>();
        // Each slice counts for its share of a step.
        const float m = kRunningMomentum / static_cast<float>(slices.size());
        for (size_t c = 0; c < to.size(); ++c) to[c] += m * (seen[c] - to[c]);
        constant = next;
      };
      follow(3, s.batch_norms[i].mean);
      follow(4, s.batch_norms[i].variance);
    }
  if (averaging <= 0) return;
  const auto parameters = all_parameters();
  if (averages_.empty()) {
    for (const Tensor* p : parameters) averages_.push_back(copy_of(*p));
    averaged_steps_ = 1;
    return;
  }
  // Short at first, so that the start is soon forgotten.
  const auto steps = static_cast<double>(++averaged_steps_);
  const auto keep = static_cast<float>(std::min(averaging, (1 + steps) / (10 + steps)));
  for (size_t i = 0; i < parameters.size(); ++i) {
    auto to = averages_[i].mutable_values<float>();
    const auto from = parameters[i]->values<float>();
    for (size_t k = 0; k < to.size(); ++k) to[k] = keep * to[k] + (1 - keep) * from[k];
  }
}

void Student::set_batch_norms(std::span<const std::vector<BatchStatistics>> slices) {
  for (size_t i = 0; i < batch_norms_.size() && !slices.empty(); ++i) {
    const Node& node = graph_.node(batch_norms_[i].node);
    for (const size_t input : {3, 4}) {
      Tensor& constant = graph_.value(node.input(input)).constant;
      Tensor mean(DType::f32, constant.shape());
      for (size_t c = 0; c < static_cast<size_t>(mean.elements()); ++c) {
        double sum = 0;
        for (const auto& s : slices) sum += double{input == 3 ? s[i].mean[c] : s[i].variance[c]};
        mean.mutable_values<float>()[c] = static_cast<float>(sum / static_cast<double>(slices.size()));
      }
      constant = mean;
    }
  }
}

std::vector<Tensor*> Student::all_parameters() {
  std::vector<Tensor*> all;
  for (TrainedWeight& w : weights_) {
    all.push_back(&w.masters);
    all.push_back(&w.log_scale);
    if (w.zero) all.push_back(&w.zero);
  }
  for (Other& o : others_) all.push_back(&o.parameter);
  for (Activation& a : activations_) {
    all.push_back(&a.log_scale);
    all.push_back(&a.zero);
  }
  return all;
}

void Student::swap_averages() {
  const auto parameters = all_parameters();
  for (size_t i = 0; i < averages_.size(); ++i) {
    auto a = averages_[i].mutable_values<float>(), b = parameters[i]->mutable_values<float>();
    std::swap_ranges(a.begin(), a.end(), b.begin());
  }
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
    const float unit = unit_of(it->second);
    for (float& v : o.parameter.mutable_values<float>()) v *= o.unit / unit;
    o.unit = unit;
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
    g.value(node.input(2)).constant = a.bits == 4 ? codec::pack(DType::uint4, {}, {&zero, 1})
                                                  : Tensor::scalar<uint8_t>(static_cast<uint8_t>(grid.zero));
  }
  return g;
}

std::vector<std::string> Student::parameter_names() const {
  std::vector<std::string> weights, others, scales, activations;
  for (const TrainedWeight& w : weights_) {
    weights.push_back(w.name());
    scales.push_back("scale of " + w.name());
    if (w.zero) scales.push_back("zero point of " + w.name());
  }
  for (const Other& o : others_) others.push_back(o.name);
  for (const Activation& a : activations_) {
    activations.push_back("scale of " + a.name);
    activations.push_back("zero point of " + a.name);
  }
  for (const auto* more : {&others, &scales, &activations}) weights.insert(weights.end(), more->begin(), more->end());
  return weights;
}

int64_t Student::parameter_count() const {
  int64_t count = 0;
  for (const auto& group : parameters())
    for (const Tensor& p : group.parameters) count += p.elements();
  return count;
}

int64_t Student::weight_count() const {
  int64_t count = 0;
  for (const TrainedWeight& w : weights_) count += w.masters.elements();
  return count;
}

int64_t Student::frozen() const {
  int64_t count = 0;
  for (const TrainedWeight& w : weights_) count += w.frozen();
  return count;
}

double Student::oscillating() const {
  double sum = 0;
  for (const TrainedWeight& w : weights_) sum += w.oscillating() * static_cast<double>(w.masters.elements());
  return weights_.empty() ? 0 : sum / static_cast<double>(weight_count());
}

std::vector<io::NamedTensor> Student::state() const {
  std::vector<io::NamedTensor> all;
  for (size_t i = 0; i < weights_.size(); ++i) weights_[i].save("weight." + std::to_string(i) + ".", all);
  for (size_t i = 0; i < others_.size(); ++i) {
    all.push_back({"constant." + std::to_string(i), others_[i].parameter});
    all.push_back({"constant." + std::to_string(i) + ".unit", Tensor::of<float>({1}, std::vector{others_[i].unit})});
  }
  for (size_t i = 0; i < activations_.size(); ++i) {
    const Activation& a = activations_[i];
    all.push_back({"activation." + std::to_string(i),
                   Tensor::of<float>({4}, std::vector{a.first_scale, static_cast<float>(a.first_zero),
                                                      a.log_scale.values<float>()[0], a.zero.values<float>()[0]})});
  }
  for (size_t i = 0; i < batch_norms_.size(); ++i)
    for (const size_t input : {3, 4})
      all.push_back({"batch_norm." + std::to_string(i) + "." + std::to_string(input),
                     graph_.value(graph_.node(batch_norms_[i].node).input(input)).constant});
  for (size_t i = 0; i < averages_.size(); ++i) all.push_back({"average." + std::to_string(i), averages_[i]});
  all.push_back({"averaged_steps", Tensor::scalar<int64_t>(averaged_steps_)});
  return all;
}

void Student::load(const std::vector<io::NamedTensor>& state) {
  std::map<std::string, Tensor> by_name;
  for (const auto& t : state) by_name[t.name] = t.tensor;
  const auto require = [](bool right, const std::string& name, const char* is) {
    if (!right) base::fail_malformed("tensor " + base::in_quotes(name), is);
  };
  const auto floats = [&](const std::string& name, int64_t count) {
    const auto it = by_name.find(name);
    require(it != by_name.end() && it->second.dtype() == DType::f32 && it->second.elements() == count, name,
            "is missing or does not fit this network");
    const auto v = it->second.values<float>();
    require(std::all_of(v.begin(), v.end(), [](float x) { return std::isfinite(x); }), name,
            "holds a number that is not finite");
    return v;
  };
  const auto copy = [&](const std::string& name, Tensor& to) {
    const auto from = floats(name, to.elements());
    std::copy(from.begin(), from.end(), to.mutable_values<float>().begin());
  };
  for (size_t i = 0; i < weights_.size(); ++i) weights_[i].load("weight." + std::to_string(i) + ".", by_name);
  for (size_t i = 0; i < others_.size(); ++i) {
    copy("constant." + std::to_string(i), others_[i].parameter);
    const std::string unit = "constant." + std::to_string(i) + ".unit";
    others_[i].unit = floats(unit, 1)[0];
    require(others_[i].unit > 0, unit, "is not above 0");
  }
  for (size_t i = 0; i < activations_.size(); ++i) {
    const std::string name = "activation." + std::to_string(i);
    const auto v = floats(name, 4);
    Activation& a = activations_[i];
    require(v[0] > 0 && v[1] >= 0 && v[1] < static_cast<float>(1 << a.bits), name,
            "holds a scale or zero point that quantization does not make");
    a.first_scale = v[0];
    a.first_zero = static_cast<int>(v[1]);
    fill(a.log_scale, v[2]);
    fill(a.zero, v[3]);
  }
  for (size_t i = 0; i < batch_norms_.size(); ++i)
    for (const size_t input : {3, 4}) {
      Tensor& constant = graph_.value(graph_.node(batch_norms_[i].node).input(input)).constant;
      const auto from = floats("batch_norm." + std::to_string(i) + "." + std::to_string(input), constant.elements());
      constant = Tensor::of<float>(constant.shape(), from);
    }
  averages_.clear();
  const auto parameters = all_parameters();
  for (size_t i = 0; i < parameters.size() && by_name.count("average.0"); ++i) {
    averages_.push_back(copy_of(*parameters[i]));
    copy("average." + std::to_string(i), averages_.back());
  }
  const auto steps = by_name.find("averaged_steps");
  require(steps != by_name.end() && steps->second.dtype() == DType::i64 && steps->second.elements() == 1 &&
              steps->second.values<int64_t>()[0] >= 0,
          "averaged_steps", "is missing or does not fit this network");
  averaged_steps_ = steps->second.values<int64_t>()[0];
}

}  // namespace nibble::train
