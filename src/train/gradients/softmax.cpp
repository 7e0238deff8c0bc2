// Softmax and its like.
#include "train/gradients/gradient.h"

namespace nibble::train {

const Gradient& softmax_gradient() {
  static const Gradient g{"Softmax", "",
                          [](Step& s) { s.output(at::softmax(s.input(0), s.node().integer("axis", -1))); }};
  return g;
}

}  // namespace nibble::train
