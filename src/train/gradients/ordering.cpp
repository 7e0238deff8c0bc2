// Operators that walk along one axis in order: CumSum, TopK.
#include "train/gradients/gradient.h"

namespace nibble::train {

void follow_cumsum(Step& s) {
  const at::Tensor& x = s.input(0);
  const int64_t axis = s.axis(s.integers(1).at(0), x.dim());
  const bool reverse = s.node().integer("reverse", 0) != 0;
  at::Tensor y = at::cumsum(reverse ? x.flip({axis}) : x, axis, x.scalar_type());
  if (s.node().integer("exclusive", 0) != 0) {
    // One place later, behind a 0.
    std::vector<int64_t> pads(static_cast<size_t>(2 * (x.dim() - axis)), 0);
    pads[pads.size() - 2] = 1;
    pads[pads.size() - 1] = -1;
    y = at::constant_pad_nd(y, pads);
  }
  s.output(reverse ? y.flip({axis}) : y);
}

void follow_top_k(Step& s) {
  const at::Tensor& x = s.input(0);
  const int64_t axis = s.axis(s.node().integer("axis", -1), x.dim()), k = s.integers(1).at(0);
  // A stable order, as ONNX wants it for equal values.
  const auto sorted = at::sort(x, true, axis, s.node().integer("largest", 1) != 0);
  s.output(std::get<0>(sorted).narrow(axis, 0, k));
  if (s.wants(1)) s.output(std::get<1>(sorted).narrow(axis, 0, k), 1);
}

}  // namespace nibble::train
