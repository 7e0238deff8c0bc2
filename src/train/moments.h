#pragma once
#include <algorithm>
#include <cmath>
#include <span>

namespace nibble::train {

/// How far numbers lie from zero and from their mean. Summed in their order, in double precision.
struct Moments {
  double mean = 0, mean_square = 0;  ///< both 0 where there are no numbers

  double variance() const { return std::max(0.0, mean_square - mean * mean); }
  float deviation() const { return static_cast<float>(std::sqrt(variance())); }
  float root_mean_square() const { return static_cast<float>(std::sqrt(mean_square)); }
};

inline Moments moments_of(std::span<const float> numbers) {
  Moments m;
  for (const float v : numbers) {
    m.mean += double{v};
    m.mean_square += double{v} * double{v};
  }
  const auto n = static_cast<double>(std::max<size_t>(1, numbers.size()));
  return {m.mean / n, m.mean_square / n};
}

}  // namespace nibble::train
