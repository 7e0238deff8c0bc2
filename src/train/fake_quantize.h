#pragma once
#include <cstdint>
#include <span>

namespace nibble::train {

/// How the gradients of a grid's parameters are defined. The gradient of a value is 1 inside the range and 0 outside
/// for all of them (a straight-through estimator).
enum class GridRule : uint8_t {
  kLsq,   ///< scale: level - x/scale inside, the end level outside (Esser et al., "Learned Step Size Quantization",
          ///< 2020); zero point: -scale where x is clipped (LSQ+, Bhalgat et al. 2020, whose offset is -scale * zero)
  kPact,  ///< only the values that are clipped move the range (Choi et al., "PACT", 2018)
  kSte,   ///< the parameters follow from the data and have no gradient
};

/// A grid of evenly spaced levels: real = scale * (code - zero), lowest <= code <= highest, with code =
/// clamp(round_half_even(x / scale) + zero), as ONNX QuantizeLinear.
struct ActivationGrid {
  float scale = 1;
  int zero = 0;
  int lowest = 0, highest = 15;
  GridRule rule = GridRule::kLsq;
  bool enabled = true;  ///< off: values pass as they are
};

/// Gradients of the loss with respect to a grid's scale and (as if it were real) zero point.
struct GridGradient {
  double scale = 0, zero = 0;
  float low = 0, high = 0;  ///< the range of the values, and 0: filled where the grid follows from the data (kSte)
};

/// y = the level nearest to each x; NaN stays NaN. `x` and `y` have one length and may be the same.
void fake_quantize(std::span<const float> x, std::span<float> y, const ActivationGrid& grid);

/// gx = gradient of x for the gradient `gy` of y; returns those of the parameters, summed in an order that depends on
/// the length alone. `gx` may be `gy`.
GridGradient fake_quantize_backward(std::span<const float> x, std::span<const float> gy, std::span<float> gx,
                                    const ActivationGrid& grid);

}  // namespace nibble::train
