#pragma once
#include <memory>
#include <span>
#include <string_view>

#include "fit/grid.h"

namespace nibble::fit {

/// What a clip rule sees: the values of one group, with a weight each (importance, or the counts of a histogram whose
/// bin centres are the values). No weights, or only zeros, means that all count the same. Values are finite, weights
/// finite and not negative.
struct Group {
  std::span<const float> values;
  std::span<const float> weights = {};
};

struct ClipOptions {
  double percentile = 99.99;  ///< of the values inside the range, (0, 100]
};

/// One clip rule at work on one grid. Keeps its scratch memory between groups: one object a thread.
class ClipSearch {
 public:
  virtual ~ClipSearch() = default;
  /// Storable parameters for a group; {} values give those of a group of zeros. Throws Error(kUnsupported) when no
  /// storable scale is large enough.
  virtual GroupParams choose(const Group& group) = 0;
};

/// A way to choose the range of a group: the first of the three steps before the bits.
struct ClipRule {
  std::string_view name;     ///< as on the command line
  std::string_view summary;  ///< one line for help and docs
  std::unique_ptr<ClipSearch> (*make)(const Grid& grid, const ClipOptions& options, float tensor_scale);

  /// For one group at a time.
  GroupParams choose(const Group& group, const Grid& grid, const ClipOptions& options = {},
                     float tensor_scale = 1.0f) const {
    return make(grid, options, tensor_scale)->choose(group);
  }
};

/// The rule of that name, or nullptr; all, in the order of rules.def.
const ClipRule* find_clip_rule(std::string_view name);
std::span<const ClipRule* const> all_clip_rules();

}  // namespace nibble::fit
