#pragma once
#include <string>
#include <vector>

#include "base/file.h"
#include "io/gguf/metadata.h"
#include "tensor/tensor.h"

namespace nibble::io::gguf {

/// A tensor that a file will hold.
struct TensorInfo {
  std::string name;
  tensor::DType dtype = tensor::DType::f32;
  tensor::Shape shape;  ///< outermost first
};

/// Writes GGUF version 3, little-endian, alignment 32: what llama.cpp writes. Tensors follow in the order announced,
/// each in as many pieces as the caller likes, so that nothing larger than a piece need be in memory.
class Writer {
 public:
  /// Writes everything before the data. Throws Error(kUnsupported) for names longer than 63 bytes, more than 4
  /// dimensions, rows that are not whole blocks, or dtypes that GGUF has no number for.
  Writer(base::AtomicFile& file, const Metadata& metadata, std::vector<TensorInfo> tensors);

  /// The next bytes of the current tensor.
  void append(base::Bytes bytes);
  /// Ends the current tensor, which must be complete, and pads it.
  void end_tensor();

 private:
  base::AtomicFile& file_;
  std::vector<TensorInfo> tensors_;
  size_t at_ = 0;
  uint64_t written_ = 0;  ///< of the current tensor
};

/// Bytes of the file that a Writer would make.
uint64_t file_size(const Metadata& metadata, const std::vector<TensorInfo>& tensors);

}  // namespace nibble::io::gguf
