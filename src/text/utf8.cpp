#include "text/utf8.h"

#include "base/error.h"

namespace nibble::text {

size_t length_of_lead(char lead) {
  const auto c = static_cast<unsigned char>(lead);
  return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

char32_t take_code_point(std::string_view& text) {
  const size_t n = length_of_lead(text[0]);
  const auto lead = static_cast<unsigned char>(text[0]);
  char32_t code = n == 1 ? lead : lead & (0xFFu >> (n + 1));
  for (size_t i = 1; i < n; ++i) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  text.remove_prefix(n);
  return code;
}

void append_code_point(std::string& out, char32_t code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

namespace {

/// The bytes that may follow a lead byte first: all 80 ... BF but for these (Unicode 15, table 3-7).
bool may_follow(unsigned char lead, unsigned char second) {
  if ((second & 0xC0) != 0x80) return false;
  if (lead == 0xE0) return second >= 0xA0;
  if (lead == 0xED) return second <= 0x9F;
  if (lead == 0xF0) return second >= 0x90;
  if (lead == 0xF4) return second <= 0x8F;
  return true;
}

}  // namespace

size_t invalid_length(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0xC2 || lead > 0xF4) return 1;
  const size_t whole = length_of_lead(text[0]);
  for (size_t i = 1; i < whole; ++i) {
    if (i == text.size()) return 0;
    if (i == 1 ? !may_follow(lead, at(1)) : (at(i) & 0xC0) != 0x80) return i;
  }
  return whole;  // not reached for text that does not begin with a whole character
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t n = base::utf8_length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

std::string replace_invalid(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t n = base::utf8_length(text);
    if (n) {
      out += text.substr(0, n);
    } else {
      n = invalid_length(text);
      if (n == 0) n = text.size();  // the beginning of a character, cut off by the end
      out += "\xEF\xBF\xBD";
    }
    text.remove_prefix(n);
  }
  return out;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

}  // namespace nibble::text
