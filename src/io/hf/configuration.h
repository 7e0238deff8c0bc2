#pragma once
#include "arch/configuration.h"
#include "io/json/json.h"

namespace nibble::io::hf {

/// config.json as arch reads it. Keeps a reference to `json`.
class JsonConfiguration : public arch::Configuration {
 public:
  JsonConfiguration(const Json& json, std::string place) : json_(json), place_(std::move(place)) {}

  std::optional<int64_t> integer(std::string_view key) const override;
  std::optional<double> number(std::string_view key) const override;
  std::optional<bool> boolean(std::string_view key) const override;
  std::optional<std::string> text(std::string_view key) const override;
  std::string place() const override { return place_; }

 private:
  const Json* find(std::string_view key) const;
  std::string place_of(std::string_view key) const;

  const Json& json_;
  std::string place_;
};

}  // namespace nibble::io::hf
