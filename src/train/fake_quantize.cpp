// Fake quantization and its closed-form gradients. With v = x / s, n = lowest - z, p = highest - z:
//   y = s * round(clamp(v, n, p))
//   dy/dx = [n <= v <= p]
//   dy/ds = round(v) - v inside, n below, p above        (LSQ, equation 3)
//   dy/dz = 0 inside, -s outside                          (LSQ+, equation 6, with offset -s z)
// Clamping comes before rounding, which changes nothing since n and p are whole, and keeps the numbers small enough to
// be rounded by adding and taking away 1.5 * 2^23.
#include "train/fake_quantize.h"

#include <algorithm>
#include <array>

namespace nibble::train {
namespace {

constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number, ties to even
constexpr size_t kLanes = 16;          // partial sums, so that the order of a sum is fixed whatever the vector width

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define NIBBLE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define NIBBLE_CLONES
#endif

NIBBLE_CLONES
void quantize_all(const float* x, float* y, size_t count, float scale, float low, float high) {
  for (size_t i = 0; i < count; ++i) {
    float v = x[i] / scale;
    v = v < low ? low : v;  // NaN passes
    v = v > high ? high : v;
    y[i] = (v + kMagic - kMagic) * scale;
  }
}

NIBBLE_CLONES
void backward_all(const float* x, const float* gy, float* gx, size_t count, float scale, float low, float high,
                  float inside_factor, float* scale_sums, float* zero_sums) {
  // Sums of a block in single precision, lane by lane; the caller adds blocks in double.
  for (size_t i = 0; i + kLanes <= count; i += kLanes)
    for (size_t k = 0; k < kLanes; ++k) {
      const float v = x[i + k] / scale, g = gy[i + k];
      float c = v < low ? low : v;
      c = c > high ? high : c;
      const bool inside = c == v;
      const float level = c + kMagic - kMagic;
      gx[i + k] = inside ? g : 0.0f;
      scale_sums[k] += g * (inside ? (level - v) * inside_factor : level);
      zero_sums[k] += inside ? 0.0f : g;
    }
}

}  // namespace

void fake_quantize(std::span<const float> x, std::span<float> y, const ActivationGrid& grid) {
  quantize_all(x.data(), y.data(), x.size(), grid.scale, static_cast<float>(grid.lowest - grid.zero),
               static_cast<float>(grid.highest - grid.zero));
}

GridGradient fake_quantize_backward(std::span<const float> x, std::span<const float> gy, std::span<float> gx,
                                    const ActivationGrid& grid) {
  const float low = static_cast<float>(grid.lowest - grid.zero), high = static_cast<float>(grid.highest - grid.zero);
  const float inside_factor = grid.rule == GridRule::kLsq ? 1.0f : 0.0f;
  constexpr size_t kBlock = 1024;
  GridGradient sum;
  for (size_t begin = 0; begin < x.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, x.size() - begin), whole = count - count % kLanes;
    std::array<float, kLanes> scale_sums{}, zero_sums{};
    backward_all(x.data() + begin, gy.data() + begin, gx.data() + begin, whole, grid.scale, low, high, inside_factor,
                 scale_sums.data(), zero_sums.data());
    // The rest is filled up to a whole set of lanes with gradients of zero.
    if (whole < count) {
      std::array<float, kLanes> rest_x{}, rest_gy{}, rest_gx{};
      std::copy_n(x.data() + begin + whole, count - whole, rest_x.data());
      std::copy_n(gy.data() + begin + whole, count - whole, rest_gy.data());
      backward_all(rest_x.data(), rest_gy.data(), rest_gx.data(), kLanes, grid.scale, low, high, inside_factor,
                   scale_sums.data(), zero_sums.data());
      std::copy_n(rest_gx.data(), count - whole, gx.data() + begin + whole);
    }
    for (size_t k = 0; k < kLanes; ++k) {
      sum.scale += double{scale_sums[k]};
      sum.zero += double{zero_sums[k]};
    }
  }
  if (grid.rule == GridRule::kSte) return {};
  sum.zero *= -double{grid.scale};
  return sum;
}

}  // namespace nibble::train
