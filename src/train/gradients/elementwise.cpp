// Operators that work element by element, after broadcasting.
#include "train/gradients/gradient.h"

namespace nibble::train {

const Gradient& relu_gradient() {
  static const Gradient g{"Relu", "", [](Step& s) { s.output(at::relu(s.input(0))); }};
  return g;
}
const Gradient& add_gradient() {
  static const Gradient g{"Add", "", [](Step& s) { s.output(s.input(0) + s.input(1)); }};
  return g;
}

}  // namespace nibble::train
