#include "fit/search/scale_search.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace nibble::fit {
namespace {

constexpr size_t kSweepEvents = 160;  // below this, sorting the events is cheaper than another cut
constexpr size_t kMaxDepth = 48;      // 2^48 pieces: closer together than float values lie

/// Error of the values that lie past the outermost level, as if they sat on it. Only grows as d falls.
double clipping_error(const SortedSide& side, double top, double d) {
  const double limit = top * d;
  const size_t at = side.rank(limit);
  return side.sum_wxx[at] - 2 * limit * side.sum_wx[at] + limit * limit * side.sum_w[at];
}

/// Error of the values that round to zero. Only grows as d grows. Nothing where the side has no level but zero: there
/// clipping_error counts it all.
double vanishing_error(const SortedSide& side, const Ladder::Side& steps, double d) {
  if (steps.steps.empty()) return 0.0;
  return side.sum_wxx[0] - side.sum_wxx[side.rank(steps.steps.front().threshold * d)];
}

/// The scale that takes the largest magnitude to the outermost level on both sides.
double covering_scale(const SortedGroup& group, const Ladder& ladder) {
  double d = 0.0;
  if (ladder.positive.top > 0.0) d = std::max(d, double{group.positive.top()} / ladder.positive.top);
  if (ladder.negative.top > 0.0) d = std::max(d, double{group.negative.top()} / ladder.negative.top);
  return d;
}

struct Sums {
  double sxg = 0.0, sgg = 0.0;
};

Sums sums_at(const SortedSide& side, const Ladder::Side& steps, double d, uint32_t* rank) {
  Sums s;
  const size_t n = side.size();
  size_t at = 0;
  // Few values: walk along; many: search each step.
  const bool walk = n < 8 * steps.steps.size();
  for (const auto& step : steps.steps) {
    const double limit = step.threshold * d;
    if (walk) {
      while (at < n && double{side.x[at]} < limit) ++at;
    } else {
      at = side.rank(limit);
    }
    if (rank) *rank++ = static_cast<uint32_t>(at);
    s.sxg += step.gain * side.sum_wx[at];
    s.sgg += step.square * side.sum_w[at];
  }
  return s;
}

}  // namespace

double ScaleSearch::error_at(const SortedGroup& group, const Ladder& ladder, double d) {
  const Sums p = sums_at(group.positive, ladder.positive, d, nullptr);
  const Sums n = sums_at(group.negative, ladder.negative, d, nullptr);
  return std::max(0.0, group.sum_squares - 2 * d * (p.sxg + n.sxg) + d * d * (p.sgg + n.sgg));
}

ScaleSearch::Bounds ScaleSearch::bounds(const SortedGroup& group, const Ladder& ladder, double error) {
  const double start = covering_scale(group, ladder);
  Bounds b{start, start};
  for (int i = 0; i < 2000; ++i) {
    b.low *= 0.92;
    if (clipping_error(group.positive, ladder.positive.top, b.low) +
            clipping_error(group.negative, ladder.negative.top, b.low) >
        error)
      break;
  }
  for (int i = 0; i < 2000; ++i) {
    b.high *= 1.1;
    const double lost = vanishing_error(group.positive, ladder.positive, b.high) +
                        vanishing_error(group.negative, ladder.negative, b.high);
    if (lost > error || lost >= group.sum_squares) break;
  }
  return b;
}

void ScaleSearch::probe(double d, Probe& p) const {
  const size_t up = ladder_->positive.steps.size(), down = ladder_->negative.steps.size();
  p.rank.resize(up + down);
  const Sums a = sums_at(group_->positive, ladder_->positive, d, p.rank.data());
  const Sums b = sums_at(group_->negative, ladder_->negative, d, p.rank.data() + up);
  p.d = d;
  p.sxg = a.sxg + b.sxg;
  p.sgg = a.sgg + b.sgg;
  p.root_error = std::sqrt(std::max(0.0, group_->sum_squares - 2 * d * p.sxg + d * d * p.sgg));
  p.clipping = clipping_error(group_->positive, ladder_->positive.top, d) +
               clipping_error(group_->negative, ladder_->negative.top, d);
  p.vanishing =
      vanishing_error(group_->positive, ladder_->positive, d) + vanishing_error(group_->negative, ladder_->negative, d);
  if (p.sgg > 0.0) found_->offer(p.sxg / p.sgg, std::max(0.0, group_->sum_squares - p.sxg * p.sxg / p.sgg), zero_);
}

void ScaleSearch::run(const SortedGroup& group, const Ladder& ladder, int zero, Candidates& found) {
  group_ = &group;
  ladder_ = &ladder;
  zero_ = zero;
  found_ = &found;
  const double start = covering_scale(group, ladder);
  if (!(start > 0.0)) return;
  // Something good to beat, before anything is searched; another zero point may have left it.
  if (found.begin() == found.end()) {
    for (const double factor : {1.0, 0.85, 0.7, 0.5}) {
      probe(start * factor, low_);
      if (low_.clipping > found.best_error()) break;
    }
  }
  const Bounds b = bounds(group, ladder, found.best_error());
  probe(b.low, low_);
  probe(b.high, high_);
  if (middles_.size() < kMaxDepth) middles_.resize(kMaxDepth);
  search(0, low_, high_);
}

void ScaleSearch::search(size_t depth, const Probe& low, const Probe& high) {
  // Sums of n terms carry an error of their own; never skip on the strength of it.
  const double bar = found_->best_error() * (1.0 + 1e-9) + 1e-13 * group_->sum_squares;
  if (high.clipping + low.vanishing > bar) return;
  const double reach = (low.root_error + high.root_error - (high.d - low.d) * std::sqrt(low.sgg)) / 2;
  if (reach > 0.0 && reach * reach > bar) return;
  size_t events = 0;
  for (size_t i = 0; i < low.rank.size(); ++i) events += high.rank[i] - low.rank[i];
  if (events == 0) return;  // the one assignment of this interval was scored by the probes
  if (events <= kSweepEvents || depth >= kMaxDepth || high.d <= low.d * (1.0 + 1e-7)) {
    sweep(low, high);
    return;
  }
  Probe& middle = middles_[depth];
  probe(std::sqrt(low.d * high.d), middle);
  // The half that looks better first: its finds may settle the other.
  if (low.root_error < high.root_error) {
    search(depth + 1, low, middle);
    search(depth + 1, middle, high);
  } else {
    search(depth + 1, middle, high);
    search(depth + 1, low, middle);
  }
}

void ScaleSearch::gather(const SortedSide& side, const Ladder::Side& steps, size_t first, const Probe& low,
                         const Probe& high) {
  for (size_t k = 0; k < steps.steps.size(); ++k) {
    const auto& step = steps.steps[k];
    const float threshold = static_cast<float>(step.threshold);
    for (size_t i = low.rank[first + k]; i < high.rank[first + k]; ++i) {
      // Crossed at d = x / threshold, in falling order of d: rising order of the inverse, whose bits sort as integers.
      const uint32_t when = std::bit_cast<uint32_t>(threshold / side.x[i]);
      keys_.push_back(uint64_t{when} << 32 | events_.size());
      events_.push_back({side.wx[i], side.w[i], step.gain, step.square});
    }
  }
}

void ScaleSearch::sweep(const Probe& low, const Probe& high) {
  keys_.clear();
  events_.clear();
  gather(group_->positive, ladder_->positive, 0, low, high);
  gather(group_->negative, ladder_->negative, ladder_->positive.steps.size(), low, high);
  std::sort(keys_.begin(), keys_.end());
  double sxg = high.sxg, sgg = high.sgg;
  const double total = group_->sum_squares;
  double bar = total - found_->bar();  // what Sxg^2 / Sgg must exceed
  for (const uint64_t key : keys_) {
    const Event& e = events_[static_cast<uint32_t>(key)];
    sxg += e.wx * e.gain;
    sgg += e.w * e.square;
    if (sxg * sxg <= bar * sgg) continue;
    found_->offer(sxg / sgg, std::max(0.0, total - sxg * sxg / sgg), zero_);
    bar = total - found_->bar();
  }
}

}  // namespace nibble::fit
