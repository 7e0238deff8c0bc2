#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/named_tensor.h"
#include "quant/plan/plan.h"
#include "train/autograd.h"
#include "train/trained_weight.h"

namespace nibble::train {

/// How quantizers learn.
enum class Quantizer : uint8_t {
  kLsq,      ///< learned scales
  kLsqPlus,  ///< learned scales and zero points
  kPact,     ///< scales that only clipped values move
  kSte,      ///< scales that stay where quantization without training put them
};

/// What the loss holds beside the data's part.
struct Regularisation {
  double damping = 0;   ///< weights towards their levels
  double kurtosis = 0;  ///< weights towards an even distribution
};

/// A quantized network in training: the Graph that quantize makes, with float masters behind its weights and learned
/// scales. What the Graph says is what training computes with, code by code.
class Student {
 public:
  /// `quantized` is what quant::apply made of `prepared` under `plan` (calibrated). Throws Error(kUnsupported) for
  /// formats that training does not learn.
  Student(graph::Graph quantized, const graph::Graph& prepared, const quant::Plan& plan, Quantizer quantizer);

  /// What autograd follows. `features` are names of values.
  TrainableGraph trainable(const std::vector<std::string>& features) const;
  /// The present values of what varies, and of the grids, as autograd wants them.
  std::vector<tensor::Tensor> constants() const;
  std::vector<ActivationGrid> grids() const;

  /// Weights; other constants; scales and zero points of weights; those of activations.
  enum Kind : size_t { kWeights, kOthers, kWeightScales, kActivationScales, kKinds };
  /// One group a kind. The tensors are the student's own: an optimiser changes them in place.
  std::vector<ParameterGroup> parameters() const;
  /// Gradients of the parameters, group by group: the slices' are added in their order.
  std::vector<tensor::Tensor> gradients(std::span<const SliceResult> slices,
                                        const Regularisation& regularisation) const;
  /// After a step: oscillations, running statistics of batch normalisation, averages.
  void finish_step(std::span<const SliceResult> slices, const Oscillation& oscillation, double averaging);

  /// Mean and variance of batch normalisation, by place: the plain average of what slices had.
  void set_batch_norms(std::span<const std::vector<BatchStatistics>> slices);

  /// Averages begin anew.
  void forget_averages() { averages_.clear(); }
  /// Every parameter's running average takes its place, and gives it back.
  void swap_averages();

  /// Weights and activations at 4 (or whatever the plan says), 8 or 16 bits (floats) for a while.
  void set_bits(int weight_bits, int activation_bits);
  /// Chooses the scales of weights anew for their present values.
  void refit_weights(const quant::Scheme& scheme, base::ThreadPool& pool);
  /// The network with floats for activations, for calibrating anew; weights as they are now.
  graph::Graph float_activations() const;
  /// Grids as `plan` has them after calibrating anew.
  void use_ranges(const quant::Plan& plan);

  /// How far the output of each product with a bias spreads: the unit of the bias's steps. By the bias's name.
  void set_bias_units(const std::map<std::string, float>& spread);
  /// Pairs of bias and the value that it shifts.
  std::vector<std::pair<std::string, std::string>> biases() const;

  /// The quantized network as it is now, with exactly these codes and scales.
  graph::Graph graph() const;

  /// What each of parameters() belongs to, for messages, in their order.
  std::vector<std::string> parameter_names() const;
  int64_t parameter_count() const;
  int64_t weight_count() const;
  int64_t frozen() const;
  double oscillating() const;

  /// Everything that changes, for a checkpoint; and back. Throws Error(kMalformed) where it does not fit.
  std::vector<io::NamedTensor> state() const;
  void load(const std::vector<io::NamedTensor>& state);

 private:
  struct Other {  ///< a bias, or a constant of a normalisation
    graph::ValueId value = graph::kNoValue;
    std::string name;
    tensor::Tensor first;      ///< as quantization left it
    tensor::Tensor parameter;  ///< in units
    float unit = 1;
    graph::ValueId shifts = graph::kNoValue;  ///< of a bias: the output that it is added to
    bool exact = false;                       ///< a bias of quantized products: kept exact as int32
    bool positive = false;                    ///< a normalisation's scale that is to be folded into codes
    tensor::Tensor real() const;
  };
  struct Activation {
    ActivationPlace place;
    std::string name;
    int bits = 8;
    float first_scale = 1;
    int first_zero = 0;
    tensor::Tensor log_scale, zero;  ///< one value each
    int64_t elements = 1;            ///< of one sample, for the size of its scale's steps
  };
  ActivationGrid grid_of(const Activation& a) const;
  void find_others();
  std::vector<tensor::Tensor*> all_parameters();

  graph::Graph graph_;
  Quantizer quantizer_;
  std::vector<TrainedWeight> weights_;
  std::vector<graph::ValueId> weight_values_;
  std::vector<Other> others_;
  std::vector<Activation> activations_;
  std::vector<BatchNormPlace> batch_norms_;
  std::vector<tensor::Tensor> averages_;  ///< in the order of all_parameters(); empty before the first step
  int64_t averaged_steps_ = 0;
  int activation_bits_ = 0;  ///< 0: as planned; 8; 16
};

}  // namespace nibble::train
