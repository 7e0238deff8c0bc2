#pragma once
#include <string>
#include <string_view>

namespace nibble::text {

/// Valid UTF-8 in Unicode's normalization forms C (composed) and D (decomposed); Unicode Standard Annex 15, with the
/// tables of normalization_table.cpp.
std::string to_nfc(std::string_view text);
std::string to_nfd(std::string_view text);

}  // namespace nibble::text
