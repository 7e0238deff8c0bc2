#pragma once
#include <string>
#include <string_view>

namespace nibble::text {

/// The code point at the front of valid UTF-8, which is taken off it.
char32_t take_code_point(std::string_view& text);
void append_code_point(std::string& out, char32_t code);
/// Bytes of the character that begins with this byte, in valid UTF-8.
size_t length_of_lead(char lead);

/// Whether all of it is valid UTF-8.
bool is_utf8(std::string_view text);

/// The text with U+FFFD in place of what is not UTF-8, as Python's errors="replace" does: one for each longest
/// beginning of a character, and one for each byte that begins none (Unicode 15, section 3.9, "maximal subparts").
std::string replace_invalid(std::string_view text);

/// How many bytes at the front of `text`, which does not begin with a whole character, one U+FFFD stands for; 0 when
/// they may still become a character with more bytes behind them.
size_t invalid_length(std::string_view text);

/// White space (White_Space of Unicode).
bool is_space(char32_t code);

}  // namespace nibble::text
