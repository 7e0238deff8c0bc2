// Runs a slice forward, node by node in torch's operations, and backward.
#include "train/module/autograd.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <map>

#include "base/error.h"
#include "train/gradients/gradient.h"
#include "train/module/tensors.h"

namespace nibble::train {
namespace {

using graph::Graph;
using graph::Node;
using graph::NodeId;
using graph::ValueId;

/// The values as they lie in memory, whatever the layout; x must be dense.
std::span<float> storage(const at::Tensor& t) { return {t.data_ptr<float>(), static_cast<size_t>(t.numel())}; }

/// Fake quantization as a function that torch's autograd knows. Scale and zero point are there for their gradients.
struct FakeQuantize : torch::autograd::Function<FakeQuantize> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given, const at::Tensor& scale,
                            const at::Tensor& zero, const ActivationGrid* grid) {
    const at::Tensor x = given.is_non_overlapping_and_dense() ? given : given.contiguous();
    context->save_for_backward({x, scale, zero});
    context->saved_data["grid"] = reinterpret_cast<int64_t>(grid);
    at::Tensor y = at::empty_like(x);
    fake_quantize(storage(x), storage(y), *grid);
    return y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const auto* grid = reinterpret_cast<const ActivationGrid*>(context->saved_data["grid"].toInt());
    at::Tensor gy = gradients[0];
    if (gy.strides() != x.strides()) gy = at::empty_like(x).copy_(gy);
    at::Tensor gx = at::empty_like(x);
    const GridGradient g = fake_quantize_backward(storage(x), storage(gy), storage(gx), *grid);
    return {gx, at::full({}, g.scale, at::kDouble), at::full({}, g.zero, at::kDouble), at::Tensor()};
  }
};

class TorchAutograd final : public Autograd {
 public:
  explicit TorchAutograd(TrainableGraph trainable);
  SliceResult run(const Slice& slice) const override { return run(slice, true); }
  SliceResult forward(const Slice& slice) const override { return run(slice, false); }

 private:
  SliceResult run(const Slice& slice, bool backward) const;
  void run_node(NodeId id, std::vector<at::Tensor>& values, const Slice& slice, SliceResult& result) const;
  at::Tensor loss(const std::vector<at::Tensor>& values, const Slice& slice, SliceResult& result) const;

  TrainableGraph t_;
  std::vector<at::Tensor> constants_;       ///< by value; those that do not vary
  std::vector<const Gradient*> gradients_;  ///< by node
  std::map<NodeId, size_t> place_of_node_;  ///< QuantizeLinear -> its place
  std::map<NodeId, size_t> norm_of_node_;
  std::vector<bool> skipped_;        ///< by node: a DequantizeLinear whose place does its work
  std::vector<NodeId> last_reader_;  ///< by value; values that outputs and losses want have none
};

TorchAutograd::TorchAutograd(TrainableGraph trainable) : t_(std::move(trainable)) {
  const Graph& g = t_.graph;
  constants_.resize(static_cast<size_t>(g.value_count()));
  gradients_.resize(static_cast<size_t>(g.node_count()));
  skipped_.resize(static_cast<size_t>(g.node_count()));
  last_reader_.assign(static_cast<size_t>(g.value_count()), -1);
  std::vector<bool> varies(static_cast<size_t>(g.value_count()));
  for (const ValueId v : t_.constants) varies[static_cast<size_t>(v)] = true;
  const auto producers = g.producers();
  for (size_t i = 0; i < t_.activations.size(); ++i) {
    place_of_node_[t_.activations[i].quantize] = i;
    skipped_[static_cast<size_t>(producers[static_cast<size_t>(t_.activations[i].result)])] = true;
  }
  for (size_t i = 0; i < t_.batch_norms.size(); ++i) norm_of_node_[t_.batch_norms[i].node] = i;
  std::string missing;
  int64_t count = 0;
  for (NodeId id = 0; id < g.node_count(); ++id) {
    const Node& node = g.node(id);
    if (node.removed || skipped_[static_cast<size_t>(id)] || place_of_node_.count(id)) continue;
    for (const ValueId v : node.inputs) {
      if (v == graph::kNoValue) continue;
      last_reader_[static_cast<size_t>(v)] = id;
      if (g.is_constant(v) && !varies[static_cast<size_t>(v)] && !constants_[static_cast<size_t>(v)].defined())
        constants_[static_cast<size_t>(v)] = to_torch(g.value(v).constant);
    }
    gradients_[static_cast<size_t>(id)] = find_gradient(node.op, node.domain);
    if (!gradients_[static_cast<size_t>(id)] && ++count <= 5) missing += (count > 1 ? ", " : "") + node.describe();
  }
  if (count)
    base::fail_unsupported(
        "",
        "training cannot follow " + std::to_string(count) + (count == 1 ? " node: " : " nodes: ") + missing +
            (count > 5 ? ", ..." : ""),
        "operators with gradients are listed in docs/support.md; quantize without training, or train the part of the "
        "network before it");
}

void TorchAutograd::run_node(NodeId id, std::vector<at::Tensor>& values, const Slice& slice,
                             SliceResult& result) const {
  const Node& node = t_.graph.node(id);
  std::vector<at::Tensor> inputs;
  for (const ValueId v : node.inputs)
    inputs.push_back(v == graph::kNoValue ? at::Tensor() : values[static_cast<size_t>(v)]);
  const auto norm = norm_of_node_.find(id);
  Step step(node, std::move(inputs), slice.batch_statistics && norm != norm_of_node_.end());
  try {
    gradients_[static_cast<size_t>(id)]->forward(step);
  } catch (const c10::Error& e) {
    step.unsupported("libtorch refuses it: " + base::printable(e.what_without_backtrace(), 200));
  }
  if (step.batch_statistics()) {
    auto& s = result.batch_norms[norm->second];
    const at::Tensor mean = step.mean.contiguous(), variance = step.variance.contiguous();
    s.mean.assign(mean.data_ptr<float>(), mean.data_ptr<float>() + mean.numel());
    s.variance.assign(variance.data_ptr<float>(), variance.data_ptr<float>() + variance.numel());
  }
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i] != graph::kNoValue) values[static_cast<size_t>(node.outputs[i])] = step.outputs()[i];
}

/// Mean squared error over a variance, weighted by the slice's share of the batch.
at::Tensor relative_error(const at::Tensor& student, const at::Tensor& teacher, double variance, const Slice& slice) {
  const double samples = static_cast<double>(teacher.dim() > 0 ? teacher.size(0) : 1);
  return at::mse_loss(student, teacher) * (samples / static_cast<double>(slice.batch) / std::max(variance, 1e-12));
}

at::Tensor TorchAutograd::loss(const std::vector<at::Tensor>& values, const Slice& slice, SliceResult& result) const {
  const auto batch = static_cast<double>(slice.batch);
  std::vector<at::Tensor> parts;
  const auto add = [&](at::Tensor part, double weight, double& to) {
    part = part * weight;
    to += part.item<double>();
    parts.push_back(part);
  };
  at::Tensor logits;
  if (t_.logits != graph::kNoValue) {
    logits = values[static_cast<size_t>(t_.logits)];
    logits = logits.reshape({logits.size(0), -1});
  }
  if (!slice.labels.empty() && logits.defined()) {
    std::vector<int64_t> labels;
    for (const auto& l : slice.labels) labels.push_back(l.value_or(-100));
    const at::Tensor target = at::tensor(labels, at::kLong);
    if (slice.label_weight > 0)
      add(at::cross_entropy_loss(logits, target, {}, at::Reduction::Sum, -100, slice.label_smoothing) / batch,
          slice.label_weight, result.label_loss);
    result.right = at::argmax(logits.detach(), 1).eq(target).sum().item<int64_t>();
  }
  if (slice.teacher_weight > 0 && logits.defined() && !slice.teacher.empty()) {
    const double t = slice.temperature;
    const at::Tensor wanted = at::log_softmax(to_torch(slice.teacher[0]).reshape(logits.sizes()) / t, 1);
    const at::Tensor difference = wanted - at::log_softmax(logits / t, 1);
    add((at::exp(wanted) * difference).sum() * (t * t / batch), slice.teacher_weight, result.teacher_loss);
  } else if (slice.teacher_weight > 0) {
    for (size_t i = 0; i < slice.teacher.size(); ++i)
      add(relative_error(values[static_cast<size_t>(t_.graph.outputs[i])], to_torch(slice.teacher[i]),
                         slice.teacher_variance.empty() ? 1.0 : slice.teacher_variance[i], slice),
          slice.teacher_weight / static_cast<double>(slice.teacher.size()), result.teacher_loss);
  }
  if (slice.feature_weight > 0)
    for (size_t i = 0; i < slice.teacher_features.size(); ++i)
      add(relative_error(values[static_cast<size_t>(t_.features[i])], to_torch(slice.teacher_features[i]),
                         slice.feature_variance.empty() ? 1.0 : slice.feature_variance[i], slice),
          slice.feature_weight / static_cast<double>(slice.teacher_features.size()), result.feature_loss);
  if (parts.empty()) return {};
  at::Tensor sum = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) sum = sum + parts[i];
  return sum;
}

SliceResult TorchAutograd::run(const Slice& slice, bool backward) const {
  // Slices are what runs in parallel; within one, libtorch stays on this thread.
  thread_local const bool alone = (at::set_num_threads(1), true);
  (void)alone;
  const at::AutoGradMode mode(backward);
  const Graph& g = t_.graph;
  SliceResult result;
  result.activations.resize(t_.activations.size());
  if (slice.batch_statistics) result.batch_norms.resize(t_.batch_norms.size());

  std::vector<at::Tensor> values = constants_, leaves;
  for (size_t i = 0; i < t_.constants.size(); ++i) {
    at::Tensor& leaf = values[static_cast<size_t>(t_.constants[i])];
    leaf = to_torch(slice.constants[i]);
    leaf.set_requires_grad(backward);
    leaves.push_back(leaf);
  }
  for (size_t i = 0; i < t_.activations.size(); ++i)
    for (int k = 0; k < 2; ++k) leaves.push_back(at::zeros({}, at::kDouble).set_requires_grad(backward));
  for (size_t i = 0; i < g.inputs.size(); ++i) values[static_cast<size_t>(g.inputs[i])] = to_torch(slice.inputs[i]);

  for (NodeId id = 0; id < g.node_count(); ++id) {
    const auto place = place_of_node_.find(id);
    if (place != place_of_node_.end()) {
      const auto& p = t_.activations[place->second];
      const ActivationGrid& grid = slice.activations[place->second];
      const at::Tensor& x = values[static_cast<size_t>(p.source)];
      const size_t leaf = t_.constants.size() + 2 * place->second;
      values[static_cast<size_t>(p.result)] =
          grid.enabled ? FakeQuantize::apply(x, leaves[leaf], leaves[leaf + 1], &grid) : x;
      if (grid.rule == GridRule::kSte) {
        const auto [low, high] = at::aminmax(x.detach());
        result.activations[place->second].low = std::min(0.0f, low.item<float>());
        result.activations[place->second].high = std::max(0.0f, high.item<float>());
      }
      continue;
    }
    if (gradients_[static_cast<size_t>(id)]) run_node(id, values, slice, result);
  }
  const at::Tensor total = loss(values, slice, result);
  if (!backward || !total.defined()) return result;
  const auto gradients = torch::autograd::grad({total}, leaves, {}, false, false, true);
  for (size_t i = 0; i < t_.constants.size(); ++i)
    result.constants.push_back(gradients[i].defined() ? from_torch(gradients[i])
                                                      : tensor::Tensor(tensor::DType::f32, slice.constants[i].shape()));
  for (size_t i = 0; i < t_.activations.size(); ++i) {
    const at::Tensor& scale = gradients[t_.constants.size() + 2 * i];
    const at::Tensor& zero = gradients[t_.constants.size() + 2 * i + 1];
    if (scale.defined()) result.activations[i].scale = scale.item<double>();
    if (zero.defined()) result.activations[i].zero = zero.item<double>();
  }
  return result;
}

}  // namespace

std::unique_ptr<Autograd> make_autograd(TrainableGraph graph) {
  return std::make_unique<TorchAutograd>(std::move(graph));
}

}  // namespace nibble::train
