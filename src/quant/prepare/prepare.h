#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace nibble::quant {

/// A rewrite of a float Graph into an equal one that quantizes better. The float output does not change beyond
/// rounding.
struct Preparation {
  std::string_view name, summary;
  /// Returns what was done, in one phrase for people; empty where there is nothing to say.
  std::string (*run)(graph::Graph&);
  bool always = true;  ///< runs unasked; the others run where a scheme names them (`prepare=NAME`)
  bool folds = false;  ///< moves a scale or shift that follows a product into it
};
/// All, in the order in which they run.
std::span<const Preparation* const> all_preparations();
/// The preparation of that name, or nullptr.
const Preparation* find_preparation(std::string_view name);

/// Runs every preparation that runs always and those that were `chosen`, in the order of the table, then infers shapes
/// again. With `keep_normalizations` those that fold normalisations (and what stands where one did) are left out.
/// Returns "NAME: what was done" of those that have something to say.
std::vector<std::string> prepare(graph::Graph& graph, std::span<const Preparation* const> chosen = {},
                                 bool keep_normalizations = false);

}  // namespace nibble::quant
