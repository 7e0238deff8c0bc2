#include "base/limits.h"

#include <charconv>

#include "base/error.h"

namespace nibble::base {

std::vector<LimitRow> limit_rows() {
  return {
#define NIBBLE_LIMIT(field, name, value, why) {name, value, why},
#include "base/limits.def"
#undef NIBBLE_LIMIT
  };
}

void Limits::set(std::string_view assignment) {
  const size_t equals = assignment.find('=');
  const std::string place = "--limit " + in_quotes(assignment);
  if (equals == std::string_view::npos) fail_usage(place, "has no value", "write NAME=VALUE");
  const std::string_view name = assignment.substr(0, equals), text = assignment.substr(equals + 1);
  int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  int shift = 0;
  const std::string_view suffix(end, static_cast<size_t>(text.data() + text.size() - end));
  if (suffix == "K")
    shift = 10;
  else if (suffix == "M")
    shift = 20;
  else if (suffix == "G")
    shift = 30;
  if (status != std::errc{} || value <= 0 || (shift == 0 && !suffix.empty()) || value > (INT64_MAX >> shift))
    fail_usage(place, "is not a positive whole number with K, M or G");
  value <<= shift;
#define NIBBLE_LIMIT(field, limit_name, default_value, why) \
  if (name == limit_name) {                                 \
    field = value;                                          \
    return;                                                 \
  }
#include "base/limits.def"
#undef NIBBLE_LIMIT
  fail_usage(place, "there is no limit of that name", "`nibble limits` lists them");
}

void check_limit(int64_t value, int64_t limit, std::string_view flag, const std::string& place, std::string_view what) {
  if (value <= limit) return;
  fail_limit(place, std::string(what) + " is " + std::to_string(value) + ", the limit is " + std::to_string(limit),
             "--limit " + std::string(flag) + "=" + std::to_string(value) + " raises it");
}

}  // namespace nibble::base
