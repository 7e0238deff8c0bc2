#pragma once
#include "tensor/tensor.h"

namespace nibble::codec {

/// Elements [start, end) of a tensor of f32, f16, bf16, f64 or 8-bit floats, as f32.
void convert_plain(const tensor::Tensor& t, int64_t start, int64_t end, float* out);

}  // namespace nibble::codec
