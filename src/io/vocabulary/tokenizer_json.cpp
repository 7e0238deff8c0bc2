// Hugging Face's tokenizer.json: byte pair encoding with the steps around it. "truncation" and "padding" belong to
// batches of texts and are not looked at.
#include <algorithm>

#include "base/error.h"
#include "io/vocabulary/build.h"
#include "io/vocabulary/tokenizer_json_steps.h"

namespace nibble::io {
namespace {

const Json& member(const Json& json, const char* key, const std::string& place) {
  const Json* value = json.find(key);
  if (!value) base::fail_malformed(place, std::string("has no ") + base::in_quotes(key));
  return *value;
}

void refuse_option(const Json& model, const char* key, const std::string& place) {
  const Json* value = model.find(key);
  if (!value || value->is_null()) return;
  if (const std::string* text = value->if_string(); text && text->empty()) return;
  const double* number = value->if_double();
  const int64_t* integer = value->if_integer();
  if ((number && *number == 0) || (integer && *integer == 0)) return;
  base::fail_unsupported(place,
                         std::string("has a model with ") + base::in_quotes(key) + ", which nibble does not know");
}

void read_merges(const Json& model, Vocabulary& v) {
  const auto ids = token_ids(v);
  const Json::Array& merges = member(model, "merges", v.place).array(v.place + ": merges");
  v.merges.reserve(merges.size());
  for (const Json& merge : merges) {
    if (const std::string* text = merge.if_string()) {
      const size_t space = text->find(' ');
      if (space == std::string::npos || text->find(' ', space + 1) != std::string::npos)
        base::fail_malformed(v.place, "has the merge " + base::in_quotes(*text) + ", which is not two tokens");
      add_merge(std::string_view(*text).substr(0, space), std::string_view(*text).substr(space + 1), ids, v);
    } else {
      const Json::Array& pair = merge.array(v.place + ": merges");
      if (pair.size() != 2) base::fail_malformed(v.place, "has a merge of " + std::to_string(pair.size()) + " tokens");
      add_merge(pair[0].string(v.place + ": merges"), pair[1].string(v.place + ": merges"), ids, v);
    }
  }
}

bool is_byte_token(const std::string& token) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return token.size() == 6 && token.starts_with("<0x") && hex(token[3]) && hex(token[4]) && token[5] == '>';
}

void read_model(const Json& model, Vocabulary& v) {
  const std::string type = text_of(model, "type", model.find("merges") ? "BPE" : "unknown", v.place);
  if (type != "BPE")
    base::fail_unsupported(v.place, "has a model of type " + base::in_quotes(type) + "; nibble knows BPE");
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
    refuse_option(model, key, v.place);
  v.byte_fallback = flag_of(model, "byte_fallback", false, v.place);
  v.fuse_unknown = flag_of(model, "fuse_unk", false, v.place);
  v.ignore_merges = flag_of(model, "ignore_merges", false, v.place);
  std::vector<std::pair<std::string_view, int64_t>> listed;
  for (const auto& [token, id] : member(model, "vocab", v.place).object(v.place + ": vocab"))
    listed.emplace_back(token, id.integer(v.place + ": vocab"));
  place_tokens(listed, v);
  read_merges(model, v);
}

/// Ids of the special tokens that a template puts before and behind its sequence.
void read_template(const Json& processor, Vocabulary& v) {
  bool behind = false;
  const Json* known = processor.find("special_tokens");
  for (const Json& piece : member(processor, "single", v.place).array(v.place + ": single")) {
    if (piece.find("Sequence")) {
      if (behind) base::fail_unsupported(v.place, "has a post-processor that writes a text twice");
      behind = true;
      continue;
    }
    const std::string& name = member(member(piece, "SpecialToken", v.place), "id", v.place).string(v.place);
    const Json* token = known ? known->find(name) : nullptr;
    if (!token)
      base::fail_malformed(v.place, "has a post-processor with the unknown special token " + base::in_quotes(name));
    for (const Json& id : member(*token, "ids", v.place).array(v.place + ": ids")) {
      const int64_t value = id.integer(v.place + ": ids");
      if (value < 0 || value >= static_cast<int64_t>(v.size()))
        base::fail_malformed(v.place, "has a post-processor with token " + std::to_string(value) + ", but there are " +
                                          std::to_string(v.size()));
      (behind ? v.suffix : v.prefix).push_back(static_cast<int32_t>(value));
    }
  }
  if (!behind) base::fail_unsupported(v.place, "has a post-processor that leaves the text out");
}

void read_processor(const Json& processor, Vocabulary& v, bool& found) {
  const std::string& type = step_type(processor, "post-processor", v.place);
  if (type == "Sequence") {
    for (const Json& inner : member(processor, "processors", v.place).array(v.place + ": processors"))
      read_processor(inner, v, found);
  } else if (type == "TemplateProcessing") {
    if (found) base::fail_unsupported(v.place, "has two post-processors that add tokens");
    found = true;
    read_template(processor, v);
  } else if (type != "ByteLevel") {  // which changes offsets only
    base::fail_unsupported(v.place, "has the post-processor " + base::in_quotes(type) + ", which nibble does not know");
  }
}

}  // namespace

bool read_post_processor(const Json& tokenizer_json, Vocabulary& v) {
  bool found = false;
  const Json* processor = tokenizer_json.find("post_processor");
  if (processor && !processor->is_null()) read_processor(*processor, v, found);
  return found;
}

Vocabulary read_tokenizer_json(std::string_view text, const std::string& place, const base::Limits& limits) {
  const Json json = parse_json(text, place, limits);
  Vocabulary v;
  v.place = place;
  const Json& model = member(json, "model", place);
  read_model(model, v);
  v.normalizers = read_normalizers(json.find("normalizer"), place);
  v.pretokenizers = read_pretokenizers(json.find("pre_tokenizer"), place);
  v.byte_level = std::any_of(v.pretokenizers.begin(), v.pretokenizers.end(),
                             [](const PreTokenizer& p) { return p.kind == PreTokenizer::Kind::kByteLevel; });
  v.decoders = read_decoders(json.find("decoder"), place);
  if (v.decoders.empty()) base::fail_unsupported(place, "has no decoder, so that its tokens do not become text again");
  for (size_t i = 0; i < v.size(); ++i)
    if (v.byte_fallback && is_byte_token(v.tokens[i])) v.types[i] = TokenType::kByte;
  add_tokens(read_added_tokens(json, place), v);
  if (const std::string unknown = text_of(model, "unk_token", "", place); !unknown.empty()) {
    const auto ids = token_ids(v);
    const auto it = ids.find(unknown);
    if (it == ids.end())
      base::fail_malformed(place, "has no token " + base::in_quotes(unknown) + ", its unknown token");
    v.special.unk = it->second;
    v.types[static_cast<size_t>(it->second)] = TokenType::kUnknown;
  }
  read_post_processor(json, v);
  if (v.prefix.size() == 1) v.special.bos = v.prefix[0];
  if (v.suffix.size() == 1) v.special.eos = v.suffix[0];
  const bool only_nfc = std::all_of(v.normalizers.begin(), v.normalizers.end(),
                                    [](const Normalizer& n) { return n.kind == Normalizer::Kind::kNfc; });
  if (v.byte_level && only_nfc) v.pre = name_of_pretokenizer(v.pretokenizers, v.ignore_merges);
  find_end_ids(v, {});
  check_vocabulary(v, limits);
  return v;
}

}  // namespace nibble::io
