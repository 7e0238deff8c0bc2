#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "fit/clip/rule.h"

namespace nibble::test {

/// Everything here is slow and plain, and shares no code with the searches that it judges.

/// Levels of a grid at scale 1, relative to the zero point, ascending.
inline std::vector<double> levels_of(const fit::Grid& grid, int zero) {
  std::vector<double> levels;
  if (grid.format->uniform()) {
    for (int code = grid.lowest_code(); code <= grid.highest_code(); ++code) levels.push_back(code - zero);
  } else {
    for (const float level : grid.format->levels) levels.push_back(double{level});
    std::sort(levels.begin(), levels.end());
    levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  }
  return levels;
}

inline double nearest(const std::vector<double>& levels, double y) {
  double best = levels[0];
  for (const double level : levels)
    if (std::fabs(level - y) < std::fabs(best - y)) best = level;
  return best;
}

inline double weight(const fit::Group& g, size_t i) { return g.weights.empty() ? 1.0 : double{g.weights[i]}; }

/// Weighted squared error of the nearest levels under given parameters.
inline double error_under(const fit::Group& g, const fit::Grid& grid, const fit::GroupParams& p) {
  const std::vector<double> levels = levels_of(grid, p.zero);
  double error = 0.0;
  for (size_t i = 0; i < g.values.size(); ++i) {
    const double x = double{g.values[i]} - double{p.offset};
    const double miss = x - double{p.scale} * nearest(levels, x / double{p.scale});
    error += weight(g, i) * miss * miss;
  }
  return error;
}

inline double energy(const fit::Group& g) {
  double sum = 0.0;
  for (size_t i = 0; i < g.values.size(); ++i) sum += weight(g, i) * double{g.values[i]} * double{g.values[i]};
  return sum;
}

/// Least error over all positive real scales: the whole sweep of crossings, no window, no pruning. For every assignment
/// met the sums are made afresh, so that nothing accumulates.
inline double least_error_over_scales(const fit::Group& g, const fit::Grid& grid, int zero) {
  const std::vector<double> levels = levels_of(grid, zero);
  std::vector<double> inverses;
  for (const float x : g.values)
    for (size_t k = 0; k + 1 < levels.size(); ++k) {
      const double u = (levels[k] + levels[k + 1]) / 2 / double{x};
      if (x != 0.0f && u > 0.0 && std::isfinite(u)) inverses.push_back(u);
    }
  std::sort(inverses.begin(), inverses.end());
  inverses.push_back(inverses.empty() ? 1.0 : inverses.back() * 2);
  const double total = energy(g);
  double best = total;
  double previous = 0.0;
  for (const double u : inverses) {
    const double inside = (previous + u) / 2;  // between two crossings the assignment is constant
    previous = u;
    double sxg = 0.0, sgg = 0.0;
    for (size_t i = 0; i < g.values.size(); ++i) {
      const double level = nearest(levels, double{g.values[i]} * inside);
      sxg += weight(g, i) * double{g.values[i]} * level;
      sgg += weight(g, i) * level * level;
    }
    if (sgg > 0.0 && sxg > 0.0) best = std::min(best, total - sxg * sxg / sgg);
  }
  return std::max(best, 0.0);
}

/// The same over every integer zero point of an affine grid.
inline double least_error_over_scales_and_zeros(const fit::Group& g, const fit::Grid& grid) {
  double best = energy(g);
  for (int zero = grid.lowest_code(); zero <= grid.highest_code(); ++zero)
    best = std::min(best, least_error_over_scales(g, grid, zero));
  return best;
}

enum class Kind { kNormal, kHeavyTail, kOneOutlier, kPositive, kShifted, kSparse, kLattice };
inline constexpr Kind kKinds[] = {Kind::kNormal,  Kind::kHeavyTail, Kind::kOneOutlier, Kind::kPositive,
                                  Kind::kShifted, Kind::kSparse,    Kind::kLattice};

inline std::vector<float> sample(Kind kind, size_t count, uint64_t seed) {
  base::Random random(seed, static_cast<uint64_t>(kind));
  std::vector<float> values(count);
  for (float& v : values) {
    const double x = random.normal();
    switch (kind) {
      case Kind::kNormal:
        v = static_cast<float>(0.05 * x);
        break;
      case Kind::kHeavyTail:
        v = static_cast<float>(0.05 * x / (0.1 + random.uniform()));
        break;
      case Kind::kOneOutlier:
        v = static_cast<float>(0.05 * x);
        break;
      case Kind::kPositive:
        v = static_cast<float>(std::fabs(x));
        break;
      case Kind::kShifted:
        v = static_cast<float>(x + 2.0);
        break;
      case Kind::kSparse:
        v = random.uniform() < 0.7 ? 0.0f : static_cast<float>(x);
        break;
      case Kind::kLattice:
        v = static_cast<float>(std::nearbyint(3 * x)) * 0.125f;
        break;
    }
  }
  if (kind == Kind::kOneOutlier) values[count / 2] *= 30.0f;
  return values;
}

inline std::vector<float> sample_weights(size_t count, uint64_t seed) {
  base::Random random(seed, 77);
  std::vector<float> weights(count);
  for (float& w : weights) w = random.uniform() < 0.1 ? 0.0f : static_cast<float>(std::exp(1.5 * random.normal()));
  return weights;
}

}  // namespace nibble::test
