#include "io/gguf/metadata.h"

#include <type_traits>

#include "base/error.h"

namespace nibble::io::gguf {
namespace {

[[noreturn]] void fail_kind(std::string_view key, const char* wanted) {
  base::fail_malformed("key " + base::in_quotes(key), std::string("is not ") + wanted);
}

template <typename T>
inline constexpr bool is_integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;

}  // namespace

const Value* Metadata::find(std::string_view key) const {
  const auto it = index_.find(std::string(key));
  return it == index_.end() ? nullptr : &pairs_[it->second].second;
}

void Metadata::set(std::string key, Value value) {
  const auto [it, added] = index_.try_emplace(key, pairs_.size());
  if (added)
    pairs_.emplace_back(std::move(key), std::move(value));
  else
    pairs_[it->second].second = std::move(value);
}

void Metadata::erase(std::string_view key) {
  const auto it = index_.find(std::string(key));
  if (it == index_.end()) return;
  pairs_.erase(pairs_.begin() + static_cast<ptrdiff_t>(it->second));
  index_.clear();
  for (size_t i = 0; i < pairs_.size(); ++i) index_[pairs_[i].first] = i;
}

std::optional<int64_t> Metadata::integer(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return std::nullopt;
  return std::visit(
      [&](const auto& v) -> int64_t {
        using T = std::decay_t<decltype(v)>;
        if constexpr (is_integer<T>) {
          if (std::is_same_v<T, uint64_t> && static_cast<uint64_t>(v) > INT64_MAX)
            fail_kind(key, "an integer below 2^63");
          return static_cast<int64_t>(v);
        } else {
          fail_kind(key, "an integer");
        }
      },
      *value);
}

std::optional<double> Metadata::number(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return std::nullopt;
  return std::visit(
      [&](const auto& v) -> double {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_floating_point_v<T>)
          return static_cast<double>(v);
        else
          fail_kind(key, "a real number");
      },
      *value);
}

std::optional<bool> Metadata::boolean(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return std::nullopt;
  if (const bool* v = std::get_if<bool>(value)) return *v;
  fail_kind(key, "true or false");
}

const std::string* Metadata::string(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return nullptr;
  if (const auto* v = std::get_if<std::string>(value)) return v;
  fail_kind(key, "a string");
}

const std::vector<std::string>* Metadata::strings(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return nullptr;
  if (const auto* array = std::get_if<Array>(value))
    if (const auto* v = std::get_if<std::vector<std::string>>(array)) return v;
  fail_kind(key, "a list of strings");
}

std::optional<std::vector<int64_t>> Metadata::integers(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return std::nullopt;
  const auto* array = std::get_if<Array>(value);
  if (!array) fail_kind(key, "a list of integers");
  return std::visit(
      [&](const auto& v) -> std::vector<int64_t> {
        if constexpr (!std::is_same_v<std::decay_t<decltype(v)>, std::monostate>) {
          using T = typename std::decay_t<decltype(v)>::value_type;
          if constexpr (is_integer<T>) {
            std::vector<int64_t> out(v.begin(), v.end());
            for (const int64_t x : out)
              if (std::is_same_v<T, uint64_t> && x < 0) fail_kind(key, "a list of integers below 2^63");
            return out;
          }
        }
        fail_kind(key, "a list of integers");
      },
      *array);
}

std::optional<std::vector<float>> Metadata::floats(std::string_view key) const {
  const Value* value = find(key);
  if (!value) return std::nullopt;
  if (const auto* array = std::get_if<Array>(value))
    if (const auto* v = std::get_if<std::vector<float>>(array)) return *v;
  fail_kind(key, "a list of 32-bit floats");
}

}  // namespace nibble::io::gguf
