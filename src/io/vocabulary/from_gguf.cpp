// The vocabulary in GGUF metadata. Source: the keys and defaults that llama.cpp's loader takes (src/llama-vocab.cpp).
#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "io/vocabulary/build.h"
#include "io/vocabulary/sentencepiece_steps.h"
#include "io/vocabulary/vocabulary.h"

namespace nibble::io {

void set_sentencepiece_steps(Vocabulary& v, bool prefix_space, bool collapse_spaces) {
  v.normalizers.clear();
  v.decoders.clear();
  if (collapse_spaces) v.normalizers.emplace_back().kind = Normalizer::Kind::kCollapseSpaces;
  if (prefix_space) v.normalizers.push_back({Normalizer::Kind::kPrepend, {}, std::string(kSpaceMark)});
  v.normalizers.push_back({Normalizer::Kind::kReplace, " ", std::string(kSpaceMark)});
  v.decoders.push_back({DecodeStep::Kind::kReplace, std::string(kSpaceMark), " "});
  v.decoders.push_back({DecodeStep::Kind::kByteFallback, {}, {}});
  v.decoders.push_back({DecodeStep::Kind::kFuse, {}, {}});
  if (prefix_space) v.decoders.push_back({DecodeStep::Kind::kStrip, {}, " ", 1});
}

namespace {

void read_tokens(const gguf::Metadata& metadata, Vocabulary& v) {
  const auto* tokens = metadata.strings("tokenizer.ggml.tokens");
  if (!tokens) base::fail_malformed(v.place, "has no key \"tokenizer.ggml.tokens\"");
  v.tokens = *tokens;
  v.types.assign(v.size(), TokenType::kNormal);
  if (const auto types = metadata.integers("tokenizer.ggml.token_type")) {
    if (types->size() != v.size())
      base::fail_malformed(
          v.place, "has " + std::to_string(v.size()) + " tokens and " + std::to_string(types->size()) + " token types");
    for (size_t i = 0; i < v.size(); ++i) {
      const int64_t type = (*types)[i];
      if (type < 1 || type > 6)
        base::fail_malformed(v.place, "gives token " + std::to_string(i) + " the unknown type " + std::to_string(type));
      v.types[i] = static_cast<TokenType>(type);
    }
  }
  if (const auto scores = metadata.floats("tokenizer.ggml.scores"))
    if (v.kind == VocabularyKind::kSentencePiece) v.scores = *scores;
}

/// "left right", cut at the first space that is not its first byte.
void read_merges(const gguf::Metadata& metadata, Vocabulary& v) {
  const auto* merges = metadata.strings("tokenizer.ggml.merges");
  if (!merges) base::fail_malformed(v.place, "has no key \"tokenizer.ggml.merges\"");
  const auto ids = token_ids(v);
  v.merges.reserve(merges->size());
  for (const std::string& merge : *merges) {
    const std::string_view text = merge;
    const size_t space = text.find(' ', 1);
    add_merge(text.substr(0, space), space == std::string_view::npos ? std::string_view() : text.substr(space + 1), ids,
              v);
  }
}

void read_special_ids(const gguf::Metadata& metadata, Vocabulary& v) {
  const auto read = [&](std::optional<int32_t>& id, const char* key) {
    if (const auto value = metadata.integer(key)) {
      if (*value < 0 || *value >= static_cast<int64_t>(v.size()))
        base::fail_malformed(v.place, "key " + base::in_quotes(key) + " is " + std::to_string(*value) +
                                          ", but there are " + std::to_string(v.size()) + " tokens");
      id = static_cast<int32_t>(*value);
    }
  };
#define NIBBLE_SPECIAL_ID(field, key) read(v.special.field, key);
#include "io/vocabulary/special_ids.def"
#undef NIBBLE_SPECIAL_ID
}

/// Control and unknown tokens are special; user-defined ones are always found. In a SentencePiece vocabulary the latter
/// are the business of its own algorithm.
void find_added(Vocabulary& v) {
  for (size_t i = 0; i < v.size(); ++i) {
    AddedToken token;
    token.id = static_cast<int32_t>(i);
    token.special = v.types[i] == TokenType::kControl || v.types[i] == TokenType::kUnknown;
    if (token.special || (v.types[i] == TokenType::kUserDefined && v.kind == VocabularyKind::kBpe))
      v.added.push_back(token);
  }
}

/// Of the models whose special tokens take the white space behind them, files say nothing but the name.
void apply_model_name(const gguf::Metadata& metadata, Vocabulary& v) {
  const std::string* name = metadata.string("general.name");
  if (!name) return;
  std::string lower = *name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower.find("phi-3") == std::string::npos && lower.find("phi3") == std::string::npos) return;
  for (AddedToken& token : v.added) {
    const std::string& text = v.tokens[static_cast<size_t>(token.id)];
    token.rstrip = text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
  }
}

void set_byte_level(const gguf::Metadata& metadata, Vocabulary& v, bool& adds_bos) {
  const std::string* pre = metadata.string("tokenizer.ggml.pre");
  if (!pre)
    base::fail_unsupported(
        v.place, "has a byte-level vocabulary without the name of its pre-tokenizer (key \"tokenizer.ggml.pre\")",
        "convert the model again with a newer converter, which writes it");
  if (metadata.boolean("tokenizer.ggml.add_space_prefix").value_or(false))
    base::fail_unsupported(v.place, "wants a space before each text (add_space_prefix) of a byte-level vocabulary");
  set_named_pretokenizer(*pre, v);
  adds_bos = find_pretokenizer(*pre)->adds_bos;
}

}  // namespace

Vocabulary read_vocabulary(const gguf::Metadata& metadata, const std::string& place, const base::Limits& limits) {
  Vocabulary v;
  v.place = place;
  const std::string* model = metadata.string("tokenizer.ggml.model");
  if (!model) base::fail_usage(place, "has no vocabulary (key \"tokenizer.ggml.model\")");
  bool adds_bos = true;
  if (*model == "llama") {
    v.kind = VocabularyKind::kSentencePiece;
    v.special.bos = 1;
    v.special.eos = 2;
    v.special.unk = 0;
    set_sentencepiece_steps(v, metadata.boolean("tokenizer.ggml.add_space_prefix").value_or(true),
                            metadata.boolean("tokenizer.ggml.remove_extra_whitespaces").value_or(false));
  } else if (*model == "gpt2") {
    v.kind = VocabularyKind::kBpe;
    set_byte_level(metadata, v, adds_bos);
  } else {
    const char* known = *model == "bert"   ? "WordPiece"
                        : *model == "t5"   ? "Unigram"
                        : *model == "rwkv" ? "RWKV"
                                           : nullptr;
    base::fail_unsupported(place, "has a vocabulary of kind " + base::in_quotes(*model) +
                                      (known ? std::string(" (") + known + ")" : std::string()) +
                                      "; nibble knows \"llama\" (SentencePiece) and \"gpt2\" (byte-level BPE)");
  }
  read_tokens(metadata, v);
  check_vocabulary(v, limits);
  if (v.kind == VocabularyKind::kBpe)
    read_merges(metadata, v);
  else
    token_ids(v);
  read_special_ids(metadata, v);
  find_added(v);
  apply_model_name(metadata, v);
  if (metadata.boolean("tokenizer.ggml.add_bos_token").value_or(adds_bos)) {
    if (!v.special.bos) base::fail_malformed(place, "wants BOS before each text, but names no BOS token");
    v.prefix = {*v.special.bos};
  }
  if (metadata.boolean("tokenizer.ggml.add_eos_token").value_or(false)) {
    if (!v.special.eos) base::fail_malformed(place, "wants EOS behind each text, but names no EOS token");
    v.suffix = {*v.special.eos};
  }
  if (const std::string* text = metadata.string("tokenizer.chat_template")) v.chat_template = *text;
  find_end_ids(v, {});
  return v;
}

}  // namespace nibble::io
