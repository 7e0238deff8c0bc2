#include "eval/html/escape.h"

#include "base/error.h"

namespace nibble::eval::html {

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t n = base::utf8_length(text);
    const auto c = static_cast<unsigned char>(text[0]);
    const bool c1_control = n == 2 && c == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (n == 0 || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F || c1_control)
      out += "\xEF\xBF\xBD";
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out.append(text.substr(0, n));
    text.remove_prefix(n ? n : 1);
  }
  return out;
}

std::string script_safe(std::string_view json) {
  // Outside of strings JSON has no '<', and inside of them it may be written as an escape.
  std::string out;
  for (const char c : json) {
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  }
  return out;
}

}  // namespace nibble::eval::html
