#pragma once
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/json/json.h"
#include "io/vocabulary/vocabulary.h"

namespace nibble::io {

/// What the readers of vocabularies share.

/// An added token as files list it.
struct ListedToken {
  std::string content;
  AddedToken flags;
};

/// Puts tokens at their ids; ids that no token has become "[PAD<id>]", unused. Throws Error(kMalformed) for an id given
/// twice, and where more ids are missing than there are tokens.
void place_tokens(const std::vector<std::pair<std::string_view, int64_t>>& listed, Vocabulary& vocabulary);

/// Adds tokens to a vocabulary, or their flags where it has them. Throws Error(kMalformed) where an id is another
/// token's.
void add_tokens(const std::vector<ListedToken>& listed, Vocabulary& vocabulary);

/// The members "content", "special", "lstrip" ... of an added token.
ListedToken read_listed_token(const Json& json, int64_t id, const std::string& place);
/// The list "added_tokens" of a tokenizer.json; the post-processor's tokens around a text, false where it has none.
std::vector<ListedToken> read_added_tokens(const Json& tokenizer_json, const std::string& place);
bool read_post_processor(const Json& tokenizer_json, Vocabulary& vocabulary);

/// Appends the merge of two tokens given by their spelling. Throws Error(kMalformed) where one or the result is no
/// token.
void add_merge(std::string_view left, std::string_view right, const std::unordered_map<std::string_view, int32_t>& ids,
               Vocabulary& vocabulary);

/// Cuts text at GPT-2's or another named pre-tokenizer's patterns into bytes.
void set_named_pretokenizer(const std::string& name, Vocabulary& vocabulary);

}  // namespace nibble::io
