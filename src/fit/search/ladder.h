#pragma once
#include <vector>

#include "fit/grid.h"

namespace nibble::fit {

/// The levels of a grid at scale 1 as seen from zero, outward, on each side: at magnitude `threshold` a value leaves
/// one level for the next, which adds `gain` to its level and `square` to the square of its level.
struct Ladder {
  struct Step {
    double threshold, gain, square;
  };
  struct Side {
    std::vector<Step> steps;
    double top = 0.0;  ///< the outermost level
  };
  Side positive, negative;
};

/// The ladder of `grid` around the zero point `zero` (which only evenly spaced formats have).
Ladder make_ladder(const Grid& grid, int zero);

}  // namespace nibble::fit
