#pragma once
#include "ops/operator.h"

namespace nibble::ops {

/// A matrix product with leading dimensions, as numpy.matmul defines it: one-dimensional operands are promoted.
struct MatmulShape {
  int64_t rows = 1, inner = 1, columns = 1;
  Shape out;    ///< with promoted dimensions removed again
  Shape batch;  ///< leading dimensions after broadcasting
  Shape a_batch, b_batch;
};
/// Error(kMalformed) where the inner dimensions differ. Sizes may be unknown.
MatmulShape read_matmul(const InferContext& c, Shape a, Shape b);

}  // namespace nibble::ops
