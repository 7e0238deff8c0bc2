#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "fit/clip/rule.h"

namespace nibble::fit {

/// Values of one sign in ascending order of magnitude, with the sums that make the error of any scale a matter of one
/// binary search a level. Sums run from the end: `weight[i]` is that of all values from rank i on; each has size + 1
/// entries, the last 0.
struct SortedSide {
  std::vector<float> x;       ///< magnitudes
  std::vector<double> w, wx;  ///< of each value: weight, weight * magnitude
  std::vector<double> sum_w, sum_wx, sum_wxx;

  size_t size() const { return x.size(); }
  float top() const { return x.empty() ? 0.0f : x.back(); }
  /// Rank of the first value of at least `limit`.
  size_t rank(double limit) const;
};

/// One group, split by sign and sorted. Zeros are left out (they sit at the level of zero under every scale) but
/// counted in `total_weight`; values of weight 0 are left out altogether.
class SortedGroup {
 public:
  /// Reads `group`, each value less `shift`. Reuses its memory. Values are finite (checked).
  void load(const Group& group, float shift = 0.0f);

  SortedSide positive, negative;
  double total_weight = 0.0;
  double sum_squares = 0.0;  ///< sum of weight * value^2
  float min = 0.0f, max = 0.0f;

 private:
  void sort_side(SortedSide& side, bool weighted, const Group& group);
  std::vector<uint64_t> keys_, spare_;
  std::vector<uint64_t> negative_keys_;
};

}  // namespace nibble::fit
