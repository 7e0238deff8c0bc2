#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "fit/clip/rule.h"

namespace nibble::fit {
namespace {

/// The range that holds p percent of the values (of their weight, where they have one). Symmetric maps: the p-quantile
/// of |x|. Others: the quantiles (100 - p) / 2 and 100 - (100 - p) / 2, so that half of what is cut lies at each end.
///
/// A quantile is the nearest rank: the smallest value at or below which at least that share of the weight lies. It is
/// always a value of the group. Histograms come in as bin centres with counts.
class PercentileSearch final : public ClipSearch {
 public:
  PercentileSearch(const Grid& grid, double percentile, float tensor_scale)
      : grid_(grid), share_(percentile / 100.0), tensor_scale_(tensor_scale) {
    if (!(percentile > 0.0 && percentile <= 100.0))
      base::fail_usage("clip rule percentile", "the percentile is not in (0, 100]");
  }

  GroupParams choose(const Group& group) override {
    entries_.clear();
    double total = 0.0;
    for (const float w : group.weights) total += double{w};
    const bool weighted = total > 0.0;
    if (!weighted) total = static_cast<double>(group.values.size());
    const bool by_magnitude = grid_.map == Map::kSymmetric || grid_.map == Map::kRestricted;
    for (size_t i = 0; i < group.values.size(); ++i) {
      const double weight = weighted ? double{group.weights[i]} : 1.0;
      if (weight > 0.0) entries_.push_back({by_magnitude ? std::fabs(group.values[i]) : group.values[i], weight});
    }
    if (entries_.empty()) return zero_group(grid_, tensor_scale_);
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.value < b.value; });
    if (by_magnitude) return magnitude_params(quantile(share_ * total), group);
    const double cut = (1.0 - share_) / 2.0;
    return params_from_range(quantile(cut * total), quantile((1.0 - cut) * total), grid_, tensor_scale_);
  }

 private:
  struct Entry {
    float value;
    double weight;
  };

  GroupParams magnitude_params(float limit, const Group& group) const {
    // A side that does not reach the limit keeps its own end: -8 lies further out than 7.
    float min = 0.0f, max = 0.0f;
    for (const float x : group.values) {
      min = std::min(min, x);
      max = std::max(max, x);
    }
    return params_from_range(std::max(min, -limit), std::min(max, limit), grid_, tensor_scale_);
  }

  float quantile(double wanted) const {
    // The tolerance keeps a rank that is whole in exact arithmetic from becoming the next one.
    double sum = 0.0;
    for (const Entry& e : entries_) {
      sum += e.weight;
      if (sum >= wanted * (1.0 - 1e-12)) return e.value;
    }
    return entries_.back().value;
  }

  Grid grid_;
  double share_;
  float tensor_scale_;
  std::vector<Entry> entries_;
};

}  // namespace

const ClipRule& percentile_rule() {
  static constexpr ClipRule kRule{
      .name = "percentile",
      .summary = "the range that holds 99.99 % of the values (--percentile)",
      .make = [](const Grid& grid, const ClipOptions& options, float tensor_scale) -> std::unique_ptr<ClipSearch> {
        return std::make_unique<PercentileSearch>(grid, options.percentile, tensor_scale);
      },
  };
  return kRule;
}

}  // namespace nibble::fit
