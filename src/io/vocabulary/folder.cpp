// The vocabulary of a Hugging Face folder, put together from the files that say a part of it each.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "io/gguf/read.h"
#include "io/hf/folder.h"
#include "io/vocabulary/build.h"

namespace nibble::io {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path, const base::Limits& limits) {
  const auto file = base::MappedFile::open(path, true);
  base::check_limit(static_cast<int64_t>(file->bytes().size()), limits.json_bytes, "json-bytes",
                    base::printable(path.string(), 400), "the length of the file");
  return std::string(base::as_text(file->bytes()));
}

std::string place_of(const fs::path& path) { return base::printable(path.string(), 400); }

/// Files of this name that Llama 3 and others ship are lists in base64; a SentencePiece message begins with its first
/// piece.
bool is_sentencepiece(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return false;
  const auto file = base::MappedFile::open(path);
  return file->bytes()[0] == std::byte{0x0A};
}

Json read_optional(const fs::path& path, const base::Limits& limits) {
  std::error_code ignored;
  return fs::exists(path, ignored) ? hf::read_json_file(path, limits) : Json();
}

/// The spelling of a token that a configuration names: a string, or an object with "content". Empty where there is
/// none.
std::string token_name(const Json& json, const char* key, const std::string& place) {
  const Json* value = json.find(key);
  if (!value || value->is_null()) return {};
  if (const Json* content = value->find("content")) return content->string(place + ": " + key);
  if (value->if_boolean()) return {};
  return value->string(place + ": " + key);
}

/// What the configuration files of a folder say.
struct Configuration {
  std::string place;
  Json tokenizer, special_tokens, model, generation;
};

void read_special_ids(const Configuration& c, Vocabulary& v) {
  const auto ids = token_ids(v);
  const auto set = [&](const char* key, std::optional<int32_t>& id) {
    for (const Json* json : {&c.tokenizer, &c.special_tokens}) {
      const std::string name = token_name(*json, (std::string(key) + "_token").c_str(), c.place);
      if (const auto it = ids.find(name); it != ids.end()) {
        id = it->second;
        return;
      }
    }
    const Json* number = c.model.find(std::string(key) + "_token_id");
    if (!id && number && number->if_integer() && *number->if_integer() >= 0 &&
        *number->if_integer() < static_cast<int64_t>(v.size()))
      id = static_cast<int32_t>(*number->if_integer());
  };
  set("bos", v.special.bos);
  set("eos", v.special.eos);
  set("pad", v.special.pad);
  set("sep", v.special.sep);
  set("mask", v.special.mask);
  // A byte-level model never needs one; GPT-2's configuration names its end of text, which must not stand for a byte.
  if (!v.byte_level && !v.special.unk) set("unk", v.special.unk);
}

/// The ids that generation_config.json and config.json list as ends.
std::vector<int32_t> listed_ends(const Configuration& c, const Vocabulary& v) {
  std::vector<int32_t> out;
  const auto add = [&](const Json& id) {
    const int64_t value = id.integer(c.place + ": eos_token_id");
    if (value >= 0 && value < static_cast<int64_t>(v.size())) out.push_back(static_cast<int32_t>(value));
  };
  for (const Json* json : {&c.generation, &c.model}) {
    const Json* ends = json->find("eos_token_id");
    if (!ends || ends->is_null()) continue;
    if (const Json::Array* list = ends->if_array())
      for (const Json& id : *list) add(id);
    else
      add(*ends);
  }
  return out;
}

/// Added tokens that stand in tokenizer_config.json ("added_tokens_decoder", by id) or added_tokens.json (spelling:
/// id).
std::vector<ListedToken> other_added_tokens(const fs::path& folder, const Configuration& c,
                                            const base::Limits& limits) {
  std::vector<ListedToken> out;
  if (const Json* listed = c.tokenizer.find("added_tokens_decoder")) {
    for (const auto& [id, token] : listed->object(c.place + ": added_tokens_decoder")) {
      if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != std::string::npos)
        base::fail_malformed(c.place, "has an added token with id " + base::in_quotes(id));
      out.push_back(read_listed_token(token, std::stol(id), c.place));
    }
    return out;
  }
  const Json extra = read_optional(folder / "added_tokens.json", limits);
  if (const Json::Object* tokens = extra.if_object()) {
    for (const auto& [content, id] : *tokens) {
      const int64_t value = id.integer(c.place + ": added_tokens.json");
      if (value < 0 || value > INT32_MAX)
        base::fail_malformed(c.place, "has an added token with id " + std::to_string(value));
      out.push_back({content, {.id = static_cast<int32_t>(value)}});
    }
  }
  return out;
}

void read_chat_template(const fs::path& folder, const Configuration& c, const base::Limits& limits, Vocabulary& v) {
  std::error_code ignored;
  if (fs::exists(folder / "chat_template.jinja", ignored)) {
    v.chat_template = contents(folder / "chat_template.jinja", limits);
    return;
  }
  const Json file = read_optional(folder / "chat_template.json", limits);
  for (const Json* json : {&c.tokenizer, &file}) {
    const Json* chat = json->find("chat_template");
    if (!chat || chat->is_null()) continue;
    if (const std::string* text = chat->if_string()) {
      v.chat_template = *text;
      return;
    }
    for (const Json& named : chat->array(c.place + ": chat_template")) {
      const Json *name = named.find("name"), *text = named.find("template");
      if (name && text && name->string(c.place) == "default") {
        v.chat_template = text->string(c.place + ": chat_template");
        return;
      }
    }
  }
}

/// The pre-tokenizer of a class whose vocab.json and merges.txt leave it unsaid.
std::string pre_of_class(const std::string& name, const std::string& place) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kClasses = {{{"", "gpt-2"},
                                                                                      {"GPT2Tokenizer", "gpt-2"},
                                                                                      {"GPT2TokenizerFast", "gpt-2"},
                                                                                      {"Qwen2Tokenizer", "qwen2"},
                                                                                      {"Qwen2TokenizerFast", "qwen2"}}};
  for (const auto& [known, pre] : kClasses)
    if (known == name) return std::string(pre);
  base::fail_unsupported(
      place, "has vocab.json and merges.txt for the class " + base::in_quotes(name) + ", which nibble does not know",
      "save the tokenizer as tokenizer.json, with transformers' save_pretrained");
}

Vocabulary read_vocab_and_merges(const fs::path& vocab, const std::string& class_name, const base::Limits& limits) {
  const fs::path merges = vocab.parent_path() / "merges.txt";
  const std::string place = place_of(vocab);
  std::error_code ignored;
  if (!fs::exists(merges, ignored)) base::fail_usage(place, "has no merges.txt beside it");
  const std::string pre = pre_of_class(class_name, place);
  Vocabulary v = read_gpt2_vocabulary(contents(vocab, limits), contents(merges, limits), place, limits);
  if (pre != v.pre) {
    set_named_pretokenizer(pre, v);
    v.normalizers.emplace_back().kind = Normalizer::Kind::kNfc;
  }
  return v;
}

/// Whether a text begins with BOS (ends with EOS): what the configuration says, else `otherwise`.
bool adds(const Configuration& c, const char* key, bool otherwise) {
  const Json* value = c.tokenizer.find(key);
  return value && !value->is_null() ? value->boolean(c.place + ": " + key) : otherwise;
}

Vocabulary read_folder(const fs::path& folder, const base::Limits& limits) {
  Configuration c{place_of(folder), read_optional(folder / "tokenizer_config.json", limits),
                  read_optional(folder / "special_tokens_map.json", limits),
                  read_optional(folder / "config.json", limits),
                  read_optional(folder / "generation_config.json", limits)};
  std::error_code ignored;
  const bool has_json = fs::exists(folder / "tokenizer.json", ignored);
  Vocabulary v;
  bool processed = false;  // the post-processor says what goes around a text
  if (is_sentencepiece(folder / "tokenizer.model")) {
    v = read_tokenizer_model(contents(folder / "tokenizer.model", limits), place_of(folder / "tokenizer.model"),
                             limits);
    if (has_json) {
      const Json json = hf::read_json_file(folder / "tokenizer.json", limits);
      add_tokens(read_added_tokens(json, place_of(folder / "tokenizer.json")), v);
      processed = read_post_processor(json, v);
    } else {
      add_tokens(other_added_tokens(folder, c, limits), v);
    }
  } else if (has_json) {
    v = read_tokenizer_json(contents(folder / "tokenizer.json", limits), place_of(folder / "tokenizer.json"), limits);
    processed = !v.prefix.empty() || !v.suffix.empty();
  } else if (fs::exists(folder / "vocab.json", ignored)) {
    v = read_vocab_and_merges(folder / "vocab.json", token_name(c.tokenizer, "tokenizer_class", c.place), limits);
    add_tokens(other_added_tokens(folder, c, limits), v);
  } else {
    base::fail_usage(c.place, "has no tokenizer.model, tokenizer.json or vocab.json");
  }
  read_special_ids(c, v);
  if (!processed) {
    if (adds(c, "add_bos_token", v.kind == VocabularyKind::kSentencePiece) && v.special.bos)
      v.prefix = {*v.special.bos};
    if (adds(c, "add_eos_token", false) && v.special.eos) v.suffix = {*v.special.eos};
  }
  read_chat_template(folder, c, limits, v);
  find_end_ids(v, listed_ends(c, v));
  check_vocabulary(v, limits);
  return v;
}

}  // namespace

Vocabulary read_vocabulary(const fs::path& path, const base::Limits& limits) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return read_folder(path, limits);
  const auto file = base::MappedFile::open(path);
  const std::string place = place_of(path);
  if (gguf::is_gguf(file->bytes())) return read_vocabulary(gguf::read(path, limits).metadata, place, limits);
  if (path.filename() == "vocab.json") return read_vocab_and_merges(path, {}, limits);
  if (path.extension() == ".json") return read_tokenizer_json(contents(path, limits), place, limits);
  if (path.extension() == ".model") return read_tokenizer_model(contents(path, limits), place, limits);
  base::fail_usage(place, "is no vocabulary that nibble knows",
                   "give a Hugging Face folder, a GGUF file, tokenizer.json, tokenizer.model or vocab.json");
}

}  // namespace nibble::io
