#pragma once
#include <string>
#include <vector>

#include "ops/operator.h"

namespace nibble::ops {

/// Every element as a double, exact for all types but 64-bit integers above 2^53.
std::vector<double> decode_numbers(const Tensor& t);

/// The reverse, rounding to nearest, ties to even, into float types (8-bit floats saturate when `saturate`, else give
/// NaN or infinity; E2M1 saturates; E8M0 by `rounding`: up, down or nearest); integers are truncated toward zero and
/// wrap as C++ conversions of in-range values.
Tensor encode_numbers(DType dtype, Shape shape, std::span<const double> values, bool saturate,
                      const std::string& rounding = "up");

/// The element type named by an attribute. by its ONNX number; `fallback` where it is absent or 0.
DType read_dtype(const Node& node, const std::string& attribute, DType fallback);

}  // namespace nibble::ops
