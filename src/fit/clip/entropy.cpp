/// Entropy calibration as TensorRT does it: Migacz, "8-bit Inference with TensorRT", GTC 2017. On a histogram of |x| in
/// 2048 bins, for every number of bins n from the number of levels up:
///
///     P   the first n bins, the mass of all later ones added to the last
///     Q   the first n bins without that mass, merged into as many runs as there are levels, the mean of a run put back
///         into those of its bins that are not empty
///     the limit is the edge of the n whose KL(P || Q) is least, both normalised
///
/// Where we differ:
/// - the number of levels is that of half the grid (128 in the publication): 2^(B-1), or 2^B for one-sided data of maps
///   with a zero point or an offset, which use all codes for one side; bin k belongs to run floor(k levels / n), for
///   any n;
/// - n whose last bin is empty are left out: Q is 0 there where P is not, and the divergence infinite;
/// - of equal divergences the widest range wins; zeros do not count; the limit is the upper edge of the last bin;
/// - the minmax map, whose levels need not hold zero, measures |x| from the middle of the range.
/// Meant for 8 bits and large histograms. With 16 levels, and in small groups, it clips badly: kept for comparison.
#include <algorithm>
#include <cmath>

#include "fit/clip/counted_values.h"

namespace nibble::fit {
namespace {

constexpr int kBins = 2048;

double x_log_x(double x) { return x > 0.0 ? x * std::log(x) : 0.0; }

class EntropySearch final : public ClipSearch {
 public:
  EntropySearch(const Grid& grid, float tensor_scale) : grid_(grid), tensor_scale_(tensor_scale) {}

  GroupParams choose(const Group& group) override {
    values_.load(group);
    if (values_.empty() || values_.constant())
      return params_of_cut(values_, double{values_.min}, double{values_.max}, grid_, tensor_scale_);
    const bool offset = grid_.map == Map::kMinmax;
    const bool half = grid_.map == Map::kAffine && (values_.min >= 0.0f || values_.max <= 0.0f);
    const double middle = offset ? (double{values_.min} + double{values_.max}) / 2 : 0.0;
    const double largest = std::max(double{values_.max} - middle, middle - double{values_.min});
    fill(middle, largest, !offset);
    const int levels = 1 << (grid_.format->bits - (half ? 0 : 1));
    const double limit = largest * best_bins(levels) / kBins;
    return params_of_cut(values_, middle - limit, middle + limit, grid_, tensor_scale_);
  }

 private:
  /// Running sums over the bins: mass, bins that are not empty, mass log mass.
  void fill(double middle, double largest, bool skip_zeros) {
    mass_.assign(kBins, 0.0);
    for (const auto& e : values_.entries) {
      if (skip_zeros && e.value == 0.0f) continue;
      const double share = std::fabs(double{e.value} - middle) / largest;
      mass_[static_cast<size_t>(std::min(kBins - 1, static_cast<int>(share * kBins)))] +=
          e.weight / values_.total_weight;
    }
    sum_.assign(kBins + 1, 0.0);
    used_.assign(kBins + 1, 0);
    entropy_.assign(kBins + 1, 0.0);
    for (size_t k = 0; k < kBins; ++k) {
      sum_[k + 1] = sum_[k] + mass_[k];
      used_[k + 1] = used_[k] + (mass_[k] > 0.0);
      entropy_[k + 1] = entropy_[k] + x_log_x(mass_[k]);
    }
  }

  /// KL(P || Q) for the first n bins. With m the mass of P (all of it) and q that of Q (what is not clipped):
  /// (sum P log P - sum over runs of P log(run's mean)) / m + log(q / m).
  double divergence(size_t n, size_t levels) const {
    const double all = sum_[kBins], outside = all - sum_[n];
    const double last = mass_[n - 1] + outside;
    double cross = 0.0;
    for (size_t run = 0; run < levels; ++run) {
      const size_t begin = (run * n + levels - 1) / levels, end = ((run + 1) * n + levels - 1) / levels;
      const double q = sum_[end] - sum_[begin];
      const int used = used_[end] - used_[begin];
      if (used == 0) continue;
      cross += (q + (end == n ? outside : 0.0)) * std::log(q / used);
    }
    return (entropy_[n - 1] + x_log_x(last) - cross) / all + std::log(sum_[n] / all);
  }

  int best_bins(int levels) const {
    int best = kBins;
    double least = divergence(kBins, static_cast<size_t>(levels));
    for (int n = kBins - 1; n >= levels; --n) {
      if (mass_[static_cast<size_t>(n) - 1] == 0.0) continue;
      const double kl = divergence(static_cast<size_t>(n), static_cast<size_t>(levels));
      if (kl >= least - 1e-12) continue;  // equal but for rounding
      least = kl;
      best = n;
    }
    return best;
  }

  Grid grid_;
  float tensor_scale_;
  CountedValues values_;
  std::vector<double> mass_, sum_, entropy_;
  std::vector<int> used_;
};

}  // namespace

const ClipRule& entropy_rule() {
  static constexpr ClipRule kRule{
      .name = "entropy",
      .summary = "the limit whose histogram loses the least information (TensorRT's calibration; meant for 8 bits)",
      .make = [](const Grid& grid, const ClipOptions&, float tensor_scale) -> std::unique_ptr<ClipSearch> {
        return std::make_unique<EntropySearch>(grid, tensor_scale);
      },
  };
  return kRule;
}

}  // namespace nibble::fit
