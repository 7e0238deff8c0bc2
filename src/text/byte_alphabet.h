#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nibble::text {

/// GPT-2's alphabet: a printable character for each byte. The bytes that Latin-1 prints ('!' ... '~', A1 ... AC, AE ...
/// FF) are the character of their number, the others U+0100, U+0101 ... in order.
std::string_view character_of_byte(uint8_t byte);

/// The bytes that a text in that alphabet stands for, std::nullopt when it has other characters.
std::optional<std::string> bytes_of_characters(std::string_view text);

/// The byte of a token like "<0x0A>", std::nullopt for others.
std::optional<uint8_t> byte_of_token(std::string_view token);

}  // namespace nibble::text
