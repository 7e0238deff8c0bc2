#include "fit/search/ladder.h"

#include <cmath>

#include "base/error.h"

namespace nibble::fit {
namespace {

/// `levels`: 0 and then outward, as magnitudes.
Ladder::Side make_side(const std::vector<double>& levels) {
  Ladder::Side side;
  for (size_t i = 1; i < levels.size(); ++i) {
    const double below = levels[i - 1], above = levels[i];
    side.steps.push_back({(below + above) / 2, above - below, above * above - below * below});
  }
  side.top = levels.back();
  return side;
}

}  // namespace

Ladder make_ladder(const Grid& grid, int zero) {
  std::vector<double> up{0.0}, down{0.0};
  if (grid.format->uniform()) {
    NIBBLE_INVARIANT(zero >= grid.lowest_code() && zero <= grid.highest_code());
    for (int level = 1; level <= grid.highest_code() - zero; ++level) up.push_back(level);
    for (int level = 1; level <= zero - grid.lowest_code(); ++level) down.push_back(level);
  } else {
    const codec::Codebook& book = *grid.format->codebook;
    for (int i = 0; i < book.count; ++i)
      if (book.level[i] > 0.0f) up.push_back(double{book.level[i]});
    for (int i = book.count - 1; i >= 0; --i)
      if (book.level[i] < 0.0f) down.push_back(-double{book.level[i]});
  }
  return {make_side(up), make_side(down)};
}

}  // namespace nibble::fit
