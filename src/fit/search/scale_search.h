#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "fit/search/ladder.h"
#include "fit/search/sorted_group.h"

namespace nibble::fit {

/// A scale and the squared error that it leaves.
struct ScaleCandidate {
  double scale = 0.0;
  double error = 0.0;  ///< weighted sum of squares; under the codes that the search saw
  int zero = 0;
};

/// The best few of what was seen, best first.
class Candidates {
 public:
  static constexpr size_t kCapacity = 4;
  void clear() { count_ = 0; }
  void offer(double scale, double error, int zero) {
    if (count_ == kCapacity && error >= best_[kCapacity - 1].error) return;
    size_t at = count_ < kCapacity ? count_++ : kCapacity - 1;
    for (; at > 0 && best_[at - 1].error > error; --at) best_[at] = best_[at - 1];
    best_[at] = {scale, error, zero};
  }
  /// Error that a newcomer must beat to be kept at all.
  double bar() const { return count_ == kCapacity ? best_[kCapacity - 1].error : 1e300; }
  double best_error() const { return count_ ? best_[0].error : 1e300; }
  const ScaleCandidate* begin() const { return best_.data(); }
  const ScaleCandidate* end() const { return best_.data() + count_; }

 private:
  std::array<ScaleCandidate, kCapacity> best_;
  size_t count_ = 0;
};

/// The exact optimum over positive scales d (and, nested in it, over codes) of sum w (x - d g(q))^2 on one ladder.
///
/// As d falls from infinity every value climbs the ladder; between two such events the codes are constant and the best
/// d is Sxg / Sgg with error Sxx - Sxg^2 / Sgg. The optimum is among the assignments met on the way (as in llama.cpp
/// pull request 12557). We do not walk the whole way: an interval [d1, d2] is skipped when no scale inside can beat
/// what is known, cut in two while it holds many events, and swept event by event otherwise. Two lower bounds, both
/// rigorous:
///   - clipping at d2 plus rounding to zero at d1: the first only grows as d falls, the second as d grows, and no value
///     is in both;
///   - with q the codes at d: sqrt(E(d)) >= sqrt(E(d')) - |d - d'| * sqrt(Sgg(d)), the triangle inequality for x - d q
///   and
///     x - d' q (E(d') is minimal over codes), from both ends of the interval.
class ScaleSearch {
 public:
  /// Offers every improvement on `found` to it, under the zero point `zero`. `group` and `ladder` must outlive the
  /// call.
  void run(const SortedGroup& group, const Ladder& ladder, int zero, Candidates& found);

  /// Weighted squared error of nearest codes at scale d.
  static double error_at(const SortedGroup& group, const Ladder& ladder, double d);

  /// Scales outside [low, high] leave more than `error` by clipping or by rounding to zero alone.
  struct Bounds {
    double low, high;
  };
  static Bounds bounds(const SortedGroup& group, const Ladder& ladder, double error);

 private:
  struct Probe {
    double d = 0.0;
    double sxg = 0.0, sgg = 0.0;
    double root_error = 0.0;  ///< sqrt(E(d))
    double clipping = 0.0, vanishing = 0.0;
    std::vector<uint32_t> rank;  ///< per step, positive side first: the first value at or past it
  };
  struct Event {
    double wx, w, gain, square;
  };

  void probe(double d, Probe& p) const;
  void search(size_t depth, const Probe& low, const Probe& high);
  void sweep(const Probe& low, const Probe& high);
  void gather(const SortedSide& side, const Ladder::Side& steps, size_t first, const Probe& low, const Probe& high);

  const SortedGroup* group_ = nullptr;
  const Ladder* ladder_ = nullptr;
  Candidates* found_ = nullptr;
  int zero_ = 0;
  std::vector<Probe> middles_;  // one a depth
  Probe low_, high_;
  std::vector<uint64_t> keys_;
  std::vector<Event> events_;
};

}  // namespace nibble::fit
