// Softmax and its like.
#include "train/gradients/gradient.h"

namespace nibble::train {
namespace {

/// The node's axis, and its input with at least one dimension.
at::Tensor rows_of(Step& s, int64_t& axis) {
  const at::Tensor& x = s.input(0);
  axis = s.node().integer("axis", -1);
  if (x.dim() == 0) {
    axis = 0;
    return x.reshape({1});
  }
  axis = s.axis(axis, x.dim());
  return x;
}

}  // namespace

void follow_softmax(Step& s) {
  int64_t axis = 0;
  const at::Tensor x = rows_of(s, axis);
  s.output(at::softmax(x, axis).reshape(s.input(0).sizes()));
}

void follow_log_softmax(Step& s) {
  int64_t axis = 0;
  const at::Tensor x = rows_of(s, axis);
  s.output(at::log_softmax(x, axis).reshape(s.input(0).sizes()));
}

}  // namespace nibble::train
