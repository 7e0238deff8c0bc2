#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/vocabulary/vocabulary.h"

namespace nibble::text {

/// Byte pair encoding of one word: its characters (or bytes) are tokens first; then, again and again, the adjacent pair
/// whose merge has the lowest rank becomes one token, the leftmost of equals first. Time n log n.
///
/// Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016), with the order of
/// merges and the treatment of unknown characters of Hugging Face's tokenizers.
class BpeEncoder {
 public:
  /// Keeps a reference; throws Error(kMalformed) for a vocabulary whose tokens are not unique.
  explicit BpeEncoder(const io::Vocabulary& vocabulary);

  /// Appends the tokens of a word: bytes where the vocabulary is byte-level, else valid UTF-8. Characters (bytes)
  /// without a token, where the vocabulary has no unknown token, are an Error(kUnsupported); with `dropped`, they are
  /// left out and counted there.
  void encode(std::string_view word, std::vector<int32_t>& out, int64_t* dropped) const;

 private:
  struct Symbol {
    int32_t token, previous, next;
    uint32_t bytes;  ///< 0: joined to the one before it
  };
  struct Ranked {
    int32_t rank, result;
  };
  void split_bytes(std::string_view word, std::vector<Symbol>& symbols, int64_t* dropped) const;
  void split_characters(std::string_view word, std::vector<Symbol>& symbols, int64_t* dropped) const;
  void merge(std::vector<Symbol>& symbols) const;
  const Ranked* rank_of(int32_t left, int32_t right) const {
    const auto it = merges_.find(static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right));
    return it == merges_.end() ? nullptr : &it->second;
  }
  void drop(std::string_view character, int64_t* dropped) const;

  const io::Vocabulary& vocabulary_;
  std::unordered_map<std::string_view, int32_t> ids_;
  std::unordered_map<uint64_t, Ranked> merges_;
  std::array<int32_t, 256>
      byte_tokens_{};  ///< of bytes in a byte-level vocabulary, of <0x00> ... with fallback; -1: none
  std::unordered_map<std::string_view, int32_t> words_;  ///< byte-level with ignore_merges: tokens by their bytes
  std::vector<std::string> word_bytes_;
};

}  // namespace nibble::text
