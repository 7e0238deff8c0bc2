#pragma once
#include "graph/graph.h"

namespace nibble::model {

/// The opset whose meaning every Graph has after `upgrade`: the newest that nibble knows.
inline constexpr int64_t kCanonicalOpset = 28;
/// The oldest opset that `upgrade` reads.
inline constexpr int64_t kOldestOpset = 7;

/// Rewrites `g`, and the subgraphs in it, from its opset to kCanonicalOpset: after it, every operator means what it
/// means in the newest opset, so that nothing else in nibble knows that there were others. Constant and (at inference)
/// Dropout nodes become constants and Identity. The table of rules is upgrade_rules.def.
///
/// Throws Error(kUnsupported) for an opset outside kOldestOpset..kCanonicalOpset and for the few old forms that have no
/// equal (named by node), Error(kMalformed) for attributes of the wrong type.
void upgrade(graph::Graph& g);

}  // namespace nibble::model
