// Lattice recovery. A group of w = round_p(s * k), k whole, is found again in three steps:
//
//   1. at most 16 different values are left of it (a group of floats ends here),
//   2. the largest magnitude a is s * K for one of at most 15 K. Rounding bounds each value, |w - s k| <= t, so that
//      under a K the code of w is round(w K / a), and s lies in the intersection of [(|w| - t) / |k|, (|w| + t) / |k|];
//      an empty one refutes K,
//   3. the storable scales of that interval are tried from its middle outward until all values decode to themselves.
//
// t is half a unit in the last place of w as an f32, f16 or bf16 of 24, 11 or 8 significant bits, and 2^-24 |w|: one
// rounding to that type, and one of f32 before it (k / 7 * max, or a batch normalization that was folded in).
//
// The chance that numbers of no structure pass: given a and K, another value w passes when w / s falls into a window of
// width 2 (t + |w| t_a / a) / s around a whole number, which lie 1 apart; so its chance is that width, at most that for
// the largest K. The chance of a group is at most the product of these times the number of K. That a value of p
// significant bits repeats one of at most 16 values has the chance 16 / 2^(p - 1), one octave holding 2^(p - 1) values.
// Groups are independent.
#include "fit/lattice.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/small_float.h"

namespace nibble::fit {
namespace {

constexpr double kEnoughBits = 40;  // of evidence: minus the binary logarithm of the chance of a coincidence
constexpr size_t kMostLevels = 16;

/// The type that the values went through.
struct Precision {
  int bits;           ///< significant ones
  int last_exponent;  ///< half a unit in the last place of its subnormal numbers is 2 to this power
  float (*round)(float);

  double tolerance(double value) const {
    if (value == 0.0) return std::ldexp(1.0, last_exponent);
    return std::ldexp(1.0, std::max(std::ilogb(value) - bits, last_exponent)) + 0x1p-24 * std::fabs(value);
  }
};

constexpr Precision kPrecisions[] = {
    {24, -150, [](float x) { return x; }},
    {11, -25, [](float x) { return base::f16_to_f32(base::f32_to_f16(x)); }},
    {8, -134, [](float x) { return base::bf16_to_f32(base::f32_to_bf16(x)); }},
};

/// The different values of a group, ascending.
struct Levels {
  std::array<double, kMostLevels> value{};
  size_t count = 0;
  int64_t repeats = 0;  ///< values that are not 0 and were there before

  /// False when there are too many, or one is not finite.
  bool add(float v) {
    if (!std::isfinite(v)) return false;
    for (size_t i = 0; i < count; ++i)
      if (value[i] == double{v}) {
        repeats += v != 0.0f;
        return true;
      }
    if (count == kMostLevels) return false;
    value[count++] = double{v} + 0.0;
    return true;
  }
  void sort() { std::sort(value.begin(), value.begin() + static_cast<int64_t>(count)); }
  double min() const { return value[0]; }
  double max() const { return value[count - 1]; }
};

struct Interval {
  double low, high;

  bool meet(double from, double to) {
    low = std::max(low, from);
    high = std::min(high, to);
    return low <= high;
  }
};

/// One group's parameters and what speaks for them.
struct Found {
  GroupParams params;
  ScaleType stored_as = ScaleType::kF32;
  bool consistent = false;  ///< decoded values, rounded to the precision, are the group's
  bool exact = false;       ///< decoded values are the group's
  double evidence = 0;      ///< bits
};

/// The float `steps` places after a positive one, in f32 or f16; 0 where there is none.
float neighbour(float middle, int steps, ScaleType type) {
  if (type == ScaleType::kF16) {
    const int bits = base::f32_to_f16(middle) + steps;
    return bits > 0 && bits < 0x7C00 ? base::f16_to_f32(static_cast<uint16_t>(bits)) : 0.0f;
  }
  const int64_t bits = int64_t{std::bit_cast<uint32_t>(middle)} + steps;
  return bits > 0 && bits < 0x7F800000 ? std::bit_cast<float>(static_cast<uint32_t>(bits)) : 0.0f;
}

class GroupSearch {
 public:
  GroupSearch(const Grid& grid, const Precision& precision) : grid_(grid), precision_(precision) {}

  std::optional<Found> run(const Levels& levels) {
    levels_ = &levels;
    const bool minmax = grid_.map == Map::kMinmax;
    offset_ = minmax ? levels.min() : 0.0;
    std::optional<Found> best;
    if (levels.min() == levels.max() && (minmax || levels.min() == 0.0)) {
      best.emplace();
      const auto constant = static_cast<float>(levels.min());
      best->params = params_from_range(constant, constant, grid_);
      best->stored_as = grid_.stored_as;
      best->consistent = best->exact = true;
    } else {
      const bool below = -levels.min() > levels.max();
      extreme_ = minmax ? levels.max() - offset_ : below ? levels.min() : levels.max();
      const int most = minmax || grid_.map == Map::kAffine ? grid_.steps()
                       : below                             ? grid_.fixed_zero() - grid_.lowest_code()
                                                           : grid_.highest_code() - grid_.fixed_zero();
      for (int steps = most; steps > 0; --steps) {
        const std::optional<Found> found = under(steps, most);
        if (found && (!best || rank(*found) > rank(*best))) best = found;
        if (best && rank(*best) == 3) break;
      }
    }
    if (best) best->evidence += static_cast<double>(levels.repeats) * std::max(0, precision_.bits - 1 - 4);
    return best;
  }

 private:
  int rank(const Found& f) const { return 2 * int{f.consistent} + int{f.stored_as == grid_.stored_as}; }

  /// How far a value's distance from the offset may lie from the lattice. With an offset both ends were rounded, and
  /// the product before it.
  double tolerance(double value) const {
    if (grid_.map != Map::kMinmax) return precision_.tolerance(value);
    return precision_.tolerance(value) + precision_.tolerance(offset_) + 0x1p-23 * (value - offset_);
  }

  /// What holds if the extreme value is `steps` steps from zero (minmax: from the offset), out of `most` tries.
  std::optional<Found> under(int steps, int most) {
    const double largest = std::fabs(extreme_), step = largest / steps, finest = largest / most;
    const double largest_tolerance = tolerance(extreme_ + offset_);
    Interval scale{(largest - largest_tolerance) / steps, (largest + largest_tolerance) / steps};
    double evidence = -std::log2(most);
    for (size_t i = 0; i < levels_->count; ++i) {
      const double value = levels_->value[i] - offset_, t = tolerance(levels_->value[i]);
      const double code = std::nearbyint(value / step), magnitude = std::fabs(code);
      codes_[i] = static_cast<int>(code);
      // A lattice gives each code one value.
      if (i > 0 && codes_[i] == codes_[i - 1]) return std::nullopt;
      if (magnitude == 0) {
        if (value != 0.0) return std::nullopt;
        continue;
      }
      if (!scale.meet((std::fabs(value) - t) / magnitude, (std::fabs(value) + t) / magnitude)) return std::nullopt;
      if (value == extreme_) continue;
      const double window = 2 * (t + std::fabs(value) / largest * largest_tolerance);
      if (window >= step) return std::nullopt;  // too coarse to tell codes apart
      evidence -= std::log2(std::min(1.0, window / finest));
    }
    const std::optional<int> zero = zero_point();
    if (!zero || !(scale.low > 0)) return std::nullopt;
    Found found;
    found.evidence = std::max(0.0, evidence);
    for (const bool consistent : {true, false})
      for (const ScaleType type : {grid_.stored_as, ScaleType::kF32})
        if (choose_scale(scale, *zero, type, consistent, found)) return found;
    return std::nullopt;
  }

  /// The zero point that gives every code its place; the one nearest to what the range suggests.
  std::optional<int> zero_point() const {
    const int low = std::min(0, codes_[0]), high = std::max(0, codes_[levels_->count - 1]);
    const int first = grid_.lowest_code() - low, last = grid_.highest_code() - high;
    if (first > last) return std::nullopt;
    if (grid_.map == Map::kMinmax) return 0;
    if (grid_.map == Map::kAffine) {
      const double suggested = std::nearbyint(-double(low) * grid_.steps() / std::max(1, high - low));
      return std::clamp(grid_.lowest_code() + static_cast<int>(suggested), first, last);
    }
    const int zero = grid_.fixed_zero();
    return zero >= first && zero <= last ? std::optional<int>(zero) : std::nullopt;
  }

  /// The scale of that type in the interval that is nearest its middle, of those that give back the values if they
  /// must. False where there is none.
  bool choose_scale(const Interval& interval, int zero, ScaleType type, bool must_give_back, Found& found) {
    const auto middle = static_cast<float>((interval.low + interval.high) / 2);
    // All floats of an interval that is narrow, as those of f32 are; evenly spaced ones of a wide one.
    const double all = (interval.high - interval.low) / std::ldexp(1.0, std::ilogb(middle) - 23);
    const int most = precision_.bits == 24 ? 128 : 16;  // tried on either side of the middle
    const int stride = type == ScaleType::kF32 ? std::max(1, static_cast<int>(all / (2 * most))) : 1;
    bool inside = true;
    for (int distance = 0; inside && distance <= most; ++distance) {
      inside = distance == 0;
      for (const int step : {-distance * stride, distance * stride}) {
        const float scale = neighbour(middle, step, type);
        if (double{scale} < interval.low || double{scale} > interval.high) continue;
        inside = true;
        for (const GroupParams& params : with_scale(scale, zero)) {
          if (grid_.format->storable(params, 1.0f, type) != params) continue;
          found.consistent = gives_back(params, true);
          if (must_give_back && !found.consistent) continue;
          found.exact = gives_back(params, false);
          found.params = params;
          found.stored_as = type;
          return true;
        }
      }
    }
    return false;
  }

  /// What may go with a scale. An offset is the least value where code 0 is in use; where the codes leave room, a lower
  /// one is fitted for each code that the least value may have: the middle of what the rounding of the values leaves.
  const std::vector<GroupParams>& with_scale(float scale, int zero) {
    tries_.assign(1, {.scale = scale, .zero = zero, .offset = static_cast<float>(offset_)});
    if (grid_.map != Map::kMinmax) return tries_;
    for (int first = 1; first <= grid_.steps() - codes_[levels_->count - 1]; ++first) {
      Interval left{-HUGE_VAL, HUGE_VAL};
      bool fits = true;
      for (size_t i = 0; fits && i < levels_->count; ++i) {
        const double value = levels_->value[i], product = double{scale * static_cast<float>(codes_[i] + first)};
        const double half = precision_.tolerance(value);
        fits = left.meet(value - half - product, value + half - product);
      }
      const auto middle = static_cast<float>((left.low + left.high) / 2);
      if (!fits) continue;
      for (const float offset : {middle, std::nextafterf(middle, -HUGE_VALF), std::nextafterf(middle, HUGE_VALF)})
        tries_.push_back({.scale = scale, .zero = zero, .offset = offset});
    }
    return tries_;
  }

  /// Whether the parameters decode to the values; or, rounded to the precision, do.
  bool gives_back(const GroupParams& params, bool rounded) const {
    for (size_t i = 0; i < levels_->count; ++i) {
      const float decoded =
          grid_.format->decode(grid_.format->quantize(static_cast<float>(levels_->value[i]), params), params);
      if (double{rounded ? precision_.round(decoded) : decoded} != levels_->value[i]) return false;
    }
    return true;
  }

  const Grid& grid_;
  const Precision& precision_;
  const Levels* levels_ = nullptr;
  std::array<int, kMostLevels> codes_{};
  double offset_ = 0, extreme_ = 0;
  std::vector<GroupParams> tries_;
};

/// Calls `use(levels)` for each group; false as soon as one has too many levels or `use` says so.
template <typename Use>
bool for_each_group(const MatrixView& m, int64_t group, bool per_tensor, Use&& use) {
  Levels levels;
  const int64_t length = group > 0 && !per_tensor ? group : std::max<int64_t>(m.columns, 1);
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t start = 0; start < m.columns; start += length) {
      for (int64_t c = start; c < std::min(m.columns, start + length); ++c)
        if (!levels.add(m(r, c))) return false;
      if (per_tensor) continue;
      levels.sort();
      if (!use(levels)) return false;
      levels = {};
    }
  if (!per_tensor) return true;
  levels.sort();
  return use(levels);
}

}  // namespace

std::optional<Lattice> find_lattice(const MatrixView& m, const Grid& grid, int64_t group, bool per_tensor) {
  if (!grid.format->uniform() || grid.format->bits != 4 || m.rows * m.columns == 0) return std::nullopt;
  for (const Precision& precision : kPrecisions) {
    Lattice lattice;
    lattice.stored_as = grid.stored_as;
    lattice.precision = precision.bits;
    GroupSearch search(grid, precision);
    double evidence = 0;
    const bool fits = for_each_group(m, group, per_tensor, [&](const Levels& levels) {
      const std::optional<Found> found = search.run(levels);
      if (!found) return false;
      evidence += found->evidence;
      lattice.exact += found->exact;
      if (found->stored_as != grid.stored_as) lattice.stored_as = ScaleType::kF32;
      lattice.params.push_back(found->params);
      return true;
    });
    if (fits && evidence >= kEnoughBits) return lattice;
  }
  return std::nullopt;
}

}  // namespace nibble::fit
