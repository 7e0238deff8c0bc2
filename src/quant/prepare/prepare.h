#pragma once
#include <span>
#include <string_view>

#include "graph/graph.h"

namespace nibble::quant {

/// A rewrite of a float Graph into an equal one that quantizes better. The float output does not change beyond
/// rounding.
struct Preparation {
  std::string_view name, summary;
  void (*run)(graph::Graph&);
};
std::span<const Preparation* const> all_preparations();

/// Runs every preparation, then infers shapes again.
void prepare(graph::Graph& graph);

}  // namespace nibble::quant
