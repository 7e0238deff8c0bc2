// Folding before ranges are computed: a scale a channel that is applied after a convolution belongs to its weights.
#include "quant/prepare/prepare.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::quant {

const Preparation& batch_normalization_preparation() {
  static const Preparation p{"fold-batch-norm", "batch normalization becomes part of the convolution before it",
                             [](graph::Graph& graph) {
                               runtime::fold_batch_normalization(graph);
                               return std::string();
                             },
                             true, true};
  return p;
}

const Preparation& bias_preparation() {
  static const Preparation p{"fold-bias", "a constant added to each channel becomes the convolution's bias",
                             [](graph::Graph& graph) {
                               runtime::fold_bias(graph);
                               return std::string();
                             },
                             true, true};
  return p;
}

}  // namespace nibble::quant
