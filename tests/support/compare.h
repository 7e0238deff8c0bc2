#pragma once
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace nibble::test {

/// Numbers with their shape; what the comparators take. Made from a tensor, or from plain numbers (one dimension).
struct Values {
  std::vector<int64_t> shape;
  std::span<const float> values;

  Values(std::span<const float> numbers) : shape{static_cast<int64_t>(numbers.size())}, values(numbers) {}
  Values(const std::vector<float>& numbers) : Values(std::span<const float>(numbers)) {}
  template <typename Tensor>
  requires requires(const Tensor& t) { t.template values<float>(); }
  Values(const Tensor& t) : shape(t.shape().begin(), t.shape().end()), values(t.template values<float>()) {}
};

enum class ZeroSign { kIgnored, kMatters };

namespace detail {

inline std::string at(size_t index, float got, float want) {
  std::ostringstream text;
  text.precision(9);
  text << "at index " << index << ": got " << got << ", want " << want;
  return text.str();
}

inline ::testing::AssertionResult same_shape(const Values& got, const Values& want) {
  if (got.shape == want.shape && got.values.size() == want.values.size()) return ::testing::AssertionSuccess();
  const auto text = [](const std::vector<int64_t>& shape) {
    std::string s = "[";
    for (const int64_t d : shape) s += std::to_string(d) + ",";
    return s + "]";
  };
  return ::testing::AssertionFailure() << "shapes differ: got " << text(got.shape) << ", want " << text(want.shape);
}

/// NaN stands only where NaN is wanted, infinity only where the same infinity is; zeros have the wanted sign if asked.
inline ::testing::AssertionResult same_kind(const Values& got, const Values& want, ZeroSign zero_sign) {
  for (size_t i = 0; i < got.values.size(); ++i) {
    const float g = got.values[i], w = want.values[i];
    const bool infinite = std::isinf(g) || std::isinf(w);
    const bool zeros = g == 0.0f && w == 0.0f;
    if (std::isnan(g) != std::isnan(w) || (infinite && !(std::isnan(g) && std::isnan(w)) && g != w) ||
        (zeros && zero_sign == ZeroSign::kMatters && std::signbit(g) != std::signbit(w)))
      return ::testing::AssertionFailure() << at(i, g, w);
  }
  return ::testing::AssertionSuccess();
}

/// Floats in order, one apart: -0 and +0 coincide.
inline int64_t ordinal(float x) {
  const auto bits = std::bit_cast<int32_t>(x);
  return bits >= 0 ? int64_t{bits} : -int64_t{bits & 0x7FFFFFFF};
}

}  // namespace detail

/// The same bytes: NaN payloads and signs of zeros included.
inline ::testing::AssertionResult equal_bits(const Values& got, const Values& want) {
  if (const auto shapes = detail::same_shape(got, want); !shapes) return shapes;
  for (size_t i = 0; i < got.values.size(); ++i)
    if (std::bit_cast<uint32_t>(got.values[i]) != std::bit_cast<uint32_t>(want.values[i]))
      return ::testing::AssertionFailure() << detail::at(i, got.values[i], want.values[i]) << " (bits differ)";
  return ::testing::AssertionSuccess();
}

/// No element differs by more than `bound` times the largest finite magnitude of `want`. Where that is 0, all must be
/// 0.
inline ::testing::AssertionResult near_largest(const Values& got, const Values& want, double bound,
                                               ZeroSign zero_sign = ZeroSign::kIgnored) {
  if (const auto shapes = detail::same_shape(got, want); !shapes) return shapes;
  if (const auto kinds = detail::same_kind(got, want, zero_sign); !kinds) return kinds;
  double largest = 0.0, worst = 0.0;
  size_t worst_at = 0;
  for (size_t i = 0; i < got.values.size(); ++i) {
    if (!std::isfinite(want.values[i])) continue;
    largest = std::max(largest, std::fabs(double{want.values[i]}));
    const double difference = std::fabs(double{got.values[i]} - double{want.values[i]});
    if (difference > worst) {
      worst = difference;
      worst_at = i;
    }
  }
  if (worst <= bound * largest) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << detail::at(worst_at, got.values[worst_at], want.values[worst_at]) << "; "
                                       << worst / largest << " of the largest value, the bound is " << bound;
}

/// No element is more than `ulps` floats away from the wanted one.
inline ::testing::AssertionResult within_ulps(const Values& got, const Values& want, int64_t ulps,
                                              ZeroSign zero_sign = ZeroSign::kIgnored) {
  if (const auto shapes = detail::same_shape(got, want); !shapes) return shapes;
  if (const auto kinds = detail::same_kind(got, want, zero_sign); !kinds) return kinds;
  for (size_t i = 0; i < got.values.size(); ++i) {
    const float g = got.values[i], w = want.values[i];
    if (std::isnan(g)) continue;
    const int64_t distance = std::abs(detail::ordinal(g) - detail::ordinal(w));
    if (distance > ulps)
      return ::testing::AssertionFailure() << detail::at(i, g, w) << ", " << distance << " ulp apart";
  }
  return ::testing::AssertionSuccess();
}

}  // namespace nibble::test
