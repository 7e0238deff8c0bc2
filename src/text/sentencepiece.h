#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/vocabulary/vocabulary.h"
#include "text/token_trie.h"

namespace nibble::text {

/// SentencePiece's byte pair encoding: of all adjacent pieces that make a token together, those whose token has the
/// highest score are joined first, the leftmost of equals first. User-defined tokens are cut out before; unused ones
/// are taken apart again; characters without a token become bytes, or the unknown token where the vocabulary has none.
/// Time n log n.
///
/// Source: Kudo and Richardson, "SentencePiece" (2018); the order and the rules are those of its library.
class SentencePieceEncoder {
 public:
  explicit SentencePieceEncoder(const io::Vocabulary& vocabulary);

  /// Appends the tokens of a stretch of normalized text, valid UTF-8 with U+2581 for spaces.
  void encode(std::string_view text, std::vector<int32_t>& out) const;

 private:
  struct Symbol {
    std::string_view text;  ///< empty: joined to the one before it
    int32_t previous, next;
    bool frozen;
  };
  struct Parts {
    std::string_view left, right;
  };
  using Splits = std::unordered_map<std::string_view, Parts>;
  void append(std::string_view piece, const Splits& splits, bool& last_unknown, std::vector<int32_t>& out) const;

  const io::Vocabulary& vocabulary_;
  std::unordered_map<std::string_view, int32_t> pieces_;  ///< normal, user-defined and unused tokens
  TokenTrie user_defined_;
  std::array<int32_t, 256> byte_tokens_{};
  bool has_bytes_ = false;
  size_t longest_ = 0;  ///< bytes of the longest token
};

}  // namespace nibble::text
