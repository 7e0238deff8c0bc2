#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "codec/format.h"
#include "fit/grid.h"
#include "fit/quantize.h"
#include "io/named_tensor.h"
#include "quant/plan/plan.h"
#include "tensor/tensor.h"
#include "train/fake_quantize.h"

namespace nibble::train {

/// Against weights that hover at the border between two codes (Nagel et al., "Overcoming Oscillations in
/// Quantization-Aware Training", 2022).
struct Oscillation {
  double momentum = 0.01;     ///< of the running frequency with which a weight's code turns back
  double freeze_above = 0.0;  ///< frequency from which a weight's code is fixed; 0: never
};

/// A quantized weight in training: float masters, and the scale (with zero point or offset) of each group. Masters are
/// kept in units of their row's root mean square, scales as logarithms over their first value, so that one learning
/// rate suits every tensor as it comes.
class TrainedWeight {
 public:
  /// `layer` says shape, grid and groups; `master` are the float values, `codes` the quantized constant that training
  /// starts from. `learn_zero`: zero points and offsets are learned too.
  TrainedWeight(const quant::LayerPlan& layer, const tensor::Tensor& master, const tensor::Tensor& codes, GridRule rule,
                bool learn_zero);

  const std::string& name() const { return name_; }
  int bits() const { return grid_.format->bits; }

  // Parameters, changed in place by whoever holds them: all f32, one dimension.
  tensor::Tensor masters;    ///< in storage order, in units
  tensor::Tensor log_scale;  ///< by group
  tensor::Tensor zero;       ///< by group: zero points as reals, or offsets in units of the first scale; may be absent

  /// How fine the levels are: 1 as stored; 17: 8-bit steps over the same range; 0: floats.
  void set_fineness(int fineness) { fineness_ = fineness; }
  int fineness() const { return fineness_; }
  /// Scales (and zero points) chosen anew for the masters as they are, as quantization without training does.
  void refit(const quant::Scheme& scheme, base::ThreadPool& pool);

  /// Scales (and zero points) that cover the masters as they are: what GridRule::kSte does before every step.
  void cover_range();

  /// The values that the network computes with now, in the weight's shape.
  tensor::Tensor value() const;
  /// Codes and parameters, exactly as value() has them. `fineness` must be 1.
  fit::QuantizedMatrix quantized() const;
  /// The weight as a quantized constant.
  tensor::Tensor constant() const;

  struct Gradients {
    tensor::Tensor masters, log_scale, zero;
  };
  /// From the gradient of value(). `damping`: adds the gradient of damping * mean(((value - clamp(master)) / scale)^2),
  /// `kurtosis`: that of kurtosis * (kurtosis of the masters - 1.8)^2 (Chmiel et al., "Robust Quantization", 2020).
  Gradients backward(const tensor::Tensor& gradient, double damping, double kurtosis) const;

  /// Called after each step: follows codes that turn back, and freezes where they do so too often.
  void track(const Oscillation& oscillation);
  int64_t frozen() const;
  /// Share of weights whose code turns back in more than one of fifty steps.
  double oscillating() const;

  /// All that changes, named after `prefix`, for a checkpoint; and back. Throws Error(kMalformed) where it does not
  /// fit.
  void save(const std::string& prefix, std::vector<io::NamedTensor>& to) const;
  void load(const std::string& prefix, const std::map<std::string, tensor::Tensor>& from);

 private:
  struct Group;  // parameters of one group, as the forward computation uses them
  Group group(int64_t index) const;
  int64_t group_of(int64_t row, int64_t column) const;
  template <typename F>
  void for_each_weight(const F& f) const;
  /// The code of a master that is `w`, less nothing: as it is stored.
  int code_of(size_t index, float w, const codec::GroupParams& params) const;
  tensor::Tensor real_masters() const;
  void start_from(const std::vector<codec::GroupParams>& params);

  std::string name_;
  tensor::Shape shape_;
  fit::Grid grid_;
  int64_t rows_, columns_, group_;
  bool transposed_, per_tensor_;
  GridRule rule_;
  std::vector<float> unit_;         ///< by row
  std::vector<float> first_scale_;  ///< by group
  std::vector<int> first_zero_;
  std::vector<float> first_offset_;
  int fineness_ = 1;
  // What track() keeps by weight; empty before its first call. Codes are counted from the zero point.
  std::vector<float> turning_, mean_code_;
  std::vector<int8_t> last_code_, last_direction_, frozen_code_;
};

}  // namespace nibble::train
