#pragma once
#include "tensor/tensor.h"

namespace nibble::codec {
struct NumberFormat;
}

namespace nibble::tensor {

/// What the codes of a quantized Tensor stand for:
///
///     real = scale * (level(code) - zero) + offset
///
/// where level() is the format's table (for int4 and uint4 the code itself). The codes lie in row-major order of
/// `code_shape`, which holds the same elements as the tensor's own shape (a convolution's weight that is grouped along
/// its flattened reduction axis has code_shape [O, C/g*kH*kW]).
///
/// Granularity follows from the scale's shape, as in ONNX DequantizeLinear: a scalar is per tensor; one dimension of
/// length code_shape[axis] is per channel; the rank of code_shape with dimension ceil(code_shape[axis]/block) at `axis`
/// is per group of `block` elements along `axis` (the last group may be shorter).
struct Quantization {
  const codec::NumberFormat* format = nullptr;
  Shape code_shape;
  int64_t axis = 0;
  int64_t block = 0;          ///< 0 unless grouped
  Tensor scale;               ///< f32, f16, f8e8m0 or f8e4m3, as stored
  Tensor zero;                ///< absent, or the codes' dtype in the scale's shape
  Tensor offset;              ///< absent, or f32 in the scale's shape (the `minmax` map's minimum)
  float tensor_scale = 1.0f;  ///< second-level factor (NVFP4), else 1
};

}  // namespace nibble::tensor
