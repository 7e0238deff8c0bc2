#include "io/gguf/configuration.h"

#include "base/error.h"

namespace nibble::io::gguf {

/// Some files give a size for each block; nibble computes models whose blocks are alike.
std::optional<int64_t> MetadataConfiguration::integer(std::string_view key) const {
  const Value* value = metadata_.find(key);
  if (!value || !std::holds_alternative<Array>(*value)) return metadata_.integer(key);
  const auto list = metadata_.integers(key);
  if (!list || list->empty()) base::fail_malformed(place_, base::in_quotes(key) + " is not a size");
  for (const int64_t size : *list)
    if (size != list->front()) base::fail_unsupported(place_, "has blocks that differ in " + base::in_quotes(key));
  return list->front();
}
std::optional<double> MetadataConfiguration::number(std::string_view key) const { return metadata_.number(key); }
std::optional<bool> MetadataConfiguration::boolean(std::string_view key) const { return metadata_.boolean(key); }
std::optional<std::string> MetadataConfiguration::text(std::string_view key) const {
  const std::string* text = metadata_.string(key);
  return text ? std::optional(*text) : std::nullopt;
}

}  // namespace nibble::io::gguf
