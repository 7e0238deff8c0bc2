#pragma once
#include "arch/configuration.h"
#include "io/gguf/metadata.h"

namespace nibble::io::gguf {

/// The metadata of a GGUF file as arch reads it. Keeps a reference to `metadata`.
class MetadataConfiguration : public arch::Configuration {
 public:
  MetadataConfiguration(const Metadata& metadata, std::string place) : metadata_(metadata), place_(std::move(place)) {}

  std::optional<int64_t> integer(std::string_view key) const override;
  std::optional<double> number(std::string_view key) const override;
  std::optional<bool> boolean(std::string_view key) const override;
  std::optional<std::string> text(std::string_view key) const override;
  std::string place() const override { return place_; }

 private:
  const Metadata& metadata_;
  std::string place_;
};

}  // namespace nibble::io::gguf
