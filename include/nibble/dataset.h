#pragma once
#include <nibble/array.h>
#include <nibble/export.h>
#include <nibble/network.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nibble {

struct DatasetOptions {
  /// How images become inputs, "resize=256,crop=224,scale=1/255,order=rgb,layout=nchw" (docs/guide.md); empty: what
  /// NAME.data.json beside the network or its metadata says, else assumed from the input's shape and noted.
  std::string preprocessing = {};
  /// How sound becomes inputs, "rate=16000,frame=512,context=64,hop=512,run=on"; empty: as above.
  std::string audio = {};
  /// Where labels come from: auto, none, folders, prefix-number, pattern:REGEX, column:NAME or the path of a file.
  std::string labels = "auto";
  std::optional<uint64_t> shuffle = {};  ///< seed of the order; std::nullopt: as stored
  int64_t skip = 0;                      ///< samples left out at the front
  std::optional<int64_t> samples = {};   ///< at most so many
  bool skip_bad = false;                 ///< leave out images that cannot be decoded
  int threads = 0;                       ///< 0: every core that this process may use
};

/// Samples for a network: a folder, zip or tar of images or of .wav, one image or .wav, CIFAR binary, MNIST idx
/// (gzipped too), .csv, .tsv, .npy or .npz, found out from the content (tables from the name).
class NIBBLE_API Dataset {
 public:
  /// Throws Error.
  Dataset(const std::filesystem::path& path, const Network& network, const DatasetOptions& options = {});
  ~Dataset();
  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;

  int64_t size() const;
  bool has_labels() const;
  /// "800 images of images.zip; labels from ...".
  std::string describe() const;
  /// What was assumed and what was left out, a sentence each.
  const std::vector<std::string>& notes() const;

  /// Samples [begin, begin + count), cut at size().
  Batch batch(int64_t begin, int64_t count) const;
  /// All samples from the front in batches of 16 (or of the network's own size, where that is fixed), at most `samples`
  /// of them. The Dataset must outlive what is returned.
  NextBatch batches(std::optional<int64_t> samples = std::nullopt) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nibble
