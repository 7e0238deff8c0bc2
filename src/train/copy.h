#pragma once
#include <algorithm>

#include "tensor/tensor.h"

namespace nibble::train {

/// The same elements in memory of their own: what a step changes in place must not be a Graph's or a file's.
inline tensor::Tensor copy_of(const tensor::Tensor& t) {
  tensor::Tensor copy(t.dtype(), t.shape(), true);
  const base::Bytes from = t.bytes();
  std::copy(from.begin(), from.end(), copy.mutable_bytes().begin());
  return copy;
}

inline void fill(tensor::Tensor& floats, float value) {
  std::fill_n(floats.mutable_values<float>().data(), floats.elements(), value);
}

}  // namespace nibble::train
