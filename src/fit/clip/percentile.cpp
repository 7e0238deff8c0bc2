#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "fit/clip/counted_values.h"

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
    values_.load(group);
    if (values_.empty()) return zero_group(grid_, tensor_scale_);
    const double total = values_.total_weight;
    if (is_symmetric(grid_)) {
      for (auto& e : values_.entries) e.value = std::fabs(e.value);
      std::sort(values_.entries.begin(), values_.entries.end(),
                [](const auto& a, const auto& b) { return a.value < b.value; });
      // A side that does not reach the limit keeps its own end: -8 lies further out than 7.
      const double limit = double{quantile(share_ * total)};
      return params_of_cut(values_, -limit, limit, grid_, tensor_scale_);
    }
    const double cut = (1.0 - share_) / 2.0;
    return params_from_range(quantile(cut * total), quantile((1.0 - cut) * total), grid_, tensor_scale_);
  }

 private:
  float quantile(double wanted) const {
    // The tolerance keeps a rank that is whole in exact arithmetic from becoming the next one.
    double sum = 0.0;
    for (const auto& e : values_.entries) {
      sum += e.weight;
      if (sum >= wanted * (1.0 - 1e-12)) return e.value;
    }
    return values_.entries.back().value;
  }

  Grid grid_;
  double share_;
  float tensor_scale_;
  CountedValues values_;
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
