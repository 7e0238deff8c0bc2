#include "arch/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace nibble::arch {
namespace {

double frequency(const Rope& rope, size_t i) {
  return std::pow(rope.base, -2.0 * static_cast<double>(i) / static_cast<double>(rope.dimensions));
}

/// Share of the scaled frequency in pair i, from 0 (kept) to 1 (divided by the factor).
double yarn_share(const Rope& rope, size_t i) {
  const auto dimensions = static_cast<double>(rope.dimensions);
  const auto pair_that_turns = [&](double times) {
    return dimensions * std::log(static_cast<double>(rope.original_context) / (times * 2 * std::numbers::pi)) /
           (2 * std::log(rope.base));
  };
  const double low = std::max(0.0, std::floor(pair_that_turns(rope.fast)));
  const double high = std::min(dimensions - 1, std::ceil(pair_that_turns(rope.slow)));
  return std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
}

}  // namespace

std::vector<float> frequency_divisors(const Rope& rope) {
  if (rope.scaling != Rope::Scaling::kLlama3) return {};
  std::vector<float> divisors;
  const auto context = static_cast<double>(rope.original_context);
  for (size_t i = 0; i < static_cast<size_t>(rope.dimensions / 2); ++i) {
    const double wave = 2 * std::numbers::pi / frequency(rope, i);
    double divisor = 1;
    if (wave > context / rope.low) {
      divisor = rope.factor;
    } else if (wave > context / rope.high) {
      const double smooth = (context / wave - rope.low) / (rope.high - rope.low);
      divisor = 1 / ((1 - smooth) / rope.factor + smooth);
    }
    divisors.push_back(static_cast<float>(divisor));
  }
  return divisors;
}

Rotation rotation(const Rope& rope) {
  Rotation r;
  const std::vector<float> divisors = rope.divisors.empty() ? frequency_divisors(rope) : rope.divisors;
  NIBBLE_INVARIANT(divisors.empty() || divisors.size() == static_cast<size_t>(rope.dimensions / 2));
  for (size_t i = 0; i < static_cast<size_t>(rope.dimensions / 2); ++i) {
    double f = frequency(rope, i);
    if (rope.scaling == Rope::Scaling::kLinear) f /= rope.factor;
    if (rope.scaling == Rope::Scaling::kYarn) {
      const double share = yarn_share(rope, i);
      f = f / rope.factor * share + f * (1 - share);
    }
    if (!divisors.empty()) f /= static_cast<double>(divisors[i]);
    r.frequencies.push_back(static_cast<float>(f));
  }
  if (rope.scaling == Rope::Scaling::kYarn)
    r.magnitude = static_cast<float>(rope.magnitude > 0 ? rope.magnitude : 0.1 * std::log(rope.factor) + 1);
  return r;
}

}  // namespace nibble::arch
