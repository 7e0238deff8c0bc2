// torch's Adam (with decoupled weight decay) and SGD (with Nesterov momentum), on tensors of ours.
#include "train/module/optimizer.h"

#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include <algorithm>

#include "base/error.h"
#include "train/module/tensors.h"

namespace nibble::train {
namespace {

using torch::optim::AdamWOptions;
using torch::optim::AdamWParamState;
using torch::optim::SGDOptions;
using torch::optim::SGDParamState;

/// What both have in common. `Options` and `State` are the optimiser's own types.
template <typename Torch, typename Options>
class TorchOptimizer : public Optimizer {
 public:
  TorchOptimizer(std::vector<ParameterGroup> groups, const std::function<Options(const ParameterGroup&)>& options)
      : groups_(std::move(groups)) {
    std::vector<torch::optim::OptimizerParamGroup> torch_groups;
    for (const ParameterGroup& group : groups_) {
      std::vector<at::Tensor> parameters;
      for (const tensor::Tensor& p : group.parameters) {
        parameters.push_back(to_torch(p).set_requires_grad(true));
        parameters_.push_back(parameters.back());
      }
      torch_groups.emplace_back(std::move(parameters), std::make_unique<Options>(options(group)));
    }
    optimizer_ = std::make_unique<Torch>(std::move(torch_groups), options({}));
  }

  void step(std::span<const tensor::Tensor> gradients, double learning_rate) override {
    NIBBLE_INVARIANT(gradients.size() == parameters_.size());
    for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].mutable_grad() = to_torch(gradients[i]);
    for (size_t i = 0; i < groups_.size(); ++i)
      static_cast<Options&>(optimizer_->param_groups()[i].options()).lr(learning_rate * groups_[i].rate_factor);
    optimizer_->step();
    for (at::Tensor& p : parameters_) p.mutable_grad().reset();  // its memory is the caller's
  }

  std::vector<io::NamedTensor> state() const override {
    std::vector<io::NamedTensor> all;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const auto it = optimizer_->state().find(key(i));
      if (it != optimizer_->state().end()) save(std::to_string(i), *it->second, all);
    }
    return all;
  }

  void load(std::span<const io::NamedTensor> state) override {
    for (const io::NamedTensor& t : state) {
      const size_t dot = t.name.find('.');
      const size_t i = static_cast<size_t>(std::strtoull(t.name.c_str(), nullptr, 10));
      if (dot == std::string::npos || i >= parameters_.size())
        base::fail_malformed("", "the optimiser's state has an unknown entry " + base::in_quotes(t.name));
      load(t.name.substr(dot + 1), t.tensor, i);
    }
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const auto it = optimizer_->state().find(key(i));
      if (it != optimizer_->state().end() && !whole(*it->second))
        base::fail_malformed("", "the optimiser's state lacks a part of entry " + std::to_string(i));
    }
  }

 protected:
  using Parameters = std::vector<at::Tensor>;
  static std::string key_of(const at::Tensor& p) { return c10::guts::to_string(p.unsafeGetTensorImpl()); }
  std::string key(size_t i) const { return key_of(parameters_[i]); }
  at::Tensor like_parameter(const tensor::Tensor& t, size_t i) const {
    if (t.elements() != parameters_[i].numel() || t.dtype() != tensor::DType::f32)
      base::fail_malformed("", "the optimiser's state does not fit this network");
    return to_torch(t).clone().reshape(parameters_[i].sizes());
  }
  template <typename State>
  State& state_of(size_t i) {
    auto& slot = optimizer_->state()[key(i)];
    if (!slot) slot = std::make_unique<State>();
    return static_cast<State&>(*slot);
  }
  virtual void save(const std::string& prefix, const torch::optim::OptimizerParamState& state,
                    std::vector<io::NamedTensor>& all) const = 0;
  virtual void load(const std::string& what, const tensor::Tensor& t, size_t i) = 0;
  /// Whether a state that was loaded has all its parts.
  virtual bool whole(const torch::optim::OptimizerParamState&) const { return true; }

 private:
  std::vector<ParameterGroup> groups_;
  Parameters parameters_;
  std::unique_ptr<Torch> optimizer_;
};

class Adam final : public TorchOptimizer<torch::optim::AdamW, AdamWOptions> {
 public:
  explicit Adam(std::vector<ParameterGroup> groups)
      : TorchOptimizer(std::move(groups), [](const ParameterGroup& g) {
          return AdamWOptions(1).betas({0.9, 0.999}).eps(1e-12).weight_decay(g.weight_decay);
        }) {}

 private:
  void save(const std::string& prefix, const torch::optim::OptimizerParamState& state,
            std::vector<io::NamedTensor>& all) const override {
    const auto& s = static_cast<const AdamWParamState&>(state);
    all.push_back({prefix + ".step", tensor::Tensor::scalar<int64_t>(s.step())});
    all.push_back({prefix + ".mean", from_torch(s.exp_avg())});
    all.push_back({prefix + ".square", from_torch(s.exp_avg_sq())});
  }
  void load(const std::string& what, const tensor::Tensor& t, size_t i) override {
    auto& s = state_of<AdamWParamState>(i);
    if (what == "step" && t.dtype() == tensor::DType::i64 && t.elements() == 1)
      s.step(t.values<int64_t>()[0]);
    else if (what == "mean")
      s.exp_avg(like_parameter(t, i));
    else if (what == "square")
      s.exp_avg_sq(like_parameter(t, i));
    else
      base::fail_malformed("", "the optimiser's state has an unknown entry " + base::in_quotes(what));
  }
  bool whole(const torch::optim::OptimizerParamState& state) const override {
    const auto& s = static_cast<const AdamWParamState&>(state);
    return s.exp_avg().defined() && s.exp_avg_sq().defined();
  }
};

class Sgd final : public TorchOptimizer<torch::optim::SGD, SGDOptions> {
 public:
  Sgd(std::vector<ParameterGroup> groups, double momentum)
      : TorchOptimizer(std::move(groups), [momentum](const ParameterGroup& g) {
          return SGDOptions(1).momentum(momentum).nesterov(momentum > 0).weight_decay(g.weight_decay);
        }) {}

 private:
  void save(const std::string& prefix, const torch::optim::OptimizerParamState& state,
            std::vector<io::NamedTensor>& all) const override {
    const auto& momentum = static_cast<const SGDParamState&>(state).momentum_buffer();
    if (momentum.defined()) all.push_back({prefix + ".momentum", from_torch(momentum)});
  }
  void load(const std::string& what, const tensor::Tensor& t, size_t i) override {
    if (what != "momentum")
      base::fail_malformed("", "the optimiser's state has an unknown entry " + base::in_quotes(what));
    state_of<SGDParamState>(i).momentum_buffer(like_parameter(t, i));
  }
};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(OptimizerKind kind, std::vector<ParameterGroup> groups, double momentum) {
  if (kind == OptimizerKind::kSgd) return std::make_unique<Sgd>(std::move(groups), momentum);
  return std::make_unique<Adam>(std::move(groups));
}

}  // namespace nibble::train
