#include "text/normalize.h"

#include "base/error.h"
#include "text/canonical_form.h"
#include "text/utf8.h"

namespace nibble::text {
namespace {

std::string replaced_matches(std::string_view text, const Regex& regex, std::string_view content) {
  std::string out;
  size_t done = 0;
  Regex::Search search(regex);
  search.start(text);
  while (const auto match = search.next()) {
    out += text.substr(done, match->begin - done);
    out += content;
    done = match->end;
  }
  out += text.substr(done);
  return out;
}

std::string collapsed(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  // SentencePiece drops them at the end after it has written spaces as marks, so that marks of the text go too.
  for (;;) {
    if (out.ends_with(' '))
      out.pop_back();
    else if (out.ends_with(io::kSpaceMark))
      out.resize(out.size() - io::kSpaceMark.size());
    else
      return out;
  }
}

std::string stripped(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    std::string_view rest = text;
    if (!is_space(take_code_point(rest))) break;
    text = rest;
  }
  while (right && !text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && (text[at] & 0xC0) == 0x80) --at;
    std::string_view last = text.substr(at);
    if (!is_space(take_code_point(last))) break;
    text = text.substr(0, at);
  }
  return std::string(text);
}

}  // namespace

std::string replaced(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  out.reserve(text.size());
  for (size_t done = 0;;) {
    const size_t at = pattern.empty() ? std::string_view::npos : text.find(pattern, done);
    out += text.substr(done, at - done);
    if (at == std::string_view::npos) return out;
    out += content;
    done = at + pattern.size();
  }
}

NormalizerChain::NormalizerChain(const std::vector<io::Normalizer>& steps, const std::string& place) {
  for (const io::Normalizer& rule : steps) {
    std::optional<Regex> regex;
    if (rule.kind == io::Normalizer::Kind::kReplace && rule.regex) regex.emplace(rule.pattern, place);
    steps_.push_back({rule, std::move(regex)});
  }
}

std::string NormalizerChain::apply(std::string_view text) const {
  using Kind = io::Normalizer::Kind;
  std::string out(text);
  for (const auto& [rule, regex] : steps_) {
    switch (rule.kind) {
      case Kind::kPrepend:
        if (!out.empty()) out.insert(0, rule.content);
        break;
      case Kind::kReplace:
        out = regex ? replaced_matches(out, *regex, rule.content) : replaced(out, rule.pattern, rule.content);
        break;
      case Kind::kNfc:
        out = to_nfc(out);
        break;
      case Kind::kNfd:
        out = to_nfd(out);
        break;
      case Kind::kCollapseSpaces:
        out = collapsed(out);
        break;
      case Kind::kStrip:
        out = stripped(out, rule.left, rule.right);
        break;
    }
  }
  return out;
}

}  // namespace nibble::text
