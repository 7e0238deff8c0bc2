#include "io/vocabulary/build.h"

#include <algorithm>

#include "base/error.h"

namespace nibble::io {
namespace {

std::string placeholder(size_t id) { return "[PAD" + std::to_string(id) + "]"; }

/// Grows to `size` tokens, all of them placeholders.
void grow(Vocabulary& v, size_t size) {
  for (size_t i = v.size(); i < size; ++i) {
    v.tokens.push_back(placeholder(i));
    v.types.push_back(TokenType::kUnused);
    if (v.kind == VocabularyKind::kSentencePiece) v.scores.push_back(-10000.0f);
  }
}

void check_holes(int64_t most, size_t listed, const std::string& place) {
  constexpr int64_t kMostHoles = 65536;
  if (most < 0 || most > 2 * static_cast<int64_t>(listed) + kMostHoles)
    base::fail_malformed(
        place, "has a token with id " + std::to_string(most) + ", but only " + std::to_string(listed) + " tokens");
}

}  // namespace

void place_tokens(const std::vector<std::pair<std::string_view, int64_t>>& listed, Vocabulary& v) {
  int64_t most = -1;
  for (const auto& [token, id] : listed) {
    if (id < 0)
      base::fail_malformed(v.place, "gives token " + base::in_quotes(token) + " the id " + std::to_string(id));
    most = std::max(most, id);
  }
  if (!listed.empty()) check_holes(most, listed.size(), v.place);
  grow(v, static_cast<size_t>(most + 1));
  std::vector<bool> taken(v.size());
  for (const auto& [token, id] : listed) {
    const auto i = static_cast<size_t>(id);
    if (taken[i])
      base::fail_malformed(v.place, "gives the id " + std::to_string(id) + " to " + base::in_quotes(v.tokens[i]) +
                                        " and to " + base::in_quotes(token));
    taken[i] = true;
    v.tokens[i] = token;
    v.types[i] = TokenType::kNormal;
  }
}

void add_tokens(const std::vector<ListedToken>& listed, Vocabulary& v) {
  if (listed.empty()) return;
  int64_t most = 0;
  for (const ListedToken& token : listed) most = std::max<int64_t>(most, token.flags.id);
  check_holes(most, v.size() + listed.size(), v.place);
  const size_t before = v.size();
  grow(v, static_cast<size_t>(most) + 1);
  for (const ListedToken& token : listed) {
    const auto i = static_cast<size_t>(token.flags.id);
    const bool vacant = v.types[i] == TokenType::kUnused && v.tokens[i] == placeholder(i);
    if (!vacant && v.tokens[i] != token.content)
      base::fail_malformed(v.place, "has the added token " + base::in_quotes(token.content) + " with id " +
                                        std::to_string(i) + ", which is " + base::in_quotes(v.tokens[i]));
    v.tokens[i] = token.content;
    if (v.types[i] != TokenType::kUnknown && v.types[i] != TokenType::kByte)
      v.types[i] = token.flags.special ? TokenType::kControl : TokenType::kUserDefined;
    if (v.kind == VocabularyKind::kSentencePiece && i >= before) v.scores[i] = -1000.0f;
    const auto same =
        std::find_if(v.added.begin(), v.added.end(), [&](const AddedToken& a) { return a.id == token.flags.id; });
    // SentencePiece's own algorithm finds user-defined tokens.
    const bool found_there = v.kind == VocabularyKind::kSentencePiece && v.types[i] == TokenType::kUserDefined;
    if (same != v.added.end())
      *same = token.flags;
    else if (!found_there)
      v.added.push_back(token.flags);
  }
}

ListedToken read_listed_token(const Json& json, int64_t id, const std::string& place) {
  if (id < 0 || id > INT32_MAX) base::fail_malformed(place, "has an added token with id " + std::to_string(id));
  const auto flag = [&](const char* key) {
    const Json* value = json.find(key);
    return value && value->boolean(place + ": " + key);
  };
  const Json* content = json.find("content");
  if (!content) base::fail_malformed(place, "has an added token without \"content\"");
  ListedToken out;
  out.content = content->string(place);
  out.flags = {static_cast<int32_t>(id), flag("special"), flag("single_word"),
               flag("lstrip"),           flag("rstrip"),  flag("normalized")};
  return out;
}

std::vector<ListedToken> read_added_tokens(const Json& tokenizer_json, const std::string& place) {
  std::vector<ListedToken> out;
  const Json* list = tokenizer_json.find("added_tokens");
  if (!list || list->is_null()) return out;
  for (const Json& token : list->array(place + ": added_tokens")) {
    const Json* id = token.find("id");
    if (!id) base::fail_malformed(place, "has an added token without \"id\"");
    out.push_back(read_listed_token(token, id->integer(place + ": id"), place));
  }
  return out;
}

void add_merge(std::string_view left, std::string_view right, const std::unordered_map<std::string_view, int32_t>& ids,
               Vocabulary& v) {
  const auto find = [&](std::string_view token) {
    const auto it = ids.find(token);
    if (it == ids.end())
      base::fail_malformed(v.place, "has merge " + std::to_string(v.merges.size()) + ", of " + base::in_quotes(left) +
                                        " and " + base::in_quotes(right) + ", but no token " + base::in_quotes(token));
    return it->second;
  };
  const Merge merge{find(left), find(right), find(std::string(left) + std::string(right))};
  v.merges.push_back(merge);
}

void set_named_pretokenizer(const std::string& name, Vocabulary& v) {
  const NamedPreTokenizer* row = find_pretokenizer(name);
  if (!row)
    base::fail_unsupported(v.place, "has the pre-tokenizer " + base::in_quotes(name) + ", which nibble does not know");
  v.byte_level = true;
  v.pre = name;
  v.ignore_merges = row->ignore_merges;
  v.pretokenizers = row->steps();
  v.decoders = {{DecodeStep::Kind::kByteLevel, {}, {}}};
}

}  // namespace nibble::io
