// Weights of products in branches belong to the branch, as those of other products belong to the network, so that a
// plan finds them there.
#include "graph/subgraphs.h"
#include "quant/prepare/prepare.h"

namespace nibble::quant {

const Preparation& branches_preparation() {
  static const Preparation p{"branch-weights", "products in branches get the constants that they read outside of these",
                             [](graph::Graph& graph) {
                               const int64_t moved = graph::own_captured_weights(graph);
                               return moved ? std::to_string(moved) + (moved == 1 ? " weight" : " weights") +
                                                  " of products in branches moved into these"
                                            : std::string();
                             }};
  return p;
}

}  // namespace nibble::quant
