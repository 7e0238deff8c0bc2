#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/bytes.h"

namespace nibble::io {

using Sha256 = std::array<uint8_t, 32>;

/// The SHA-256 digest (FIPS 180-4) of `bytes`.
Sha256 sha256(base::Bytes bytes);
/// 64 lower-case hexadecimal digits, as `sha256sum` prints them.
std::string hex_text(const Sha256& digest);
/// RFC 4648 base 64 with padding, as Content-Security-Policy wants it.
std::string base64_text(const Sha256& digest);

/// The digest of a file's content, as hexadecimal digits. Of a folder: that of the text that
/// `find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum` prints in it (names below the folder,
/// sorted by their bytes; symbolic links are left out). Throws Error(kIo) for what cannot be read.
std::string sha256_of_path(const std::filesystem::path& path);

}  // namespace nibble::io
