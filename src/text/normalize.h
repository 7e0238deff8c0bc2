#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/vocabulary/steps.h"
#include "text/regex.h"

namespace nibble::text {

/// Applies normalizers one after the other.
class NormalizerChain {
 public:
  /// Throws Error(kUnsupported) for a pattern that nibble does not know.
  NormalizerChain(const std::vector<io::Normalizer>& steps, const std::string& place);
  /// `text` is valid UTF-8.
  std::string apply(std::string_view text) const;

 private:
  struct Step {
    io::Normalizer rule;
    std::optional<Regex> regex;
  };
  std::vector<Step> steps_;
};

/// `text` with every `pattern` replaced by `content`, left to right.
std::string replaced(std::string_view text, std::string_view pattern, std::string_view content);

}  // namespace nibble::text
