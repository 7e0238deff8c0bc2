#include "data/members.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "io/tar/tar.h"
#include "io/zip/zip.h"

namespace nibble::data {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const std::string& name) {
  size_t begin = 0;
  while (begin < name.size()) {
    if (name[begin] == '.' || name.compare(begin, 8, "__MACOSX") == 0) return true;
    const size_t slash = name.find('/', begin);
    if (slash == std::string::npos) return false;
    begin = slash + 1;
  }
  return false;
}

class FolderMembers final : public Members {
 public:
  explicit FolderMembers(const fs::path& folder) : Members(folder.string()), folder_(folder) {
    try {
      for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) take(entry.path().lexically_relative(folder).generic_string());
    } catch (const fs::filesystem_error& e) {
      base::fail_io(folder.string(), "cannot be listed: " + e.code().message());
    }
    std::sort(names_.begin(), names_.end());
  }
  Content read(size_t index) const override {
    const auto file = base::MappedFile::open(folder_ / names().at(index));
    return {file->bytes(), file};
  }
  std::string place(size_t index) const override { return whole() + ": " + base::printable(names().at(index)); }

 private:
  fs::path folder_;
};

class ZipMembers final : public Members {
 public:
  ZipMembers(const std::shared_ptr<const base::MappedFile>& file, const base::Limits& limits)
      : Members(file->path().string()), zip_(file->bytes(), file, file->path().string(), limits) {
    for (size_t i = 0; i < zip_.entries().size(); ++i)
      if (take(zip_.entries()[i].name)) entries_.push_back(i);
  }
  Content read(size_t index) const override {
    const auto bytes = std::make_shared<const std::vector<std::byte>>(zip_.read(entries_.at(index)));
    return {*bytes, bytes};
  }
  std::string place(size_t index) const override { return zip_.place_of(entries_.at(index)); }

 private:
  io::ZipFile zip_;
  std::vector<size_t> entries_;  // of the archive, by member
};

class TarMembers final : public Members {
 public:
  TarMembers(const std::shared_ptr<const base::MappedFile>& file, const base::Limits& limits)
      : Members(file->path().string()),
        tar_(std::make_shared<const io::TarFile>(file->bytes(), file, file->path().string(), limits)) {
    for (size_t i = 0; i < tar_->entries().size(); ++i)
      if (take(tar_->entries()[i].name)) entries_.push_back(i);
  }
  Content read(size_t index) const override { return {tar_->entries()[entries_.at(index)].bytes, tar_}; }
  std::string place(size_t index) const override { return tar_->place_of(entries_.at(index)); }
  std::vector<std::string> notes() const override {
    if (tar_->left_out() == 0) return {};
    return {whole() + ": " + std::to_string(tar_->left_out()) + " entries are links or devices and left out"};
  }

 private:
  std::shared_ptr<const io::TarFile> tar_;
  std::vector<size_t> entries_;  // of the archive, by member
};

class OneFile final : public Members {
 public:
  explicit OneFile(std::shared_ptr<const base::MappedFile> file)
      : Members(file->path().string()), file_(std::move(file)) {
    names_.push_back(file_->path().filename().string());
  }
  Content read(size_t) const override { return {file_->bytes(), file_}; }
  std::string place(size_t) const override { return whole(); }
  bool named_itself() const override { return true; }

 private:
  std::shared_ptr<const base::MappedFile> file_;
};

}  // namespace

bool Members::take(const std::string& name) {
  if (is_hidden(name)) return false;
  names_.push_back(name);
  return true;
}

std::shared_ptr<const Members> open_members(const fs::path& path, const base::Limits& limits) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return std::make_shared<FolderMembers>(path);
  const auto file = base::MappedFile::open(path);
  if (io::is_zip(file->bytes())) return std::make_shared<ZipMembers>(file, limits);
  if (io::is_tar(file->bytes())) return std::make_shared<TarMembers>(file, limits);
  return std::make_shared<OneFile>(file);
}

}  // namespace nibble::data
