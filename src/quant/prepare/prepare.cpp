#include "quant/prepare/prepare.h"

#include <algorithm>

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

const Preparation* find_preparation(std::string_view name) {
  for (const Preparation* p : all_preparations())
    if (p->name == name) return p;
  return nullptr;
}

std::vector<std::string> prepare(graph::Graph& graph, std::span<const Preparation* const> chosen,
                                 bool keep_normalizations) {
  std::vector<std::string> notes;
  for (const Preparation* p : all_preparations()) {
    if (!p->always && std::find(chosen.begin(), chosen.end(), p) == chosen.end()) continue;
    if (p->folds && keep_normalizations) continue;
    if (const std::string note = p->run(graph); !note.empty()) notes.push_back(std::string(p->name) + ": " + note);
  }
  graph.compact();
  runtime::infer_shapes(graph);
  return notes;
}

}  // namespace nibble::quant
