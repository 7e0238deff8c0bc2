#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/vocabulary/steps.h"
#include "text/regex.h"

namespace nibble::text {

/// Cuts text into words: pre-tokenizers one after the other, each on the words of the one before.
class WordSplitter {
 public:
  /// Throws Error(kUnsupported) for a pattern that nibble does not know.
  WordSplitter(const std::vector<io::PreTokenizer>& steps, const std::string& place);

  /// The words of a stretch of valid UTF-8, none of them empty; views of `text` or of `storage`, which grows by what
  /// steps had to write anew. `first`: the stretch begins the text.
  std::vector<std::string_view> split(std::string_view text, bool first,
                                      std::vector<std::unique_ptr<std::string>>& storage) const;

 private:
  struct Step {
    io::PreTokenizer rule;
    std::optional<Regex> regex;
  };
  std::vector<Step> steps_;
};

}  // namespace nibble::text
