#pragma once
#include <vector>

#include "ops/operator.h"

namespace nibble::ops {

/// The sliding window of a convolution or pooling over the spatial dimensions (everything after batch and channels).
struct Window {
  std::vector<int64_t> kernel, strides, dilations, pads_begin, pads_end;
  std::vector<int64_t> in, out;  ///< spatial sizes; kUnknown where not known

  size_t dims() const { return kernel.size(); }
};

/// Reads kernel_shape, strides, dilations, pads and auto_pad and computes the output sizes (rounded up with
/// `ceil_mode`, ONNX's rule that a window may not start in the right padding included). `kernel` is the weight's
/// spatial shape, used where the attribute is absent. Error(kMalformed) for lengths that disagree with the rank,
/// non-positive strides, and windows larger than their input.
Window read_window(const Node& node, const std::vector<int64_t>& in, const std::vector<int64_t>& kernel,
                   bool ceil_mode);

}  // namespace nibble::ops
