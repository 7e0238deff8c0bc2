#pragma once
#include <ATen/ATen.h>

#include "tensor/tensor.h"

namespace nibble::train {

/// torch's view of a Tensor without Quantization, which it keeps alive. Throws Error(kUnsupported) for element types
/// that torch does not have.
at::Tensor to_torch(const tensor::Tensor& t);
/// A copy in row-major order.
tensor::Tensor from_torch(const at::Tensor& t);

}  // namespace nibble::train
