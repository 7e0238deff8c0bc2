#pragma once
#include <string>

#include "ops/window.h"

namespace nibble::ops {

/// Everything that is fixed about one convolution once shapes are known. Two-dimensional with `channels_last`
/// (activations [N,H,W,C]) or any rank with channels second.
struct ConvShape {
  bool channels_last = false;
  int64_t batch = 0, in_channels = 0, out_channels = 0, groups = 1;
  Window window;

  /// Multiply-adds of one sample.
  int64_t macs() const;
};

/// Inference shared by the float and the integer convolution: attributes of ONNX Conv, and `channels_last` = 1 in the
/// Session's own form. Input `x`, weight `w` [O, C/g, k...].
ConvShape read_convolution(const Node& node, const Shape& x, const Shape& w);
/// Output shape of the same.
Shape output_shape(const ConvShape& conv);

/// What follows a product in the Session's fused operators.
enum class Activation : uint8_t { kNone, kRelu, kLeakyRelu, kClip };
struct FusedActivation {
  Activation kind = Activation::kNone;
  float alpha = 0, low = 0, high = 0;

  float operator()(float x) const {
    switch (kind) {
      case Activation::kNone:
        return x;
      case Activation::kRelu:
        return x > 0 ? x : 0.0f;
      case Activation::kLeakyRelu:
        return x < 0 ? alpha * x : x;
      case Activation::kClip:
        return x < low ? low : (x > high ? high : x);
    }
    return x;
  }
};
/// From the attributes activation ("Relu", "LeakyRelu", "Clip"), alpha, low, high.
FusedActivation read_activation(const Node& node);

}  // namespace nibble::ops
