/// Banner et al., "Post-training 4-bit quantization of convolution networks for rapid-deployment" (ACIQ), NeurIPS 2019,
/// arXiv 1810.05723. The limit a that minimises clipping and uniform rounding noise of a fitted density, around its
/// mean:
///
///     Laplace, b = E|X - mean|:  2 b^2 e^(-a/b) + a^2 / (3 4^B)   least at  t e^t = 3 4^B,            a = t b
///     Gauss, s^2 = Var X:        the same with the Gaussian tail  least at  2 (f(u) - u Q(u)) = u / (3 4^B),  a = u s
///
/// with f the standard normal density and Q its upper tail: t = 5.03 and u = 2.56 at 4 bits. One-sided data (behind a
/// Relu) have steps of a / 2^B, half as wide, so 12 takes the place of 3: t = 6.20, u = 2.94.
///
/// Where we differ:
/// - the density is the one of the larger likelihood, log(2 b) + 1 against log(s sqrt(2 pi)) + 1/2 (the paper compares
///   fits to a histogram);
/// - symmetric maps are centred at zero, so b and s are taken about zero there; for one-sided data of the affine map
///   they are those of the values that are not zero, about zero, as of half a symmetric density;
/// - the range never reaches outside the data.
/// A closed form from two moments: a good start, seldom the best.
#include <cmath>

#include "fit/clip/counted_values.h"

namespace nibble::fit {
namespace {

/// The root of a function that falls through zero between `low` and `high`.
template <typename Function>
double root(double low, double high, const Function& falls) {
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (falls(middle) > 0.0 ? low : high) = middle;
  }
  return low;
}

/// Limits in units of b (Laplace) and s (Gauss) for `factor` 4^B.
struct Limits {
  explicit Limits(double factor)
      : laplace(root(0.0, 40.0, [=](double t) { return factor - t * std::exp(t); })),
        gauss(root(0.0, 20.0, [=](double u) {
          const double density = std::exp(-u * u / 2) / std::sqrt(2 * M_PI), tail = std::erfc(u / std::sqrt(2.0)) / 2;
          return 2 * (density - u * tail) - u / factor;
        })) {}
  double laplace, gauss;
};

class AciqSearch final : public ClipSearch {
 public:
  AciqSearch(const Grid& grid, float tensor_scale)
      : grid_(grid),
        tensor_scale_(tensor_scale),
        two_sided_(3.0 * std::pow(4.0, grid.format->bits)),
        one_sided_(12.0 * std::pow(4.0, grid.format->bits)) {}

  GroupParams choose(const Group& group) override {
    values_.load(group);
    if (values_.empty() || values_.constant())
      return params_of_cut(values_, double{values_.min}, double{values_.max}, grid_, tensor_scale_);
    const bool half = grid_.map == Map::kAffine && (values_.min >= 0.0f || values_.max <= 0.0f);
    double mean = 0.0, total = 0.0;
    for (const auto& e : values_.entries) {
      if (half && e.value == 0.0f) continue;
      mean += e.weight * double{e.value};
      total += e.weight;
    }
    mean = half || is_symmetric(grid_) ? 0.0 : mean / total;
    double deviation = 0.0, square = 0.0;
    for (const auto& e : values_.entries) {
      if (half && e.value == 0.0f) continue;
      const double x = double{e.value} - mean;
      deviation += e.weight * std::fabs(x);
      square += e.weight * x * x;
    }
    const double b = deviation / total, s = std::sqrt(square / total);
    constexpr double kEqualLikelihood = 1.3154892;  // s / b = 2 sqrt(e) / sqrt(2 pi)
    const bool gauss = s < kEqualLikelihood * b;
    const Limits& limits = half ? one_sided_ : two_sided_;
    const double limit = gauss ? limits.gauss * s : limits.laplace * b;
    return params_of_cut(values_, mean - limit, mean + limit, grid_, tensor_scale_);
  }

 private:
  Grid grid_;
  float tensor_scale_;
  Limits two_sided_, one_sided_;
  CountedValues values_;
};

}  // namespace

const ClipRule& aciq_rule() {
  static constexpr ClipRule kRule{
      .name = "aciq",
      .summary = "the limit that is best for a Laplace or a Gauss density with the values' moments (ACIQ)",
      .make = [](const Grid& grid, const ClipOptions&, float tensor_scale) -> std::unique_ptr<ClipSearch> {
        return std::make_unique<AciqSearch>(grid, tensor_scale);
      },
  };
  return kRule;
}

}  // namespace nibble::fit
