#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace nibble::data {

/// The bytes of one file, alive as long as `owner`.
struct Content {
  base::Bytes bytes;
  std::shared_ptr<const void> owner;
};

/// Named files: those of a folder (with its subfolders), of an archive, or one alone. Sorted by name; files that
/// systems leave behind and nobody means (dot files, __MACOSX) are left out. Reading is safe from several threads at
/// once.
class Members {
 public:
  virtual ~Members() = default;
  const std::vector<std::string>& names() const { return names_; }
  virtual Content read(size_t index) const = 0;
  /// "images.zip: cat.jpg", for messages about one file.
  virtual std::string place(size_t index) const = 0;
  /// What was left out when the archive was opened; sentences.
  virtual std::vector<std::string> notes() const { return {}; }
  /// Whether this is one file that was named itself, whatever it is called.
  virtual bool named_itself() const { return false; }
  /// The folder or archive itself, for messages.
  const std::string& whole() const { return whole_; }

 protected:
  explicit Members(std::string whole) : whole_(std::move(whole)) {}
  /// Takes `name` as the next member, or says that nobody means it.
  bool take(const std::string& name);
  std::vector<std::string> names_;

 private:
  std::string whole_;
};

/// The files of a folder, of a zip or tar file, or a file alone.
std::shared_ptr<const Members> open_members(const std::filesystem::path& path, const base::Limits& limits);

}  // namespace nibble::data
