#pragma once
#include <vector>

#include "ops/operator.h"

namespace nibble::ops {

/// The shape of two operands combined by the ONNX (numpy) broadcasting rule. Error(kMalformed) when they do not fit.
Shape broadcast_shape(const InferContext& c, const Shape& a, const Shape& b);

/// An output shape with, for each operand, the step in elements along each dimension (0 where it is repeated);
/// neighbouring dimensions that all operands walk through in one stride are merged.
struct BroadcastPlan {
  Shape shape;
  std::vector<int64_t> a_strides, b_strides;
};
BroadcastPlan plan_broadcast(const Shape& out, const Shape& a, const Shape& b);

}  // namespace nibble::ops
