#include "io/hf/configuration.h"

#include "base/error.h"

namespace nibble::io::hf {

const Json* JsonConfiguration::find(std::string_view key) const {
  const Json* at = &json_;
  while (at) {
    const size_t point = key.find('.');
    at = at->find(key.substr(0, point));
    if (point == std::string_view::npos) break;
    key.remove_prefix(point + 1);
  }
  return at && !at->is_null() ? at : nullptr;
}

std::string JsonConfiguration::place_of(std::string_view key) const { return place_ + ": " + base::in_quotes(key); }

std::optional<int64_t> JsonConfiguration::integer(std::string_view key) const {
  const Json* value = find(key);
  return value ? std::optional(value->integer(place_of(key))) : std::nullopt;
}
std::optional<double> JsonConfiguration::number(std::string_view key) const {
  const Json* value = find(key);
  return value ? std::optional(value->number(place_of(key))) : std::nullopt;
}
std::optional<bool> JsonConfiguration::boolean(std::string_view key) const {
  const Json* value = find(key);
  return value ? std::optional(value->boolean(place_of(key))) : std::nullopt;
}
std::optional<std::string> JsonConfiguration::text(std::string_view key) const {
  const Json* value = find(key);
  return value ? std::optional(value->string(place_of(key))) : std::nullopt;
}

}  // namespace nibble::io::hf
