#include "text/byte_alphabet.h"

#include <array>

#include "base/error.h"
#include "text/utf8.h"

namespace nibble::text {
namespace {

struct Alphabet {
  std::array<std::string, 256> of_byte;
  std::array<int16_t, 0x144> to_byte;  ///< by code point, -1 for none

  Alphabet() {
    to_byte.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      const char32_t code = printable ? static_cast<char32_t>(b) : next++;
      append_code_point(of_byte[static_cast<size_t>(b)], code);
      to_byte[code] = static_cast<int16_t>(b);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet kAlphabet;
  return kAlphabet;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string_view character_of_byte(uint8_t byte) { return alphabet().of_byte[byte]; }

std::optional<std::string> bytes_of_characters(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (base::utf8_length(text) == 0) return std::nullopt;
    const char32_t code = take_code_point(text);
    if (code >= alphabet().to_byte.size() || alphabet().to_byte[code] < 0) return std::nullopt;
    out += static_cast<char>(alphabet().to_byte[code]);
  }
  return out;
}

std::optional<uint8_t> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const int high = hex_digit(token[3]), low = hex_digit(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<uint8_t>(high * 16 + low);
}

}  // namespace nibble::text
