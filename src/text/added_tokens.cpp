#include "text/added_tokens.h"

#include "text/regex.h"
#include "text/utf8.h"

namespace nibble::text {
namespace {

/// Whether a letter, mark, digit, connector or joiner begins (ends) the text: Rust's \w.
bool touches_word(std::string_view text, bool at_end) {
  static const Regex kWord("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}]", "single_word");
  if (text.empty()) return false;
  size_t from = at_end ? text.size() - 1 : 0;
  while (from > 0 && (text[from] & 0xC0) == 0x80) --from;
  text = text.substr(from, length_of_lead(text[from]));
  Regex::Search search(kWord);
  search.start(text);
  return search.next().has_value();
}

/// Bytes of white space at the front of `text`.
size_t leading_space(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view next = rest;
    if (!is_space(take_code_point(next))) break;
    rest = next;
  }
  return text.size() - rest.size();
}

size_t trailing_space(std::string_view text) {
  size_t kept = text.size();
  while (kept > 0) {
    size_t at = kept - 1;
    while (at > 0 && (text[at] & 0xC0) == 0x80) --at;
    std::string_view last = text.substr(at, kept - at);
    if (!is_space(take_code_point(last))) break;
    kept = at;
  }
  return text.size() - kept;
}

}  // namespace

AddedTokens::AddedTokens(const io::Vocabulary& vocabulary, bool normalized,
                         const std::function<std::string(std::string_view)>& spell) {
  for (const io::AddedToken& token : vocabulary.added) {
    if (token.normalized != normalized) continue;
    const std::string text = spell(vocabulary.tokens[static_cast<size_t>(token.id)]);
    if (text.empty()) continue;
    trie_.add(text, static_cast<int32_t>(tokens_.size()));
    tokens_.push_back(token);
  }
}

void AddedTokens::split(std::string_view all, bool special, const std::function<void(std::string_view)>& text,
                        const std::function<void(int32_t)>& token) const {
  size_t done = 0;  // what is before it has been handed out
  for (size_t at = 0; at < all.size();) {
    const auto match = trie_.longest(all.substr(at));
    if (!match) {
      ++at;
      continue;
    }
    const io::AddedToken& found = tokens_[static_cast<size_t>(match->value)];
    size_t begin = at, end = at + match->bytes;
    at = end;
    if (found.special && !special) continue;
    if (found.single_word && (touches_word(all.substr(0, begin), true) || touches_word(all.substr(end), false)))
      continue;
    if (found.lstrip && begin > done) begin -= trailing_space(all.substr(done, begin - done));
    if (found.rstrip) end += leading_space(all.substr(end));
    if (begin > done) text(all.substr(done, begin - done));
    token(found.id);
    done = end;
  }
  if (done < all.size()) text(all.substr(done));
}

}  // namespace nibble::text
