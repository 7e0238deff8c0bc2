#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace nibble::io {

/// Whether these are the bytes of a tar archive, plain or compressed by gzip, xz, bzip2 or zstd (its first block is
/// expanded to see).
bool is_tar(base::Bytes bytes);

struct TarEntry {
  std::string name;   ///< without a leading "./"
  base::Bytes bytes;  ///< the file's, alive as long as the TarFile
};

/// The regular files of a tar archive in memory (ustar, pax, GNU), sorted by name (bytes), read without ever writing
/// one to disk. Of a plain archive they are views of `bytes`; a compressed one is expanded as a whole on opening.
///
/// Names must be unique and at most name-bytes long; entries (of every kind) and expanded bytes are checked against
/// zip-entries and zip-bytes while they arrive, and above 1 MiB the expanded over the compressed size against
/// zip-ratio. Throws Error: kMalformed (truncated, damaged), kUnsupported (hard links, sparse files), kLimit.
class TarFile {
 public:
  /// `bytes` stays alive through `owner`.
  TarFile(base::Bytes bytes, std::shared_ptr<const void> owner, std::string place, const base::Limits& limits);

  const std::vector<TarEntry>& entries() const { return entries_; }
  /// Entries that are no files (folders apart): symbolic links, devices. They are left out.
  int64_t left_out() const { return left_out_; }
  /// "images.tar: cat.jpg", for messages about an entry.
  std::string place_of(size_t index) const;

 private:
  std::string place_;
  std::shared_ptr<const void> owner_;
  std::vector<std::shared_ptr<const std::vector<std::byte>>> expanded_;
  std::vector<TarEntry> entries_;
  int64_t left_out_ = 0;
};

}  // namespace nibble::io
