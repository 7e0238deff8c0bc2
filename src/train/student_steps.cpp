// What happens to a student after each step of its optimiser.
#include <algorithm>
#include <cmath>

#include "fit/grid.h"
#include "quant/scheme.h"
#include "train/copy.h"
#include "train/student.h"

namespace nibble::train {
namespace {

using graph::Node;
using tensor::DType;
using tensor::Tensor;

constexpr float kRunningMomentum = 0.1f;  // of batch normalisation's statistics, as torch's default
constexpr float kLeastScale = 1e-3f;      // of a normalisation, in units of its scales' root mean square
constexpr float kRangeMomentum = 0.1f;    // of the ranges that straight-through activations follow

}  // namespace

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

}  // namespace nibble::train
