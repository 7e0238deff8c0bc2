#pragma once
#include <functional>
#include <string_view>
#include <vector>

#include "io/vocabulary/vocabulary.h"
#include "text/token_trie.h"

namespace nibble::text {

/// Finds added tokens in a text: the leftmost first, of those at one place the longest, as Hugging Face's tokenizers
/// do.
class AddedTokens {
 public:
  /// Those of the vocabulary whose `normalized` is as given; `spell` says how a token is spelled in the text searched.
  AddedTokens(const io::Vocabulary& vocabulary, bool normalized,
              const std::function<std::string(std::string_view)>& spell);

  /// Calls `text(stretch)` and `token(id)` for what is found, front to back. Special tokens are text where `special` is
  /// false. `all` is valid UTF-8.
  void split(std::string_view all, bool special, const std::function<void(std::string_view)>& text,
             const std::function<void(int32_t)>& token) const;

  bool empty() const { return trie_.empty(); }

 private:
  std::vector<io::AddedToken> tokens_;
  TokenTrie trie_;  ///< of positions in tokens_
};

}  // namespace nibble::text
