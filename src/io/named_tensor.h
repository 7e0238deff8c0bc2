#pragma once
#include <string>

#include "tensor/tensor.h"

namespace nibble::io {

/// A tensor as a file has it.
struct NamedTensor {
  std::string name;
  tensor::Tensor tensor;  ///< a view of the mapping; shape outermost first, so a matrix is [rows, columns]
};

}  // namespace nibble::io
