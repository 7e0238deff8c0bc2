#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/limits.h"
#include "io/image/image.h"
#include "tensor/tensor.h"

namespace nibble::data {

/// Where samples come from, before preprocessing, labels and selection. Reading is safe from several threads at once.
class Source {
 public:
  virtual ~Source() = default;

  virtual int64_t size() const = 0;
  /// What the sample is called: its path below the folder or in the archive, or "#12".
  virtual std::string name(int64_t index) const { return "#" + std::to_string(index); }
  /// The picture, or the ready values (any numeric dtype, without batch dimension).
  virtual std::variant<io::Image, tensor::Tensor> read(int64_t index, io::Orientation orientation) const = 0;
  virtual bool holds_images() const = 0;
  /// The class that the file itself gives to each sample; empty where it gives none.
  virtual std::vector<int64_t> own_labels() const { return {}; }
  /// Where these come from: "labels from the file itself".
  virtual std::string own_labels_origin() const { return "labels from the file itself"; }
  /// For arrays the shape of a sample.
  virtual tensor::Shape array_shape() const { return {}; }
  /// "800 images of images.zip".
  virtual std::string what() const = 0;
  /// Where an error about a sample is placed: "images.zip: cat.jpg".
  virtual std::string place(int64_t index) const = 0;
  /// Whatever the user should know about how the source was read; sentences.
  virtual std::vector<std::string> notes() const { return {}; }
};

/// Images: a folder (searched through its subfolders, sorted), a zip archive, or one file.
std::unique_ptr<Source> open_image_folder(const std::filesystem::path& folder, const base::Limits& limits);
std::unique_ptr<Source> open_image_zip(const std::filesystem::path& path, const base::Limits& limits);
std::unique_ptr<Source> open_image_file(const std::filesystem::path& path, const base::Limits& limits);
/// Images in one file: CIFAR binary, MNIST idx.
std::unique_ptr<Source> open_cifar(const std::filesystem::path& path);
std::unique_ptr<Source> open_idx(const std::filesystem::path& path, const base::Limits& limits);
/// Arrays, the first dimension being the samples: .npy, or from an .npz the array called `input_name` (or the only one
/// besides labels), with labels from its array `labels`, `label` or `y`.
std::unique_ptr<Source> open_npy(const std::filesystem::path& path, const base::Limits& limits);
std::unique_ptr<Source> open_npz(const std::filesystem::path& path, const std::string& input_name,
                                 const base::Limits& limits);

/// Opens whatever `path` is. Throws Error(kUnsupported) listing what is known.
std::unique_ptr<Source> open_source(const std::filesystem::path& path, const std::string& input_name,
                                    const base::Limits& limits);

/// The integers of a tensor of any integer dtype. Throws Error(kMalformed) for another dtype or a uint64 above 2^63-1.
std::vector<int64_t> integers_of(const tensor::Tensor& tensor, const std::string& place);

}  // namespace nibble::data
