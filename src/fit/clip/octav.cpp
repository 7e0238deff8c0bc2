/// Sakr et al., "Optimal Clipping and Magnitude-aware Differentiation for Improved Quantization-aware Training"
/// (OCTAV), ICML 2022, arXiv 2206.06501. The clipping limit c that minimises uniform noise inside and clipping outside,
///
///     J(c) = (4^-B / 3) c^2 P(0 < |X| <= c) + E[(|X| - c)^2; |X| > c],
///
/// for which the paper iterates the fixed point
///
///     c <- E[|X|; |X| > c] / ((4^-B / 3) P(0 < |X| <= c) + P(|X| > c)).
///
/// Where we differ:
/// - between two neighbouring values J is a parabola, so we visit all of these pieces and take the least J: the exact
///   minimum on the values given, which may lie where a value stops being clipped and the fixed point jumps over;
/// - maps with two ends minimise 4^-B / 12 (high - low)^2 P(inside) + the squared excess on each side by turns, which
///   for low = 0 is the paper's form for unsigned data (4^-B / 12), and for low = -high its signed one;
/// - zeros are left out where zero is a level (all maps but minmax); the paper's 2^B steps are used for every format,
///   though ours have 2^B - 1 or fewer, and though the levels of NF4 and E2M1 are not evenly spaced.
/// The noise is taken as uniform, so that groups of fewer than about 64 values are better served by clip=mse.
#include <algorithm>
#include <cmath>
#include <span>

#include "fit/clip/counted_values.h"

namespace nibble::fit {
namespace {

struct Point {
  double x, weight;
};

/// The end h in [max(low, floor), largest] that minimises noise (h - low)^2 W(low <= x <= h) + sum over x > h of
/// w (x - h)^2. `points` ascend; those below `low` are clipped there and have no part in this.
double best_end(std::span<const Point> points, double noise, double low, double floor) {
  const auto first =
      std::lower_bound(points.begin(), points.end(), low, [](const Point& p, double l) { return p.x < l; });
  points = points.subspan(static_cast<size_t>(first - points.begin()));
  const double least = std::max(low, floor);
  if (points.empty() || points.back().x <= least) return least;
  double inside = 0.0, outside = 0.0, sum = 0.0, squares = 0.0;  // of weight; of x and x^2 outside
  for (const Point& p : points) inside += p.weight;
  double best = points.back().x, best_cost = noise * (best - low) * (best - low) * inside;
  for (size_t i = points.size(); i > 0; --i) {
    const Point& p = points[i - 1];
    if (p.x <= least) break;
    inside -= p.weight;
    outside += p.weight;
    sum += p.weight * p.x;
    squares += p.weight * p.x * p.x;
    const double bottom = std::max(i > 1 ? points[i - 2].x : least, least);
    const double h = std::clamp((sum + noise * inside * low) / (noise * inside + outside), bottom, p.x);
    const double excess = std::max(0.0, squares - 2 * h * sum + h * h * outside);
    const double cost = noise * (h - low) * (h - low) * std::max(0.0, inside) + excess;
    if (cost >= best_cost) continue;
    best_cost = cost;
    best = h;
  }
  return best;
}

class OctavSearch final : public ClipSearch {
 public:
  OctavSearch(const Grid& grid, float tensor_scale)
      : grid_(grid), tensor_scale_(tensor_scale), noise_(std::pow(4.0, -grid.format->bits) / 12.0) {}

  GroupParams choose(const Group& group) override {
    values_.load(group);
    if (values_.empty() || values_.constant())
      return params_of_cut(values_, double{values_.min}, double{values_.max}, grid_, tensor_scale_);
    upward_.clear();
    downward_.clear();
    if (is_symmetric(grid_)) {
      for (const auto& e : values_.entries)
        if (e.value != 0.0f) upward_.push_back({std::fabs(double{e.value}), e.weight});
      std::sort(upward_.begin(), upward_.end(), [](const Point& a, const Point& b) { return a.x < b.x; });
      const double limit = best_end(upward_, 4 * noise_, 0.0, 0.0);
      return params_of_cut(values_, -limit, limit, grid_, tensor_scale_);
    }
    const bool zero_is_a_level = grid_.map == Map::kAffine;
    for (const auto& e : values_.entries)
      if (e.value != 0.0f || !zero_is_a_level) upward_.push_back({double{e.value}, e.weight});
    for (size_t i = upward_.size(); i > 0; --i) downward_.push_back({-upward_[i - 1].x, upward_[i - 1].weight});
    const double floor = zero_is_a_level ? 0.0 : -INFINITY;
    double low = double{values_.min}, high = double{values_.max};
    if (zero_is_a_level) low = std::min(low, 0.0), high = std::max(high, 0.0);
    for (int turn = 0; turn < 50; ++turn) {  // each turn lowers the cost; a handful settles it
      const double before_low = low, before_high = high;
      high = best_end(upward_, noise_, low, floor);
      low = -best_end(downward_, noise_, -high, floor);
      if (low == before_low && high == before_high) break;
    }
    return params_of_cut(values_, low, high, grid_, tensor_scale_);
  }

 private:
  Grid grid_;
  float tensor_scale_;
  double noise_;  ///< of a step, as a share of the squared range
  CountedValues values_;
  std::vector<Point> upward_, downward_;
};

}  // namespace

const ClipRule& octav_rule() {
  static constexpr ClipRule kRule{
      .name = "octav",
      .summary = "the limit that balances clipping with uniform rounding noise (OCTAV)",
      .make = [](const Grid& grid, const ClipOptions&, float tensor_scale) -> std::unique_ptr<ClipSearch> {
        return std::make_unique<OctavSearch>(grid, tensor_scale);
      },
  };
  return kRule;
}

}  // namespace nibble::fit
