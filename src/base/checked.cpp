#include "base/checked.h"

#include "base/error.h"

namespace nibble::base {

std::optional<int64_t> checked_mul(int64_t a, int64_t b) {
  int64_t r;
  if (__builtin_mul_overflow(a, b, &r)) return std::nullopt;
  return r;
}

std::optional<int64_t> checked_add(int64_t a, int64_t b) {
  int64_t r;
  if (__builtin_add_overflow(a, b, &r)) return std::nullopt;
  return r;
}

int64_t checked_product(std::span<const int64_t> dims, const std::string& place, int64_t limit) {
  bool empty = false;
  for (const int64_t d : dims) {
    if (d < 0) fail_malformed(place, "dimension " + std::to_string(d) + " is negative");
    if (d == 0) empty = true;
  }
  if (empty) return 0;
  int64_t product = 1;
  for (const int64_t d : dims) {
    const auto next = checked_mul(product, d);
    if (!next || *next > limit)
      fail_malformed(place, "the product of its dimensions exceeds " + std::to_string(limit) + " elements");
    product = *next;
  }
  return product;
}

}  // namespace nibble::base
