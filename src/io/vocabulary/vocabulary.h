#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/limits.h"
#include "io/gguf/metadata.h"
#include "io/vocabulary/steps.h"

namespace nibble::io {

/// How pieces of text become tokens. kBpe: the pair whose merge has the lowest rank is joined first. kSentencePiece:
/// the pair that makes the token with the highest score is joined first.
enum class VocabularyKind : uint8_t { kBpe, kSentencePiece };

/// What a token is; the numbers are those of GGUF's `tokenizer.ggml.token_type`.
enum class TokenType : uint8_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

/// A token that is found in the text before anything else is done with it.
struct AddedToken {
  int32_t id = 0;
  bool special = false;      ///< a control token: only found where the caller lets text name control tokens
  bool single_word = false;  ///< only found where no letter, digit, mark or underscore touches it
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space behind it
  bool normalized = false;   ///< looked for in the normalized text
  bool operator==(const AddedToken&) const = default;
};

/// Tokens of known purpose; std::nullopt where the model has none.
struct SpecialIds {
#define NIBBLE_SPECIAL_ID(field, key) std::optional<int32_t> field;
#include "io/vocabulary/special_ids.def"
#undef NIBBLE_SPECIAL_ID
  bool operator==(const SpecialIds&) const = default;
};

/// A merge: tokens `left` and `right`, side by side, become `result`.
struct Merge {
  int32_t left = 0, right = 0, result = 0;
  bool operator==(const Merge&) const = default;
};

/// A model's vocabulary and all that is needed to turn text into its tokens and back, whatever file it came from. Plain
/// data; `text::Tokenizer` does the work. Ids are positions in `tokens`.
struct Vocabulary {
  std::string place;  ///< the file that it came from, for messages
  VocabularyKind kind = VocabularyKind::kBpe;
  /// Byte-level: tokens are spelled in GPT-2's alphabet of 256 printable characters, one a byte.
  bool byte_level = false;
  std::vector<std::string> tokens;  ///< as the file spells them
  std::vector<TokenType> types;     ///< one a token
  std::vector<float> scores;        ///< kSentencePiece: one a token
  std::vector<Merge> merges;        ///< kBpe: best first

  std::vector<Normalizer> normalizers;
  std::vector<PreTokenizer> pretokenizers;
  std::vector<DecodeStep> decoders;
  std::string pre;             ///< the name of the pre-tokenizer in GGUF (pretokenizers.def), empty where it has none
  bool byte_fallback = false;  ///< kBpe: characters without a token become the tokens <0x00> ... <0xFF>
  bool fuse_unknown = false;   ///< kBpe: characters without a token, side by side, are one unknown token
  bool ignore_merges = false;  ///< kBpe: a word that is a token is that token, whatever the merges say

  std::vector<AddedToken> added;
  SpecialIds special;
  std::vector<int32_t> prefix, suffix;  ///< what encoding with special tokens puts before and behind a text
  std::vector<int32_t> end_ids;         ///< tokens that end a generated text, ascending
  std::string chat_template;            ///< Jinja; empty where there is none

  size_t size() const { return tokens.size(); }
  bool adds_bos() const { return special.bos && prefix == std::vector<int32_t>{*special.bos}; }
  bool adds_eos() const { return special.eos && suffix == std::vector<int32_t>{*special.eos}; }
};

/// The vocabulary of a model: a Hugging Face folder, a GGUF file, or one of the files tokenizer.json, tokenizer.model
/// or vocab.json (with merges.txt beside it).
///
/// In a folder, tokenizer.model comes first because it has the scores that GGUF wants, then tokenizer.json, then
/// vocab.json; tokenizer_config.json, special_tokens_map.json, added_tokens.json, config.json, generation_config.json
/// and chat_template.jinja complete them.
///
/// Throws Error: kUnsupported naming what nibble does not know (WordPiece, Unigram, a normalizer, a pre-tokenizer, a
/// decoder); kMalformed; kLimit; kUsage where there is no vocabulary; kIo.
Vocabulary read_vocabulary(const std::filesystem::path& path, const base::Limits& limits);

/// The vocabulary in GGUF metadata (`tokenizer.ggml.*`, `tokenizer.chat_template`). Throws Error as above.
Vocabulary read_vocabulary(const gguf::Metadata& metadata, const std::string& place, const base::Limits& limits);

/// The readers of single files, from their bytes.
Vocabulary read_tokenizer_json(std::string_view text, const std::string& place, const base::Limits& limits);
Vocabulary read_tokenizer_model(std::string_view bytes, const std::string& place, const base::Limits& limits);
Vocabulary read_gpt2_vocabulary(std::string_view vocab_json, std::string_view merges_txt, const std::string& place,
                                const base::Limits& limits);

/// Sets the keys `tokenizer.*` that llama.cpp's converter would write for this vocabulary. `rows`, where not 0, is the
/// number of rows of the embedding: missing tokens are written as "[PAD<id>]", unused.
///
/// Throws Error(kUnsupported) where llama.cpp has no word for it: a pre-tokenizer or normalizer that it does not know,
/// added special tokens other than BOS and EOS, more tokens than rows.
void write_gguf_vocabulary(const Vocabulary& vocabulary, gguf::Metadata& metadata, int64_t rows = 0);

/// Ids by the tokens' spelling. Throws Error(kMalformed) naming the place for a token that is there twice.
std::unordered_map<std::string_view, int32_t> token_ids(const Vocabulary& vocabulary);

/// Sets `end_ids`: EOS, EOT, EOM, those of `more`, and the tokens whose name is known to end a turn ("<|im_end|>").
void find_end_ids(Vocabulary& vocabulary, const std::vector<int32_t>& more);

/// Throws Error(kMalformed) unless the parts fit each other: one type a token, ids in range, tokens not empty.
void check_vocabulary(const Vocabulary& vocabulary, const base::Limits& limits);

}  // namespace nibble::io
