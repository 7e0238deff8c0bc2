#pragma once
#include <cstdint>
#include <memory>

#include "tensor/tensor.h"

namespace nibble::runtime {

/// Memory of activations, used again once the last Tensor that holds it is gone. Outlives its owner as long as Tensors
/// do.
class BufferPool {
 public:
  /// At most `limit` bytes in use at a time; beyond, Error(kLimit).
  explicit BufferPool(int64_t limit);

  /// An uninitialised tensor of that type and shape.
  tensor::Tensor allocate(tensor::DType dtype, tensor::Shape shape);
  /// Most bytes that were in use at one time.
  int64_t peak_bytes() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace nibble::runtime
