// Folders and archives of image files.
#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "data/source.h"
#include "io/zip/zip.h"

namespace nibble::data {
namespace {

namespace fs = std::filesystem;
using Reading = std::variant<io::Image, tensor::Tensor>;

/// Files that systems leave behind and nobody means: .DS_Store, __MACOSX/..., dot files.
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

std::string count_text(size_t n, const std::string& place) {
  return std::to_string(n) + (n == 1 ? " image of " : " images of ") + place;
}

std::vector<std::string> note_ignored(size_t ignored, const std::string& place) {
  if (ignored == 0) return {};
  return {place + ": " + std::to_string(ignored) + (ignored == 1 ? " file is" : " files are") +
          " no .jpg, .jpeg or .png and left out"};
}

class FolderSource final : public Source {
 public:
  FolderSource(const fs::path& folder, const base::Limits& limits) : folder_(folder), limits_(limits) {
    try {
      for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file()) continue;
        std::string name = entry.path().lexically_relative(folder).generic_string();
        if (is_hidden(name)) continue;
        if (io::has_image_extension(name))
          names_.push_back(std::move(name));
        else
          ++ignored_;
      }
    } catch (const fs::filesystem_error& e) {
      base::fail_io(folder.string(), "cannot be listed: " + e.code().message());
    }
    if (names_.empty())
      base::fail_malformed(folder.string(), "the folder holds no .jpg, .jpeg or .png",
                           "name a folder or zip of images");
    std::sort(names_.begin(), names_.end());
  }

  int64_t size() const override { return static_cast<int64_t>(names_.size()); }
  std::string name(int64_t index) const override { return names_.at(static_cast<size_t>(index)); }
  bool holds_images() const override { return true; }
  std::string what() const override { return count_text(names_.size(), folder_.string()); }
  std::string place(int64_t index) const override { return folder_.string() + ": " + base::printable(name(index)); }
  std::vector<std::string> notes() const override { return note_ignored(ignored_, folder_.string()); }
  Reading read(int64_t index, io::Orientation orientation) const override {
    const auto file = base::MappedFile::open(folder_ / name(index));
    return io::decode_image(file->bytes(), place(index), limits_, orientation);
  }

 private:
  fs::path folder_;
  base::Limits limits_;
  std::vector<std::string> names_;
  size_t ignored_ = 0;
};

class ZipSource final : public Source {
 public:
  ZipSource(const fs::path& path, const base::Limits& limits) : limits_(limits) {
    const auto file = base::MappedFile::open(path);
    zip_ = std::make_unique<io::ZipFile>(file->bytes(), file, path.string(), limits);
    for (size_t i = 0; i < zip_->entries().size(); ++i) {
      const std::string& entry = zip_->entries()[i].name;
      if (is_hidden(entry)) continue;
      if (io::has_image_extension(entry))
        entries_.push_back(i);
      else
        ++ignored_;
    }
    if (entries_.empty()) base::fail_malformed(path.string(), "the zip file holds no .jpg, .jpeg or .png");
  }

  int64_t size() const override { return static_cast<int64_t>(entries_.size()); }
  std::string name(int64_t index) const override { return zip_->entries()[at(index)].name; }
  bool holds_images() const override { return true; }
  std::string what() const override { return count_text(entries_.size(), zip_->place()); }
  std::string place(int64_t index) const override { return zip_->place_of(at(index)); }
  std::vector<std::string> notes() const override { return note_ignored(ignored_, zip_->place()); }
  Reading read(int64_t index, io::Orientation orientation) const override {
    return io::decode_image(zip_->read(at(index)), place(index), limits_, orientation);
  }

 private:
  size_t at(int64_t index) const { return entries_.at(static_cast<size_t>(index)); }
  base::Limits limits_;
  std::unique_ptr<io::ZipFile> zip_;
  std::vector<size_t> entries_;  ///< the images among the archive's entries
  size_t ignored_ = 0;
};

class SingleImage final : public Source {
 public:
  SingleImage(const fs::path& path, const base::Limits& limits)
      : limits_(limits), file_(base::MappedFile::open(path)) {}

  int64_t size() const override { return 1; }
  std::string name(int64_t) const override { return file_->path().filename().string(); }
  bool holds_images() const override { return true; }
  std::string what() const override { return "the image " + file_->path().string(); }
  std::string place(int64_t) const override { return file_->path().string(); }
  Reading read(int64_t, io::Orientation orientation) const override {
    return io::decode_image(file_->bytes(), file_->path().string(), limits_, orientation);
  }

 private:
  base::Limits limits_;
  std::shared_ptr<const base::MappedFile> file_;
};

}  // namespace

std::unique_ptr<Source> open_image_folder(const fs::path& folder, const base::Limits& limits) {
  return std::make_unique<FolderSource>(folder, limits);
}
std::unique_ptr<Source> open_image_zip(const fs::path& path, const base::Limits& limits) {
  return std::make_unique<ZipSource>(path, limits);
}
std::unique_ptr<Source> open_image_file(const fs::path& path, const base::Limits& limits) {
  return std::make_unique<SingleImage>(path, limits);
}

}  // namespace nibble::data
