#include "io/hash/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace nibble::io {

Sha256 sha256(base::Bytes bytes) {
  Sha256 digest;
  unsigned int size = 0;
  NIBBLE_INVARIANT(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  NIBBLE_INVARIANT(size == digest.size());
  return digest;
}

std::string hex_text(const Sha256& digest) {
  std::string text;
  for (const uint8_t byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string base64_text(const Sha256& digest) {
  std::string text(45, '\0');  // 4 * ceil(32 / 3), and the zero that EVP_EncodeBlock writes behind it
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), digest.data(), static_cast<int>(digest.size()));
  text.pop_back();
  return text;
}

std::string sha256_of_path(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  const auto of_file = [](const fs::path& file) {
    return hex_text(sha256(base::MappedFile::open(file, true)->bytes()));
  };
  std::error_code error;
  if (!fs::is_directory(path, error)) return of_file(path);
  std::vector<std::string> names;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    std::error_code unknown;
    if (it->symlink_status(unknown).type() == fs::file_type::regular)
      names.push_back(it->path().lexically_relative(path).string());
  }
  if (error) base::fail_io(base::printable(path.string(), 400), "cannot be listed: " + error.message());
  std::sort(names.begin(), names.end());
  std::string list;
  for (const std::string& name : names) list += of_file(path / name) + "  " + name + "\n";
  return hex_text(sha256(base::as_bytes(list)));
}

}  // namespace nibble::io
