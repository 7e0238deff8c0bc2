#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nibble::arch {

/// What a file says about a model: config.json or the metadata of a GGUF file. Keys of objects inside objects are
/// joined by a point ("rope_scaling.factor"). A value of another kind is an Error(kMalformed) that names the key; one
/// that is missing or null is std::nullopt.
class Configuration {
 public:
  virtual ~Configuration() = default;
  virtual std::optional<int64_t> integer(std::string_view key) const = 0;
  virtual std::optional<double> number(std::string_view key) const = 0;  ///< integers too
  virtual std::optional<bool> boolean(std::string_view key) const = 0;
  virtual std::optional<std::string> text(std::string_view key) const = 0;
  /// The file, for messages.
  virtual std::string place() const = 0;
};

}  // namespace nibble::arch
