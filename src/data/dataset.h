#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/thread_pool.h"
#include "data/audio.h"
#include "data/description.h"
#include "data/input.h"
#include "data/labels.h"
#include "data/preprocessing.h"
#include "data/references.h"
#include "tensor/tensor.h"

namespace nibble::data {

struct DatasetOptions {
  /// How images become the only input. Absent: assumed from its shape (resized to its height and width, RGB or grey
  /// after its channels, x / 255), which notes() says. Not applied to arrays (.npy, .npz), which notes() says too.
  std::optional<Preprocessing> preprocessing;
  Audio audio;  ///< how sound is cut
  LabelOptions labels;
  ReferenceOptions references;
  /// The network's inputs, at least one; several take .npz.
  std::vector<Input> inputs{Input{}};
  std::vector<std::string> class_names;  ///< for labels that are words
  int64_t classes = 0;                   ///< number of the network's outputs, to check labels against; 0: unknown

  /// Selection, in this order: shuffled by `seed` (Fisher-Yates), the first `offset` left out, at most `limit` kept.
  std::optional<uint64_t> seed;
  int64_t offset = 0;
  std::optional<int64_t> limit;

  /// An image that cannot be decoded is left out and counted, not an Error.
  bool skip_bad = false;
};

/// What a user says about data, as text; empty says nothing.
struct DataChoice {
  std::string preprocessing, audio, labels = "auto", references;
  std::optional<uint64_t> seed;
  int64_t offset = 0;
  std::optional<int64_t> limit;
  bool skip_bad = false;
};
/// The options for a network: what the user says wins over what the network's description says.
DatasetOptions options_for(const graph::Graph& network, const DataDescription& description, const DataChoice& choice);

struct Sample {
  std::vector<tensor::Tensor> inputs;  ///< by network input, in its element type; without batch dimension unless a run
  std::optional<int64_t> label;
  Reference reference;  ///< where references were asked for
  std::string name;     ///< as the folder or archive has it; printed only through base::printable
};

struct Batch {
  std::vector<tensor::Tensor> inputs;  ///< by network input [n, ...]; none at all when every sample was skipped
  std::vector<std::optional<int64_t>> labels;
  std::vector<Reference> references;  ///< empty where none were asked for
  std::vector<std::string> names;
  std::vector<int64_t> indices;  ///< which samples these are: those asked for, less the skipped ones

  int64_t size() const { return static_cast<int64_t>(indices.size()); }
  bool empty() const { return inputs.empty(); }
};

class Source;

/// Samples for a network: read, preprocessed and labelled on demand. Safe to read from several threads at once.
class Dataset {
 public:
  ~Dataset();
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  int64_t size() const { return static_cast<int64_t>(order_.size()); }
  bool has_labels() const { return !labels_.of_sample.empty(); }
  bool has_references() const { return references_ != nullptr; }
  /// Whether every sample is a whole run: batches then hold one sample, whatever batch the network takes.
  bool holds_runs() const;
  /// Whether samples may differ in size (images once they are preprocessed), so that each is a batch of its own.
  bool sizes_vary() const;
  /// How many samples a batch for this network must have: one where each is a whole run or has a size of its own, else
  /// what the network fixes, or tensor::kUnknown: any number.
  int64_t fixed_batch(const graph::Graph& network) const;
  /// The sample at a place of the selection. Throws Error for one that cannot be read, whether bad ones are to be
  /// skipped or not, and Error(kUnsupported) naming both shapes when it does not fit the network.
  Sample sample(int64_t index) const;
  /// Several samples in one tensor, read in parallel; the same for any number of threads. With skip_bad, undecodable
  /// ones are left out; the first of all other errors, in the order of `indices`, is thrown.
  Batch batch(std::span<const int64_t> indices, base::ThreadPool& pool) const;
  /// Samples [begin, begin + count), cut at size().
  Batch batch(int64_t begin, int64_t count, base::ThreadPool& pool) const;

  /// How many different samples batch() has skipped so far.
  int64_t skipped() const;

  /// "800 images of images.zip; labels from the numbers at the front of the file names, ...".
  std::string describe() const;
  /// What was assumed and what was left out, a sentence each: to be shown to the user.
  const std::vector<std::string>& notes() const { return notes_; }
  /// What is applied to images; absent for arrays.
  const std::optional<Preprocessing>& preprocessing() const { return preprocessing_; }

 private:
  friend std::unique_ptr<Dataset> open_dataset(const std::filesystem::path&, const DatasetOptions&,
                                               const base::Limits&);
  Dataset();
  /// Nothing for an image that cannot be decoded, if it `may_skip` that.
  std::optional<Sample> read(int64_t index, bool may_skip) const;
  tensor::Tensor fitted(tensor::Tensor values, const Input& input, int64_t source_index) const;

  struct Skipped;
  std::unique_ptr<Source> source_;
  DatasetOptions options_;
  base::Limits limits_;
  std::optional<Preprocessing> preprocessing_;
  Labels labels_;
  std::unique_ptr<const References> references_;
  std::vector<int64_t> order_;  ///< the selected samples of the source
  std::vector<std::string> notes_;
  std::unique_ptr<Skipped> skipped_;
};

/// Opens a folder, zip or tar of images or of .wav files, one of these, a CIFAR binary file, an MNIST idx file (gzipped
/// or not), .npy or .npz with the samples stacked, a .csv or .tsv with a sample a row, or a folder, zip or tar of .npz
/// files that are a whole run each; found out from the content, tables from the name.
/// Throws Error.
std::unique_ptr<Dataset> open_dataset(const std::filesystem::path& path, const DatasetOptions& options,
                                      const base::Limits& limits);

/// The preprocessing that is assumed for a network's input shape (without batch) when none is given, and nothing when
/// the shape is no image's (neither [1|3,H,W] nor [H,W,1|3]).
std::optional<Preprocessing> assumed_preprocessing(const tensor::Shape& sample_shape);

}  // namespace nibble::data
