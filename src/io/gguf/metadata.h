#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace nibble::io::gguf {

/// A list of one element type. The order is that of GGUF's type numbers (0 u8 ... 12 f64); 9, a list of lists, does not
/// exist.
using Array = std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
                           std::vector<uint32_t>, std::vector<int32_t>, std::vector<float>, std::vector<bool>,
                           std::vector<std::string>, std::monostate, std::vector<uint64_t>, std::vector<int64_t>,
                           std::vector<double>>;

/// A value; the alternative's index is its type number in the file.
using Value = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool, std::string, Array,
                           uint64_t, int64_t, double>;

/// The key-value pairs of a GGUF file, in the file's order. Readers ask by key and kind; a value of another kind is an
/// Error(kMalformed) that names the key. Integers of every width answer `integer`, f32 and f64 answer `number`.
class Metadata {
 public:
  using Pair = std::pair<std::string, Value>;

  /// Adds, or replaces the value where the key is there.
  void set(std::string key, Value value);
  void erase(std::string_view key);
  bool has(std::string_view key) const { return find(key) != nullptr; }
  const Value* find(std::string_view key) const;

  /// std::nullopt or nullptr when the key is missing.
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  const std::string* string(std::string_view key) const;
  const std::vector<std::string>* strings(std::string_view key) const;
  /// A list of integers of any width, widened.
  std::optional<std::vector<int64_t>> integers(std::string_view key) const;
  std::optional<std::vector<float>> floats(std::string_view key) const;

  const std::vector<Pair>& pairs() const { return pairs_; }
  size_t size() const { return pairs_.size(); }

 private:
  std::vector<Pair> pairs_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace nibble::io::gguf
