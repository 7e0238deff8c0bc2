#pragma once
#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace nibble::kernels {

/// Stored weights as float32, and the product of a row with a vector: the inner loops of language models.
struct DecodeRows {
  const char* name;  ///< the instruction set: "generic", "avx2"
  bool (*available)();
  /// `count` consecutive values stored as `dtype` from `bytes` on, whole blocks: bit for bit those of
  /// codec::decode_range. False where this implementation does not have the dtype; nothing is written then.
  bool (*decode)(tensor::DType dtype, const uint8_t* bytes, int64_t count, float* values);
  /// Sum of a[i] * b[i]. The order of the sum is each implementation's own, and always the same.
  float (*dot)(const float* a, const float* b, int64_t count);
};

/// Every implementation that was built, the plain one last; some may not be available() here.
std::span<const DecodeRows* const> all_decode_rows();
/// The first available one.
const DecodeRows& decode_rows();

/// codec::decode_range by the fastest implementation that has the tensor's dtype.
void decode_values(const tensor::Tensor& t, int64_t start, int64_t count, float* values);

}  // namespace nibble::kernels
