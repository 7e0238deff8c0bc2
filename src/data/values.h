#pragma once
#include <string>

#include "tensor/tensor.h"

namespace nibble::data {

/// Any numeric tensor as float32, each value rounded to nearest. Throws Error(kMalformed) naming `place` and the index
/// of the first value that is NaN or infinite.
tensor::Tensor to_f32(const tensor::Tensor& tensor, const std::string& place);

/// Any numeric tensor in the element type that a network's input has. To floats as to_f32; to whole numbers and
/// booleans only what they can hold exactly, else Error(kUnsupported) naming the first value that does not fit.
tensor::Tensor to_dtype(const tensor::Tensor& tensor, tensor::DType dtype, const std::string& place);

}  // namespace nibble::data
