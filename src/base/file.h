#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace nibble::base {

/// A regular file mapped read-only. Throws Error(kIo) when it cannot be opened, is no regular file, or is empty where
/// `allow_empty` is false.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path, bool allow_empty = false);
  /// A file that the file at `base_directory` names: `relative` must stay below the directory, through no symbolic
  /// link. Throws Error(kMalformed) for an unsafe path.
  static std::shared_ptr<const MappedFile> open_beneath(const std::filesystem::path& base_directory,
                                                        const std::string& relative, const std::string& place);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }
  /// Throws Error(kIo) when the file's size or modification time changed since it was opened.
  void check_unchanged() const;

 private:
  MappedFile() = default;
  static std::shared_ptr<const MappedFile> map(int fd, const std::filesystem::path& path, bool allow_empty);
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int fd_ = -1;
  int64_t mtime_ns_ = 0;
};

/// Tells the system that these bytes need not stay in memory; they can still be read. Does nothing for bytes that are
/// no part of a MappedFile that is alive.
void forget_pages(Bytes part) noexcept;

/// True when both paths name the same existing file (same device and inode, through links).
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);

/// Writes a file so that a reader sees the old one or the whole new one: a temporary `.NAME.nibble-tmp.<random>` in the
/// same directory, then fsync and rename. Without `commit` (an error, an exception) nothing is left behind.
///
/// The constructor throws Error(kUsage) when `path` exists and `force` is false, or when it is the same file as one of
/// `inputs`; Error(kIo) when its directory is missing or the free space is less than `predicted_bytes` + 1 %.
class AtomicFile {
 public:
  AtomicFile(std::filesystem::path path, bool force, std::span<const std::filesystem::path> inputs = {},
             uint64_t predicted_bytes = 0);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends. Throws Error(kIo) with the bytes needed and free when the disk is full.
  void write(Bytes bytes);
  void write(std::string_view text) { write(as_bytes(text)); }
  uint64_t size() const { return size_; }
  /// Where the bytes are until `commit`: for reading back before the rename.
  const std::filesystem::path& temporary_path() const { return temporary_; }
  /// Flushes to the disk; called by `commit`, or earlier to read the file back.
  void flush();
  /// fsync, rename over `path`, fsync of the directory.
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int fd_ = -1;
  uint64_t size_ = 0;
  bool committed_ = false;
};

/// Removes the temporary files of every AtomicFile alive in this process; async-signal-safe (for a second Ctrl-C).
void remove_temporary_files() noexcept;

}  // namespace nibble::base
