/// Plain loops: the definition.
#include <algorithm>
#include <limits>

#include "kernels/pool_rows/pool_rows.h"

namespace nibble::kernels {
namespace {

bool available() { return true; }

void max(const float* const* rows, int64_t count, int64_t channels, float* y) {
  std::fill_n(y, channels, -std::numeric_limits<float>::infinity());
  for (int64_t r = 0; r < count; ++r)
    for (int64_t k = 0; k < channels; ++k) y[k] = rows[r][k] > y[k] ? rows[r][k] : y[k];
}

void mean(const float* const* rows, int64_t count, int64_t channels, float divisor, float* y) {
  std::fill_n(y, channels, 0.0f);
  for (int64_t r = 0; r < count; ++r)
    for (int64_t k = 0; k < channels; ++k) y[k] += rows[r][k];
  for (int64_t k = 0; k < channels; ++k) y[k] /= divisor;
}

void mean_in_double(const float* x, int64_t count, int64_t stride, int64_t channels, float* y) {
  constexpr int64_t kAtOnce = 16;
  for (int64_t first = 0; first < channels; first += kAtOnce) {
    const int64_t some = std::min(kAtOnce, channels - first);
    double sums[kAtOnce] = {};
    for (int64_t r = 0; r < count; ++r)
      for (int64_t k = 0; k < some; ++k) sums[k] += static_cast<double>(x[r * stride + first + k]);
    for (int64_t k = 0; k < some; ++k) y[first + k] = static_cast<float>(sums[k] / static_cast<double>(count));
  }
}

}  // namespace

const PoolRows& pool_rows_generic() {
  static constexpr PoolRows kKernel{"generic", available, max, mean, mean_in_double};
  return kKernel;
}

}  // namespace nibble::kernels
