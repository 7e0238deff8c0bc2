#pragma once
#include <vector>

#include "ops/operator.h"

namespace nibble::ops {

/// The shape of two operands combined by the ONNX (numpy) broadcasting rule. Error(kMalformed) when they do not fit.
Shape broadcast_shape(const InferContext& c, const Shape& a, const Shape& b);

/// Output 0 is the broadcast of inputs 0 and 1, which have the same element type, with elements of `dtype`.
void infer_broadcast(InferContext& c, DType dtype);
/// The same for all inputs, of which `first` to the last take part; Error(kMalformed) when their types differ.
void infer_broadcast_of_all(InferContext& c, size_t first = 0);

/// Strides in elements of a row-major `shape`, aligned to the right of a shape of rank `rank`; 0 where it is repeated.
std::vector<int64_t> repeated_strides(const Shape& shape, size_t rank);

/// An output shape with, for each operand, the step in elements along each dimension (0 where it is repeated);
/// neighbouring dimensions that all operands walk through in one stride are merged.
struct BroadcastPlan {
  Shape shape;
  std::vector<int64_t> a_strides, b_strides;
};
BroadcastPlan plan_broadcast(const Shape& out, const Shape& a, const Shape& b);

}  // namespace nibble::ops
