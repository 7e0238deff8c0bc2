#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "io/named_tensor.h"
#include "tensor/tensor.h"
#include "train/fake_quantize.h"

namespace nibble::train {

/// A place where an activation is quantized: a QuantizeLinear of floats and the DequantizeLinear that reads its codes.
struct ActivationPlace {
  graph::NodeId quantize = -1;
  graph::ValueId source = graph::kNoValue;  ///< the float value that is quantized
  graph::ValueId result = graph::kNoValue;  ///< what reads as floats again
};

/// Running statistics of one BatchNormalization in training: its inputs 3 and 4 are replaced by the batch's own.
struct BatchNormPlace {
  graph::NodeId node = -1;
};

/// What autograd is to follow: which constants of the Graph vary, and where activations are quantized.
struct TrainableGraph {
  graph::Graph graph;                        ///< as quantize makes it; codes of varying constants are not read
  std::vector<graph::ValueId> constants;     ///< what varies, in the order of Slice::constants
  std::vector<ActivationPlace> activations;  ///< in the order of Slice::activations
  std::vector<BatchNormPlace> batch_norms;   ///< in the order of SliceResult::batch_norms
  graph::ValueId logits = graph::kNoValue;   ///< rows of classes before any Softmax; kNoValue: outputs are no classes
  std::vector<graph::ValueId> features;      ///< compared with a teacher's, in the order of Slice::teacher_features
};

/// One slice of a batch, and what its answers are measured by. All tensors f32 unless inputs have another type.
struct Slice {
  std::span<const tensor::Tensor> inputs;     ///< by network input, [n, ...]
  std::span<const tensor::Tensor> constants;  ///< the present (fake-quantized) values
  std::span<const ActivationGrid> activations;
  bool batch_statistics = false;  ///< BatchNormalization normalises with the slice's own mean and variance

  /// The batch's size: losses are means over it, so that those of its slices add up.
  int64_t batch = 1;
  std::span<const std::optional<int64_t>> labels;  ///< cross entropy, weighted by `label_weight`; may be empty
  double label_weight = 0;
  double label_smoothing = 0;
  /// The teacher's logits [n, classes] (weighted by `teacher_weight`: T^2 KL(teacher || student) at temperature T), or,
  /// where the outputs are no classes, its outputs: mean squared error divided by `teacher_variance`.
  std::vector<tensor::Tensor> teacher;
  std::vector<double> teacher_variance;  ///< of each over the whole batch, or what stands for it; empty: 1
  double teacher_weight = 0, temperature = 1;
  /// The teacher's values of `TrainableGraph::features`, weighted alike: mean squared error over variance.
  std::vector<tensor::Tensor> teacher_features;
  std::vector<double> feature_variance;  ///< likewise
  double feature_weight = 0;
};

struct BatchStatistics {
  std::vector<float> mean, variance;  ///< by channel; the variance is unbiased
};

struct SliceResult {
  double label_loss = 0, teacher_loss = 0, feature_loss = 0;  ///< weighted, over the whole batch's size
  int64_t right = 0;                                          ///< labelled samples whose top class is the label
  std::vector<tensor::Tensor> constants;                      ///< gradients, in their shapes
  std::vector<GridGradient> activations;
  std::vector<BatchStatistics> batch_norms;  ///< where batch_statistics was set
  double loss() const { return label_loss + teacher_loss + feature_loss; }
};

/// Runs slices forward and backward. `run` may be called from several threads at once; each call computes on its own
/// thread alone, and its result depends on the slice alone.
class Autograd {
 public:
  virtual ~Autograd() = default;
  /// Throws Error(kUnsupported) for what an operator cannot do with these shapes, naming the node.
  virtual SliceResult run(const Slice& slice) const = 0;
  /// Only the losses and statistics, without gradients.
  virtual SliceResult forward(const Slice& slice) const = 0;
};

/// What an optimiser does with one group of parameters.
struct ParameterGroup {
  std::vector<tensor::Tensor> parameters;  ///< f32, changed in place by every step
  double rate_factor = 1;                  ///< times the step's learning rate
  double weight_decay = 0;
};

enum class OptimizerKind : uint8_t { kAdam, kSgd };

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One step with the gradients of all parameters, group by group.
  virtual void step(std::span<const tensor::Tensor> gradients, double learning_rate) = 0;
  /// Moments and counters, for a checkpoint; and back. Throws Error(kMalformed) where they do not fit.
  virtual std::vector<io::NamedTensor> state() const = 0;
  virtual void load(std::span<const io::NamedTensor> state) = 0;
};

/// The training component, a shared module of its own that brings libtorch.
struct Module {
  std::string_view version;    ///< must be that of this program
  std::string_view libraries;  ///< "libtorch 1.13.1"
  /// Throws Error(kUnsupported) naming every node whose operator has no gradient.
  std::unique_ptr<Autograd> (*make_autograd)(TrainableGraph graph);
  std::unique_ptr<Optimizer> (*make_optimizer)(OptimizerKind kind, std::vector<ParameterGroup> groups, double momentum);
  /// "Conv", "Relu", ...: operators with gradients.
  std::span<const std::string_view> (*operators)();
};

/// Loads the module from `folder`, or from where this program lies or is installed. Once loaded it stays. Throws
/// Error(kUnsupported) where it is not there or belongs to another build.
const Module& load_module(const std::filesystem::path& folder = {});

}  // namespace nibble::train
