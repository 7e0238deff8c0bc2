#pragma once
#include <ATen/ATen.h>

#include "tensor/tensor.h"

namespace nibble::train {

/// torch's name of an element type. Throws Error(kUnsupported), at `place`, for those that training does not follow.
at::ScalarType torch_type(tensor::DType dtype, const std::string& place = {});
/// torch's view of a Tensor without Quantization, which it keeps alive. Throws Error(kUnsupported) for element types
/// that torch does not have.
at::Tensor to_torch(const tensor::Tensor& t);
/// A copy in row-major order.
tensor::Tensor from_torch(const at::Tensor& t);

}  // namespace nibble::train
