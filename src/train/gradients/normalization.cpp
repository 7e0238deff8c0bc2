// BatchNormalization, with the running statistics or with the slice's own.
#include "train/gradients/gradient.h"

namespace nibble::train {

void follow_batch_normalization(Step& s) {
  const at::Tensor& x = s.input(0);
  const double epsilon = double{s.node().real("epsilon", 1e-5f)};
  if (!s.batch_statistics()) {
    s.output(at::batch_norm(x, s.input(1), s.input(2), s.input(3), s.input(4), false, 0.0, epsilon, false));
    return;
  }
  // With momentum 1 the "running" statistics are those of this slice.
  s.mean = at::zeros({x.size(1)});
  s.variance = at::ones({x.size(1)});
  s.output(at::batch_norm(x, s.input(1), s.input(2), s.mean, s.variance, true, 1.0, epsilon, false));
}

}  // namespace nibble::train
