#include "base/error.h"

#include <cstdio>
#include <cstring>

namespace nibble::base {
namespace {

std::string sentence_of(const std::string& place, const std::string& sentence, const std::string& advice) {
  std::string text = place;
  if (!text.empty()) text += ": ";
  text += sentence;
  if (!advice.empty()) text += "; " + advice;
  return text;
}

}  // namespace

Error::Error(ErrorKind kind, std::string place, std::string sentence, std::string advice)
    : std::runtime_error(sentence_of(place, sentence, advice)),
      kind_(kind),
      place_(std::move(place)),
      sentence_(std::move(sentence)),
      advice_(std::move(advice)) {}

Error Error::within(std::string_view outer) const {
  std::string place(outer);
  if (!place_.empty()) place += ": " + place_;
  return Error(kind_, std::move(place), sentence_, advice_);
}

size_t utf8_length(std::string_view s) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char lead = at(0);
  size_t n = 0;
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF)
    n = 2;
  else if (lead >= 0xE0 && lead <= 0xEF)
    n = 3;
  else if (lead >= 0xF0 && lead <= 0xF4)
    n = 4;
  if (n == 0 || s.size() < n) return 0;
  for (size_t i = 1; i < n; ++i)
    if ((at(i) & 0xC0) != 0x80) return 0;
  if (lead == 0xE0 && at(1) < 0xA0) return 0;
  if (lead == 0xED && at(1) > 0x9F) return 0;
  if (lead == 0xF0 && at(1) < 0x90) return 0;
  if (lead == 0xF4 && at(1) > 0x8F) return 0;
  return n;
}

std::string printable(std::string_view text, size_t max_chars) {
  std::string out;
  size_t chars = 0;
  while (!text.empty()) {
    if (chars == max_chars) return out + "...";
    const unsigned char c = static_cast<unsigned char>(text[0]);
    const size_t n = utf8_length(text);
    const bool c1_control = n == 2 && c == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (n == 0 || c < 0x20 || c == 0x7F || c1_control) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", c);
      out += escape;
      text.remove_prefix(1);
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out.append(text.substr(0, n));
      text.remove_prefix(n);
    }
    ++chars;
  }
  return out;
}

std::string in_quotes(std::string_view text) { return '"' + printable(text) + '"'; }

void fail_usage(std::string place, std::string sentence, std::string advice) {
  throw Error(ErrorKind::kUsage, std::move(place), std::move(sentence), std::move(advice));
}
void fail_malformed(std::string place, std::string sentence, std::string advice) {
  throw Error(ErrorKind::kMalformed, std::move(place), std::move(sentence), std::move(advice));
}
void fail_unsupported(std::string place, std::string sentence, std::string advice) {
  throw Error(ErrorKind::kUnsupported, std::move(place), std::move(sentence), std::move(advice));
}
void fail_io(std::string place, std::string sentence, std::string advice) {
  throw Error(ErrorKind::kIo, std::move(place), std::move(sentence), std::move(advice));
}
void fail_limit(std::string place, std::string sentence, std::string advice) {
  throw Error(ErrorKind::kLimit, std::move(place), std::move(sentence), std::move(advice));
}

void broken_invariant(const char* condition, const char* file, int line) {
  const char* slash = std::strrchr(file, '/');
  throw Error(ErrorKind::kInternal, std::string(slash ? slash + 1 : file) + ":" + std::to_string(line),
              std::string("broken invariant: ") + condition, "this is a bug in nibble, please report it");
}

}  // namespace nibble::base
