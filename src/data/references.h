#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/limits.h"
#include "io/image/image.h"
#include "tensor/tensor.h"

namespace nibble::data {

class Source;

/// Where the right answer of each sample is to come from, where that is no class: a text, a picture or an array.
struct ReferenceOptions {
  enum class From {
    kNone,
    kRenamed,  ///< the picture called like the sample with `from` replaced by `to`; other pictures are no samples
    kFile,     ///< a file, a folder or an archive, or a text file among the data's own files
  };
  From kind = From::kNone;
  std::string from, to;
  std::filesystem::path path;
};

/// Parses what --references takes: `FROM=TO` ("_lr=_hr"), or a path. Empty text is none. Throws Error(kUsage).
ReferenceOptions parse_references(std::string_view text);

/// The right answer of one sample.
using Reference = std::variant<std::monostate, std::string, io::Image, tensor::Tensor>;

/// The right answers of a source's samples. Reading is safe from several threads at once.
class References {
 public:
  virtual ~References() = default;
  virtual Reference read(int64_t source_index) const = 0;
  /// Which samples of the source have one, in order; all others are left out.
  const std::vector<int64_t>& samples() const { return samples_; }
  /// "reference texts of lines.zip: labels.tsv".
  const std::string& origin() const { return origin_; }

 protected:
  std::vector<int64_t> samples_;
  std::string origin_;
};

/// Finds the right answers: pictures by name (`kRenamed`, or in a folder or archive where they have the samples' names,
/// whatever their extension), rows of an .npy in the samples' order, or texts, one a line: `name TAB text` (or
/// `name,text` where no line has a TAB; names with or without folders), or the text alone in the samples' order. Throws
/// Error(kMalformed) naming the first sample without one; samples without a counterpart are left out only by kRenamed.
std::unique_ptr<References> open_references(const std::filesystem::path& data, const Source& source,
                                            const ReferenceOptions& options, const base::Limits& limits);

}  // namespace nibble::data
