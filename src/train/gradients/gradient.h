#pragma once
#include <ATen/ATen.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"

namespace nibble::train {

/// One node on the way forward: its inputs as torch's tensors, and where its outputs go.
class Step {
 public:
  Step(const graph::Node& node, std::vector<at::Tensor> inputs, bool batch_statistics)
      : node_(node), inputs_(std::move(inputs)), batch_statistics_(batch_statistics), outputs_(node.outputs.size()) {}

  const graph::Node& node() const { return node_; }
  size_t input_count() const { return inputs_.size(); }
  bool has(size_t i) const { return i < inputs_.size() && inputs_[i].defined(); }
  /// Throws Error(kMalformed) where it is missing.
  const at::Tensor& input(size_t i) const;
  at::Tensor input_or(size_t i, at::Tensor fallback) const { return has(i) ? inputs_[i] : fallback; }
  /// The values of an integer input (a shape, axes), which have no gradient.
  std::vector<int64_t> integers(size_t i) const;

  /// A float attribute.
  double number(const char* attribute, float fallback) const { return double{node_.real(attribute, fallback)}; }

  void output(at::Tensor value, size_t i = 0) { outputs_.at(i) = std::move(value); }
  size_t output_count() const { return outputs_.size(); }
  bool wants(size_t i) const { return node_.output(i) != graph::kNoValue; }
  const std::vector<at::Tensor>& outputs() const { return outputs_; }

  /// BatchNormalization takes the mean and variance of what it is given, and says here what they were.
  bool batch_statistics() const { return batch_statistics_; }
  at::Tensor mean, variance;

  /// Error(kUnsupported) naming the node.
  [[noreturn]] void unsupported(const std::string& sentence) const;
  /// An axis in [-rank, rank) made non-negative; Error(kMalformed) otherwise.
  int64_t axis(int64_t given, int64_t rank) const;

 private:
  const graph::Node& node_;
  std::vector<at::Tensor> inputs_;
  bool batch_statistics_;
  std::vector<at::Tensor> outputs_;
};

#define NIBBLE_GRADIENT(function, onnx_name, ...) void follow_##function(Step&);
#include "train/gradients.def"
#undef NIBBLE_GRADIENT

/// An operator that training can follow: its forward computation in operations that autograd knows.
struct Gradient {
  std::string_view name, domain;
  void (*forward)(Step&);
};

/// The operator's row, or nullptr.
const Gradient* find_gradient(std::string_view name, std::string_view domain);
/// All rows in table order.
std::span<const Gradient> all_gradients();

}  // namespace nibble::train
