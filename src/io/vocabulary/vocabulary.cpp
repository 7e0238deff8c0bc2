#include "io/vocabulary/vocabulary.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace nibble::io {
namespace {

/// Names of tokens that end a turn or a text in the chat formats of the field; llama.cpp knows the same ones.
constexpr std::array<std::string_view, 14> kEndNames = {"<|eot_id|>",
                                                        "<|eom_id|>",
                                                        "<|im_end|>",
                                                        "<|end|>",
                                                        "<|end_of_text|>",
                                                        "<|endoftext|>",
                                                        "<end_of_turn>",
                                                        "<|end_of_turn|>",
                                                        "<|eot|>",
                                                        "<EOT>",
                                                        "_<EOT>",
                                                        "<|return|>",
                                                        "<|call|>",
                                                        "<\xEF\xBD\x9C"
                                                        "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>"};

}  // namespace

std::unordered_map<std::string_view, int32_t> token_ids(const Vocabulary& vocabulary) {
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(vocabulary.size());
  for (size_t i = 0; i < vocabulary.size(); ++i)
    if (!ids.emplace(vocabulary.tokens[i], static_cast<int32_t>(i)).second)
      base::fail_malformed(vocabulary.place, "has token " + base::in_quotes(vocabulary.tokens[i]) + " twice, as " +
                                                 std::to_string(ids[vocabulary.tokens[i]]) + " and as " +
                                                 std::to_string(i));
  return ids;
}

void find_end_ids(Vocabulary& vocabulary, const std::vector<int32_t>& more) {
  std::vector<int32_t>& out = vocabulary.end_ids;
  out = more;
  for (const auto& id : {vocabulary.special.eos, vocabulary.special.eot, vocabulary.special.eom})
    if (id) out.push_back(*id);
  for (const AddedToken& token : vocabulary.added) {
    const std::string& name = vocabulary.tokens[static_cast<size_t>(token.id)];
    if (std::find(kEndNames.begin(), kEndNames.end(), name) != kEndNames.end()) out.push_back(token.id);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

void check_vocabulary(const Vocabulary& v, const base::Limits& limits) {
  const auto in_range = [&](int64_t id, std::string_view what) {
    if (id < 0 || id >= static_cast<int64_t>(v.size()))
      base::fail_malformed(v.place, std::string(what) + " is token " + std::to_string(id) + ", but there are " +
                                        std::to_string(v.size()) + " tokens");
  };
  if (v.tokens.empty()) base::fail_malformed(v.place, "has a vocabulary without tokens");
  if (v.types.size() != v.size())
    base::fail_malformed(
        v.place, "has " + std::to_string(v.size()) + " tokens and " + std::to_string(v.types.size()) + " token types");
  if (v.kind == VocabularyKind::kSentencePiece && v.scores.size() != v.size())
    base::fail_malformed(
        v.place, "has " + std::to_string(v.size()) + " tokens and " + std::to_string(v.scores.size()) + " scores");
  for (const float score : v.scores)
    if (!std::isfinite(score)) base::fail_malformed(v.place, "has a score that is not a finite number");
  for (size_t i = 0; i < v.size(); ++i) {
    if (v.tokens[i].empty()) base::fail_malformed(v.place, "has an empty token, " + std::to_string(i));
    base::check_limit(static_cast<int64_t>(v.tokens[i].size()), limits.name_bytes, "name-bytes", v.place,
                      "the length of token " + std::to_string(i));
  }
  for (const Merge& m : v.merges)
    for (const int32_t id : {m.left, m.right, m.result}) in_range(id, "part of a merge");
  for (const AddedToken& token : v.added) in_range(token.id, "an added token");
#define NIBBLE_SPECIAL_ID(field, key) \
  if (v.special.field) in_range(*v.special.field, #field);
#include "io/vocabulary/special_ids.def"
#undef NIBBLE_SPECIAL_ID
  for (const int32_t id : v.prefix) in_range(id, "what goes before a text");
  for (const int32_t id : v.suffix) in_range(id, "what goes behind a text");
  for (const int32_t id : v.end_ids) in_range(id, "what ends a text");
}

}  // namespace nibble::io
