#pragma once
#include <string>

#include "tensor/tensor.h"

namespace nibble::data {

/// Any numeric tensor as float32, each value rounded to nearest. Throws Error(kMalformed) naming `place` and the index
/// of the first value that is NaN or infinite.
tensor::Tensor to_f32(const tensor::Tensor& tensor, const std::string& place);

}  // namespace nibble::data
