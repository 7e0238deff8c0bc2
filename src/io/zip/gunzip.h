#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace nibble::io {

bool is_gzip(base::Bytes bytes);

/// Expands a gzip file of one member. Above 1 MiB the expanded size may be zip-ratio times the compressed one, and
/// zip-bytes in all. Throws Error: kMalformed (truncated, damaged, bytes after the member), kLimit.
std::vector<std::byte> gunzip(base::Bytes bytes, const std::string& place, const base::Limits& limits);

}  // namespace nibble::io
