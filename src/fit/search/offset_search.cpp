#include "fit/search/offset_search.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace nibble::fit {

OffsetSearch::Sums OffsetSearch::sums_at(double d, double m) const {
  const SortedSide& side = group_->positive;
  Sums s;
  size_t at = 0;
  const size_t n = side.size();
  const bool walk = n < 8 * static_cast<size_t>(steps_);
  for (int k = 1; k <= steps_; ++k) {
    const double limit = m + (k - 0.5) * d;
    if (limit <= 0.0) {  // passed by all, the zeros that SortedSide leaves out included
      s.q += group_->total_weight;
      s.qq += (2 * k - 1) * group_->total_weight;
      s.xq += side.sum_wx[0];
      continue;
    }
    if (walk) {
      while (at < n && double{side.x[at]} < limit) ++at;
    } else {
      at = side.rank(limit);
    }
    s.q += side.sum_w[at];
    s.qq += (2 * k - 1) * side.sum_w[at];
    s.xq += side.sum_wx[at];
  }
  return s;
}

double OffsetSearch::error_at(double d, double m) const {
  const Sums s = sums_at(d, m);
  const double sx = group_->positive.sum_wx[0], sw = group_->total_weight;
  return std::max(0.0, group_->sum_squares - 2 * d * s.xq - 2 * m * sx + d * d * s.qq + 2 * d * m * s.q + m * m * sw);
}

OffsetSearch::Fit OffsetSearch::descend(double low, double high) const {
  Fit best{(high - low) / steps_, low, 0.0};
  best.error = error_at(best.d, best.m);
  const double sx = group_->positive.sum_wx[0], sw = group_->total_weight;
  for (int round = 0; round < 20; ++round) {
    const Sums s = sums_at(best.d, best.m);
    const double determinant = sw * s.qq - s.q * s.q;
    if (determinant <= 1e-6 * sw * s.qq) break;  // nearly constant codes: the regression says nothing
    Fit next;
    next.d = (sw * s.xq - sx * s.q) / determinant;
    next.m = (s.qq * sx - s.q * s.xq) / determinant;
    if (!(next.d > 0.0)) break;
    next.error = error_at(next.d, next.m);
    if (next.error >= best.error) break;
    best = next;
  }
  return best;
}

GroupParams OffsetSearch::run(const SortedGroup& group, const Grid& grid, float shift) {
  group_ = &group;
  steps_ = grid.steps();
  const double range = double{group.max};
  constexpr std::array<double, 6> kCuts = {-0.02, 0.02, 0.06, 0.10, 0.14, 0.18};
  constexpr std::array<double, 4> kDeepCuts = {0.0, 0.25, 0.35, 0.45};
  Fit best{range / steps_, 0.0, error_at(range / steps_, 0.0)};
  const auto consider = [&](double low, double high) {
    const Fit fit = descend(low * range, (1.0 - high) * range);
    if (fit.error < best.error) best = fit;
  };
  if (steps_ <= 15) {
    for (const double low : kCuts)
      for (const double high : kCuts) consider(low, high);
  }
  for (const double low : kDeepCuts)
    for (const double high : kDeepCuts) consider(low, high);

  // What is stored: the scale's neighbours are no worse in f32; an f16 scale gets the offset that suits it.
  const auto stored = [&](double d, double m) {
    return grid.storable({.scale = static_cast<float>(d), .zero = 0, .offset = static_cast<float>(double{shift} + m)});
  };
  const GroupParams covering = stored(range / steps_, 0.0);
  const GroupParams first = stored(best.d, best.m);
  const Sums s = sums_at(double{first.scale}, best.m);
  const double sx = group.positive.sum_wx[0];
  const GroupParams refit = stored(double{first.scale}, (sx - double{first.scale} * s.q) / group.total_weight);
  GroupParams winner = covering;
  double least = -1.0;
  for (const GroupParams& p : {covering, first, refit}) {
    const double error = error_at(double{p.scale}, double{p.offset} - double{shift});
    if (least >= 0.0 && error >= least) continue;
    least = error;
    winner = p;
  }
  return winner;
}

}  // namespace nibble::fit
