#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/limits.h"
#include "io/onnx/read.h"
#include "io/onnx/wire.h"
#include "tensor/tensor.h"

namespace nibble::onnx {
class TensorProto;
}

namespace nibble::io::onnx {

/// What a file uses and nibble does not support, collected so that all of it is named at once.
class Unsupported {
 public:
  void add(const std::string& what) { ++counts_[what]; }
  /// Throws Error(kUnsupported) naming everything that was added, with counts; nothing was added: returns.
  void fail_if_any(const std::string& place) const;

 private:
  std::map<std::string, int64_t> counts_;
};

/// Turns TensorProto messages into Tensors that view the file.
class TensorReader {
 public:
  /// `spans` are those of the wire pass, kept alive by `owner`; `directory` is where external data lies, empty where
  /// there is no file and external data is refused.
  TensorReader(std::vector<base::Bytes> spans, std::shared_ptr<const void> owner,
               std::optional<std::filesystem::path> directory, const base::Limits& limits, Notes& notes)
      : spans_(std::move(spans)),
        owner_(std::move(owner)),
        directory_(std::move(directory)),
        limits_(limits),
        notes_(notes) {}

  /// The tensor, or an absent one when its kind is not supported (which is added to `unsupported`). Throws
  /// Error(kMalformed) naming `place` for anything inconsistent.
  tensor::Tensor read(const nibble::onnx::TensorProto& proto, const std::string& place, Unsupported& unsupported);

  /// The mapping that the spans lie in, where they lie in one: pages of tensors that had to be copied are given back.
  void spans_are_mapped(std::shared_ptr<const base::MappedFile> mapping) { mapping_ = std::move(mapping); }

  /// Throws Error(kMalformed) when two tensors share bytes of an external file.
  void check_external_overlap() const;

 private:
  struct Span {
    uint64_t begin, end;
    std::string tensor;
  };
  tensor::Tensor external(const nibble::onnx::TensorProto& proto, tensor::DType dtype, tensor::Shape shape, size_t size,
                          const std::string& place);

  std::vector<base::Bytes> spans_;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<const base::MappedFile> mapping_;
  std::optional<std::filesystem::path> directory_;
  const base::Limits& limits_;
  Notes& notes_;
  std::map<std::string, std::shared_ptr<const base::MappedFile>> files_;
  std::map<std::string, std::vector<Span>> external_spans_;
};

}  // namespace nibble::io::onnx
