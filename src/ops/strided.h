#pragma once
#include <vector>

#include "ops/element_types.h"

namespace nibble::ops {

/// Bytes of an element of `t`; Error(kUnsupported) for types of less than 8 bits.
int64_t bytes_an_element(const RunContext& c, const Tensor& t);

/// Steps in elements along each dimension of a row-major tensor.
std::vector<int64_t> row_major_strides(const Shape& shape);

/// Copies `y` of `shape` from `x`: a step along dimension d of y is strides[d] elements of x. Elements are opaque, of
/// 1, 2, 4 or 8 bytes; a scalar is one element.
void gather_bytes(int64_t size, const std::byte* x, std::byte* y, Shape shape, std::vector<int64_t> strides,
                  base::ThreadPool& pool);

}  // namespace nibble::ops
