// A vocabulary as llama.cpp's converter writes it. Source: the keys that its loader takes (src/llama-vocab.cpp) and its
// converter's conventions: tokens without an id "[PAD<id>]" of type unused, BPE tokens in GPT-2's spelling.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "io/vocabulary/sentencepiece_steps.h"
#include "io/vocabulary/vocabulary.h"

namespace nibble::io {
namespace {

/// What a SentencePiece vocabulary's normalizers amount to.
struct Spaces {
  bool prefix = false, collapse = false;
};

/// Throws unless the steps are those that `set_sentencepiece_steps` would make.
Spaces spaces_of(const Vocabulary& v) {
  for (const bool prefix : {false, true})
    for (const bool collapse : {false, true}) {
      Vocabulary other;
      set_sentencepiece_steps(other, prefix, collapse);
      if (other.normalizers == v.normalizers && v.pretokenizers.empty()) return {prefix, collapse};
    }
  base::fail_unsupported(v.place, "changes text in a way that GGUF has no words for, before it is cut into tokens");
}

/// Scores under which SentencePiece's algorithm makes the merges of a vocabulary that came without scores, or throws
/// where there are none: the merges that make one token must follow each other, and every way to put a token together
/// from two others must be a merge.
std::vector<float> scores_of_merges(const Vocabulary& v) {
  const auto refuse = [&] {
    base::fail_unsupported(v.place,
                           "has merges that no scores of tokens can express, which is all that GGUF has for its kind",
                           "put the model's tokenizer.model beside it");
  };
  std::vector<float> scores(v.size(), 0.0f);
  std::vector<bool> made(v.size());
  std::set<std::pair<int32_t, int32_t>> pairs;
  float score = 0;
  for (size_t i = 0; i < v.merges.size(); ++i) {
    const Merge& m = v.merges[i];
    const auto result = static_cast<size_t>(m.result);
    pairs.emplace(m.left, m.right);
    if (i > 0 && v.merges[i - 1].result == m.result) continue;
    if (made[result]) refuse();
    made[result] = true;
    scores[result] = score;
    score -= 1;
  }
  const auto ids = token_ids(v);
  for (size_t i = 0; i < v.size(); ++i) {
    const std::string& token = v.tokens[i];
    if (v.types[i] != TokenType::kNormal) continue;
    if (!made[i]) scores[i] = score;
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = ids.find(std::string_view(token).substr(0, cut)),
                 right = ids.find(std::string_view(token).substr(cut));
      const auto normal = [&](const auto& it) {
        return it != ids.end() && v.types[static_cast<size_t>(it->second)] == TokenType::kNormal;
      };
      if (normal(left) && normal(right) && !pairs.count({left->second, right->second})) refuse();
    }
  }
  return scores;
}

void write_sentencepiece(const Vocabulary& v, gguf::Metadata& metadata, size_t rows) {
  const Spaces spaces = spaces_of(v);
  metadata.set("tokenizer.ggml.model", std::string("llama"));
  metadata.set("tokenizer.ggml.pre", std::string("default"));
  std::vector<float> scores = v.kind == VocabularyKind::kSentencePiece ? v.scores : scores_of_merges(v);
  scores.resize(rows, -10000.0f);
  metadata.set("tokenizer.ggml.scores", gguf::Array(std::move(scores)));
  metadata.set("tokenizer.ggml.add_space_prefix", spaces.prefix);
  if (spaces.collapse) metadata.set("tokenizer.ggml.remove_extra_whitespaces", true);
}

void write_byte_level(const Vocabulary& v, gguf::Metadata& metadata) {
  const auto refuse = [&](const std::string& what) {
    base::fail_unsupported(v.place, what + ", for which llama.cpp has no name; a GGUF file would get other tokens");
  };
  if (v.pre.empty()) refuse("cuts text into words in a way of its own");
  const NamedPreTokenizer* row = find_pretokenizer(v.pre);
  if (!row || row->steps().size() != v.pretokenizers.size()) refuse("cuts text as " + base::in_quotes(v.pre));
  if (row->ignore_merges != v.ignore_merges)
    refuse("takes words that are tokens " + std::string(v.ignore_merges ? "whole" : "apart"));
  // The composed form is what nearly all text is in; llama.cpp's converter leaves that step out too.
  if (!std::all_of(v.normalizers.begin(), v.normalizers.end(),
                   [](const Normalizer& n) { return n.kind == Normalizer::Kind::kNfc; }))
    refuse("changes text before it is cut");
  metadata.set("tokenizer.ggml.model", std::string("gpt2"));
  metadata.set("tokenizer.ggml.pre", v.pre);
  std::vector<std::string> merges;
  merges.reserve(v.merges.size());
  for (const Merge& m : v.merges)
    merges.push_back(v.tokens[static_cast<size_t>(m.left)] + ' ' + v.tokens[static_cast<size_t>(m.right)]);
  metadata.set("tokenizer.ggml.merges", gguf::Array(std::move(merges)));
}

void write_flags(const Vocabulary& v, gguf::Metadata& metadata) {
  const auto set = [&](const char* key, const std::vector<int32_t>& around, bool adds) {
    if (!around.empty() && !adds)
      base::fail_unsupported(v.place,
                             "puts special tokens around a text that are not BOS and EOS; GGUF has no words for it");
    metadata.set(key, adds);
  };
  set("tokenizer.ggml.add_bos_token", v.prefix, v.adds_bos());
  set("tokenizer.ggml.add_eos_token", v.suffix, v.adds_eos());
}

}  // namespace

void write_gguf_vocabulary(const Vocabulary& v, gguf::Metadata& metadata, int64_t rows) {
  if (rows != 0 && rows < static_cast<int64_t>(v.size()))
    base::fail_unsupported(v.place, "has " + std::to_string(v.size()) + " tokens, but the model only " +
                                        std::to_string(rows) + " rows for them");
  const size_t size = rows ? static_cast<size_t>(rows) : v.size();
  const bool sentencepiece = v.kind == VocabularyKind::kSentencePiece || (!v.byte_level && v.byte_fallback);
  if (!sentencepiece && !v.byte_level)
    base::fail_unsupported(
        v.place, "is byte pair encoding of characters without a fallback to bytes, which llama.cpp does not know");
  token_ids(v);
  if (sentencepiece)
    write_sentencepiece(v, metadata, size);
  else
    write_byte_level(v, metadata);
  std::vector<std::string> tokens = v.tokens;
  std::vector<int32_t> types;
  for (const TokenType type : v.types) types.push_back(static_cast<int32_t>(type));
  for (size_t i = v.size(); i < size; ++i) {
    tokens.push_back("[PAD" + std::to_string(i) + "]");
    types.push_back(static_cast<int32_t>(TokenType::kUnused));
  }
  metadata.set("tokenizer.ggml.tokens", gguf::Array(std::move(tokens)));
  metadata.set("tokenizer.ggml.token_type", gguf::Array(std::move(types)));
  const auto set = [&](const std::optional<int32_t>& id, const char* key) {
    if (id) metadata.set(key, static_cast<uint32_t>(*id));
  };
#define NIBBLE_SPECIAL_ID(field, key) set(v.special.field, key);
#include "io/vocabulary/special_ids.def"
#undef NIBBLE_SPECIAL_ID
  write_flags(v, metadata);
  if (!v.chat_template.empty()) metadata.set("tokenizer.chat_template", v.chat_template);
}

}  // namespace nibble::io
