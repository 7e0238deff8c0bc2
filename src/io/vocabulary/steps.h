#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nibble::io {

/// U+2581, the character that SentencePiece writes for a space.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

/// A step that changes a stretch of text before it is cut.
struct Normalizer {
  enum class Kind : uint8_t {
    kPrepend,         ///< puts `content` before a stretch that is not empty
    kReplace,         ///< replaces every `pattern` by `content`
    kNfc,             ///< Unicode's canonical composition
    kNfd,             ///< Unicode's canonical decomposition
    kCollapseSpaces,  ///< drops spaces at both ends (and U+2581 at the end) and all but one of a run
    kStrip,           ///< drops white space at the start (`left`) and the end (`right`)
  };
  Kind kind = Kind::kPrepend;
  std::string pattern, content;
  bool regex = false;  ///< kReplace: `pattern` is a regular expression
  bool left = false, right = false;
  bool operator==(const Normalizer&) const = default;
};

/// A step that cuts text into the words inside which tokens are formed.
struct PreTokenizer {
  enum class Kind : uint8_t {
    kSplit,      ///< at the matches of `pattern`
    kByteLevel,  ///< from here on characters stand for bytes; `prefix_space`: a space goes before a stretch without one
    kMetaspace,  ///< spaces become `content`, which `scheme` also puts first; `cut` begins a word at each
  };
  /// What becomes of a match: a word of its own, dropped, joined to the word before or behind, or joined to its like.
  enum class Behavior : uint8_t { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
  enum class Scheme : uint8_t { kNever, kFirst, kAlways };
  Kind kind = Kind::kSplit;
  std::string pattern;  ///< kSplit: a regular expression in the syntax that Hugging Face's tokenizers takes
  std::string content;
  Behavior behavior = Behavior::kIsolated;
  bool invert = false;  ///< kSplit: the text between matches is meant
  bool prefix_space = false;
  Scheme scheme = Scheme::kNever;
  bool cut = true;
  bool operator==(const PreTokenizer&) const = default;
};

/// A step that turns tokens into text again.
struct DecodeStep {
  enum class Kind : uint8_t {
    kByteLevel,     ///< characters stand for bytes
    kReplace,       ///< `pattern` by `content`, in every token
    kByteFallback,  ///< tokens <0x00> ... <0xFF> are bytes
    kFuse,          ///< from here on the text is one
    kStrip,      ///< drops up to `start` times `content` at the start (of the text behind kFuse, else of every token)
    kMetaspace,  ///< `pattern` becomes a space; one at the start of the first token is dropped where `start` is 1
  };
  Kind kind = Kind::kFuse;
  std::string pattern, content;
  int start = 0;
  bool operator==(const DecodeStep&) const = default;
};

/// A way of cutting text that GGUF has a name for: a row of pretokenizers.def.
struct NamedPreTokenizer {
  std::string_view name;
  bool ignore_merges;  ///< what the name implies in llama.cpp
  bool adds_bos;       ///< the same, where the file does not say
  std::vector<std::string_view> patterns;
  std::vector<PreTokenizer> steps() const;  ///< the patterns one after the other, then bytes
};

const std::vector<NamedPreTokenizer>& named_pretokenizers();
/// nullptr for a name that is not in the table.
const NamedPreTokenizer* find_pretokenizer(std::string_view name);
/// The name of the first row with these steps and this `ignore_merges`, empty where there is none.
std::string name_of_pretokenizer(const std::vector<PreTokenizer>& steps, bool ignore_merges);

/// The regular expression of the byte-level pre-tokenizer itself (GPT-2's).
std::string_view gpt2_pattern();
/// `text` as a regular expression that matches it alone.
std::string literal_pattern(std::string_view text);

}  // namespace nibble::io
