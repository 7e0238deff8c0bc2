#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::base {

/// Caps on what a file may make us do. The defaults hold unless `--limit NAME=VALUE` raises one; hitting one is an
/// Error(kLimit) that names the flag.
struct Limits {
#define NIBBLE_LIMIT(field, name, value, why) int64_t field = value;
#include "base/limits.def"
#undef NIBBLE_LIMIT

  /// Sets one by its command-line name ("image-pixels"), with K, M or G. Throws Error(kUsage) for an unknown name.
  void set(std::string_view assignment);
};

struct LimitRow {
  std::string_view name;
  int64_t value;
  std::string_view why;
};
/// All limits with their defaults, in the order of the table.
std::vector<LimitRow> limit_rows();

/// Throws Error(kLimit) naming `place`, what it is and the flag that raises the cap, when `value` > `limit`.
void check_limit(int64_t value, int64_t limit, std::string_view flag, const std::string& place, std::string_view what);

}  // namespace nibble::base
