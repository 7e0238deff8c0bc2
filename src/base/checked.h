#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace nibble::base {

/// Products and sums of sizes that come from a file: std::nullopt when they do not fit 63 bits.
std::optional<int64_t> checked_mul(int64_t a, int64_t b);
std::optional<int64_t> checked_add(int64_t a, int64_t b);

/// Product of all dimensions (1 for none). Throws Error(kMalformed) naming `place` when a dimension is negative or the
/// product exceeds `limit`.
int64_t checked_product(std::span<const int64_t> dims, const std::string& place, int64_t limit = int64_t{1} << 40);

}  // namespace nibble::base
