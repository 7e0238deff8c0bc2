#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/limits.h"
#include "data/audio.h"
#include "data/input.h"
#include "data/members.h"
#include "io/image/image.h"
#include "tensor/tensor.h"

namespace nibble::data {

/// Where samples come from, before preprocessing, labels and selection. Reading is safe from several threads at once.
class Source {
 public:
  /// A picture, or ready values for each of the network's inputs (any numeric dtype).
  using Reading = std::variant<io::Image, std::vector<tensor::Tensor>>;
  virtual ~Source() = default;

  virtual int64_t size() const = 0;
  /// What the sample is called: its path below the folder or in the archive, or "#12".
  virtual std::string name(int64_t index) const { return "#" + std::to_string(index); }
  virtual Reading read(int64_t index, io::Orientation orientation) const = 0;
  virtual bool holds_images() const = 0;
  /// Whether samples may differ in size.
  virtual bool sizes_vary() const { return false; }
  /// Whether a sample is a whole run, its arrays complete with their batch dimension; else they are without.
  virtual bool holds_runs() const { return false; }
  /// The class that the file itself gives to each sample; empty where it gives none.
  virtual std::vector<int64_t> own_labels() const { return {}; }
  /// Where these come from: "labels from the file itself".
  virtual std::string own_labels_origin() const { return "labels from the file itself"; }
  /// A word for the class of each sample, where a column of a table holds these; and where it was found.
  virtual std::vector<std::string> label_words() const { return {}; }
  virtual std::string label_words_origin() const { return {}; }
  /// For arrays the shape of a sample's first input.
  virtual tensor::Shape array_shape() const { return {}; }
  /// "800 images of images.zip".
  virtual std::string what() const = 0;
  /// Where an error about a sample is placed: "images.zip: cat.jpg".
  virtual std::string place(int64_t index) const = 0;
  /// Whatever the user should know about how the source was read; sentences.
  virtual std::vector<std::string> notes() const { return {}; }
};

/// The images among files.
std::unique_ptr<Source> open_images(std::shared_ptr<const Members> members, const base::Limits& limits);
/// Files in .npz form, each a whole run: for every input of the network an array of its name.
std::unique_ptr<Source> open_runs(std::shared_ptr<const Members> members, std::span<const Input> inputs,
                                  const base::Limits& limits);
/// Sound files (.wav), cut as `audio` says.
bool holds_sound(const Members& members);
std::unique_ptr<Source> open_sounds(std::shared_ptr<const Members> members, std::span<const Input> inputs,
                                    const Audio& audio, const base::Limits& limits);
/// A table of numbers, a sample a row: CSV or TSV, with a header or without. One column may hold labels: the one of the
/// name or number (from 1) `label_column`, else one that the header calls `labels`, `label` or `y`.
std::unique_ptr<Source> open_table(const std::filesystem::path& path, std::span<const Input> inputs,
                                   const std::string& label_column, const base::Limits& limits);
/// Images in one file: CIFAR binary, MNIST idx.
std::unique_ptr<Source> open_cifar(const std::filesystem::path& path);
std::unique_ptr<Source> open_idx(const std::filesystem::path& path, const base::Limits& limits);
/// Arrays, the first dimension being the samples: .npy for a network with one input, or from an .npz the arrays called
/// like the inputs (for one input also the only array besides labels), with labels from its array `labels`, `label` or
/// `y`.
std::unique_ptr<Source> open_npy(const std::filesystem::path& path, std::span<const Input> inputs,
                                 const base::Limits& limits);
std::unique_ptr<Source> open_npz(const std::filesystem::path& path, std::span<const Input> inputs,
                                 const base::Limits& limits);

/// What only some sources need.
struct SourceOptions {
  Audio audio;
  std::string label_column;  ///< of a table
};

/// Opens whatever `path` is. Throws Error(kUnsupported) listing what is known.
std::unique_ptr<Source> open_source(const std::filesystem::path& path, std::span<const Input> inputs,
                                    const SourceOptions& options, const base::Limits& limits);

/// The integers of a tensor of any integer dtype. Throws Error(kMalformed) for another dtype or a uint64 above 2^63-1.
std::vector<int64_t> integers_of(const tensor::Tensor& tensor, const std::string& place);

}  // namespace nibble::data
