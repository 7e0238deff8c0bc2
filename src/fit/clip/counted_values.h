#pragma once
#include <vector>

#include "fit/clip/rule.h"

namespace nibble::fit {

/// The values of a group that count: those with a weight above 0, or all with weight 1 where the group has no weights
/// or only zeros.
struct CountedValues {
  struct Entry {
    float value;
    double weight;
  };
  std::vector<Entry> entries;
  double total_weight = 0.0;
  float min = 0.0f, max = 0.0f;

  /// Reads `group`, in ascending order of value. Reuses its memory.
  void load(const Group& group);
  bool empty() const { return entries.empty(); }
  bool constant() const { return min == max; }
};

/// Whether the map's levels lie the same on both sides of zero, so that one magnitude is all there is to choose.
inline bool is_symmetric(const Grid& grid) { return grid.map == Map::kSymmetric || grid.map == Map::kRestricted; }

/// Parameters of the part of [min, max] that lies within [low, high]. A side of the data that does not reach its limit
/// keeps its own end, and zero stays inside where the map needs it; a constant is kept whatever the limits are.
GroupParams params_of_cut(const CountedValues& values, double low, double high, const Grid& grid, float tensor_scale);

}  // namespace nibble::fit
