#pragma once
#include <string>
#include <vector>

#include "graph/graph.h"
#include "model/stored_weights.h"
#include "tensor/tensor.h"

namespace nibble::eval {

using model::format_text;

/// What quantizing did to the weight of one convolution or product.
struct WeightError {
  std::string name, op, weight_name;  ///< the node's name (its output's where it has none) and operator
  tensor::Tensor real, stored;        ///< before (absent where there is nothing to compare with) and after; of
                                      ///< MatMulNBits `stored` is decoded, float32 [K, N]
  std::string format;                 ///< "uint4, group 32, zero point"
  int64_t channel_axis = 0;           ///< the axis of the output channels
  int bits = 32;                      ///< of a stored code
  int64_t bytes = 0;                  ///< with scales, zero points and offsets
  double sqnr_db = 0;                 ///< 10 log10(sum w^2 / sum (w - decoded)^2); infinite when exact; see `real`

  bool is_quantized() const { return bits < 32; }
  double bits_per_weight() const;
};

/// The constant weights of `after`'s convolutions and products (MatMulNBits among them), in execution order, beside
/// those of `before`: the float network as quantization saw it (prepared, so that batch normalizations are folded into
/// its weights). Nodes are matched by the name of their output.
std::vector<WeightError> compare_weights(const graph::Graph& before, const graph::Graph& after);

/// Where the float weights lie between the levels that they were rounded to. Every weight is brought to the units of
/// its group's levels, (w - offset) / scale + zero point, so that one picture holds all groups.
struct WeightHistogram {
  double low = 0, high = 0;     ///< what the bins span, in units of the levels
  std::vector<int64_t> counts;  ///< bins of equal width
  std::vector<float> levels;    ///< ascending
  int64_t elements = 0;
  int64_t clipped = 0;  ///< further outside the outermost level than half the step next to it
  struct Range {
    float low, high;
  };
  std::vector<Range> channels;  ///< least and largest float weight of each output channel, in the weights' own units
};

/// `error.real` must be there and `error.stored` quantized.
WeightHistogram weight_histogram(const WeightError& error);

}  // namespace nibble::eval
