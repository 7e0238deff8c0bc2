#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace nibble::io {

bool is_zip(base::Bytes bytes);

struct ZipEntry {
  std::string name;
  int64_t size = 0;  ///< expanded bytes
};

/// A zip archive in memory, read without ever writing an entry to disk. Entries are sorted by name (bytes); folders are
/// left out.
///
/// Opening compares the central directory with the local headers and checks entries, expanded bytes and, for entries
/// above 1 MiB, expanded over compressed size against `limits`. Names must be unique and at most
/// name-bytes long. Throws Error: kMalformed, kUnsupported (encryption, compression other than stored and deflate),
/// kLimit.
///
/// Reading is safe from several threads at a time (one after the other inside).
class ZipFile {
 public:
  /// `bytes` stays alive through `owner`.
  ZipFile(base::Bytes bytes, std::shared_ptr<const void> owner, std::string place, const base::Limits& limits);
  ~ZipFile();
  ZipFile(const ZipFile&) = delete;
  ZipFile& operator=(const ZipFile&) = delete;

  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// Index of the entry of that name.
  std::optional<size_t> find(std::string_view name) const;
  /// The expanded bytes of one entry, its length and CRC-32 checked. Throws Error(kMalformed) naming the entry.
  std::vector<std::byte> read(size_t index) const;
  /// "images.zip: cat.jpg", for messages about an entry.
  std::string place_of(size_t index) const;
  const std::string& place() const { return place_; }

 private:
  struct Archive;
  std::string place_;
  std::vector<ZipEntry> entries_;
  std::unique_ptr<Archive> archive_;
};

}  // namespace nibble::io
