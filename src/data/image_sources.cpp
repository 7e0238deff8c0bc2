// Image files: those of a folder or an archive, or one alone.
#include "base/error.h"
#include "data/source.h"

namespace nibble::data {
namespace {

class ImageSource final : public Source {
 public:
  ImageSource(std::shared_ptr<const Members> members, const base::Limits& limits)
      : members_(std::move(members)), limits_(limits) {
    for (size_t i = 0; i < members_->names().size(); ++i)
      if (io::has_image_extension(members_->names()[i]) || members_->named_itself()) images_.push_back(i);
    if (images_.empty())
      base::fail_malformed(members_->whole(), "holds no .jpg, .jpeg or .png", "name a folder or archive of images");
  }

  int64_t size() const override { return static_cast<int64_t>(images_.size()); }
  std::string name(int64_t index) const override { return members_->names()[at(index)]; }
  bool holds_images() const override { return true; }
  bool sizes_vary() const override { return size() > 1; }
  std::string what() const override {
    return std::to_string(size()) + (size() == 1 ? " image of " : " images of ") + members_->whole();
  }
  std::string place(int64_t index) const override { return members_->place(at(index)); }
  std::vector<std::string> notes() const override {
    const size_t ignored = members_->names().size() - images_.size();
    std::vector<std::string> notes = members_->notes();
    if (ignored)
      notes.push_back(members_->whole() + ": " + std::to_string(ignored) + (ignored == 1 ? " file is" : " files are") +
                      " no .jpg, .jpeg or .png and left out");
    return notes;
  }
  Reading read(int64_t index, io::Orientation orientation) const override {
    const Content content = members_->read(at(index));
    return io::decode_image(content.bytes, place(index), limits_, orientation);
  }

 private:
  size_t at(int64_t index) const { return images_.at(static_cast<size_t>(index)); }
  std::shared_ptr<const Members> members_;
  base::Limits limits_;
  std::vector<size_t> images_;  // among the members
};

}  // namespace

std::unique_ptr<Source> open_images(std::shared_ptr<const Members> members, const base::Limits& limits) {
  return std::make_unique<ImageSource>(std::move(members), limits);
}

}  // namespace nibble::data
