#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"

namespace nibble::io {

/// What separates the fields of a table: a TAB where its first line has one, else a semicolon where that line has one
/// and no comma, else a comma.
char separator_of(std::string_view text);

/// Splits a table into rows and hands each on with its line's number, counted from 1. RFC 4180: a field may stand in
/// double quotes, which may then hold separators, line ends and quotes written twice; lines end in LF or CR LF; a byte
/// order mark is skipped, and so are empty lines. Every row must have as many fields as the first. Throws Error:
/// kMalformed (a quote that does not close or stands inside a field, a NUL byte, another number of fields), kLimit
/// (string-bytes for a field, tensor-elements for all fields).
void read_csv(std::string_view text, char separator, const std::string& place, const base::Limits& limits,
              const std::function<void(int64_t line, const std::vector<std::string>& fields)>& row);

}  // namespace nibble::io
