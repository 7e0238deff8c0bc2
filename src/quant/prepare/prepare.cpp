#include "quant/prepare/prepare.h"

#include "runtime/infer_shapes.h"

namespace nibble::quant {

#define NIBBLE_PREPARATION(function) const Preparation& function##_preparation();
#include "quant/prepare/passes.def"
#undef NIBBLE_PREPARATION

std::span<const Preparation* const> all_preparations() {
  static const Preparation* const table[] = {
#define NIBBLE_PREPARATION(function) &function##_preparation(),
#include "quant/prepare/passes.def"
#undef NIBBLE_PREPARATION
  };
  return table;
}

void prepare(graph::Graph& graph) {
  for (const Preparation* p : all_preparations()) p->run(graph);
  graph.compact();
  runtime::infer_shapes(graph);
}

}  // namespace nibble::quant
