// Many images in one file: CIFAR binary and MNIST idx.
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "data/source.h"
#include "io/cifar/cifar.h"
#include "io/idx/idx.h"

namespace nibble::data {
namespace {

namespace fs = std::filesystem;

class CifarSource final : public Source {
 public:
  explicit CifarSource(const fs::path& path)
      : place_(path.string()), mapped_(base::MappedFile::open(path)), file_(mapped_->bytes(), mapped_, place_) {}

  int64_t size() const override { return file_.size(); }
  bool holds_images() const override { return true; }
  std::string what() const override {
    return std::to_string(size()) + " images of " + place_ + " (CIFAR-" + std::to_string(file_.classes()) + ")";
  }
  std::string place(int64_t index) const override { return place_ + ": image " + name(index); }
  std::vector<int64_t> own_labels() const override {
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < size(); ++i) labels.push_back(file_.label(i));
    return labels;
  }
  Reading read(int64_t index, io::Orientation) const override { return file_.image(index); }

 private:
  std::string place_;
  std::shared_ptr<const base::MappedFile> mapped_;
  io::CifarFile file_;
};

/// MNIST names its two files alike: t10k-images-idx3-ubyte(.gz) and t10k-labels-idx1-ubyte(.gz). The labels are taken
/// when they lie beside the images, gzipped or not.
std::optional<fs::path> labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  const auto replace = [&](std::string_view from, std::string_view to) {
    const size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
    return at != std::string::npos;
  };
  if (!replace("images", "labels") || !replace("idx3", "idx1")) return std::nullopt;
  const bool gzipped = name.ends_with(".gz");
  const std::string other = gzipped ? name.substr(0, name.size() - 3) : name + ".gz";
  for (const std::string& candidate : {name, other}) {
    const fs::path path = images.parent_path() / candidate;
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path;
  }
  return std::nullopt;
}

class IdxSource final : public Source {
 public:
  IdxSource(const fs::path& path, const base::Limits& limits) : place_(path.string()) {
    const auto file = base::MappedFile::open(path);
    images_ = io::read_idx(file->bytes(), file, place_, limits);
    if (images_.dtype() != tensor::DType::u8 || images_.rank() != 3 || images_.elements() == 0)
      base::fail_unsupported(place_, "holds " + std::string(tensor::name_of(images_.dtype())) + " elements of shape " +
                                         tensor::to_string(images_.shape()) +
                                         "; images are u8 of shape [count,height,width]");
    const auto beside = labels_beside(path);
    if (!beside) return;
    const auto label_file = base::MappedFile::open(*beside);
    const tensor::Tensor labels = io::read_idx(label_file->bytes(), label_file, beside->string(), limits);
    if (labels.rank() != 1 || labels.elements() != size())
      base::fail_malformed(
          beside->string(),
          "has shape " + tensor::to_string(labels.shape()) + ", but there are " + std::to_string(size()) + " images",
          "--labels none or --labels FILE ignores it");
    labels_ = integers_of(labels, beside->string());
    labels_origin_ = "labels from " + beside->string() + " beside it";
  }

  int64_t size() const override { return images_.shape()[0]; }
  bool holds_images() const override { return true; }
  std::string what() const override { return std::to_string(size()) + " images of " + place_ + " (idx)"; }
  std::string place(int64_t index) const override { return place_ + ": image " + name(index); }
  std::vector<int64_t> own_labels() const override { return labels_; }
  std::string own_labels_origin() const override { return labels_origin_; }
  Reading read(int64_t index, io::Orientation) const override {
    io::Image image(images_.shape()[2], images_.shape()[1], 1);
    const size_t bytes = image.pixels.size();
    std::memcpy(image.pixels.data(), images_.bytes().data() + static_cast<size_t>(index) * bytes, bytes);
    return image;
  }

 private:
  std::string place_;
  tensor::Tensor images_;
  std::vector<int64_t> labels_;
  std::string labels_origin_;
};

}  // namespace

std::unique_ptr<Source> open_cifar(const fs::path& path) { return std::make_unique<CifarSource>(path); }
std::unique_ptr<Source> open_idx(const fs::path& path, const base::Limits& limits) {
  return std::make_unique<IdxSource>(path, limits);
}

}  // namespace nibble::data
