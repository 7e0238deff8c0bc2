// Comparisons and logic, which have no gradient, and the choice that they make.
#include "train/gradients/gradient.h"

namespace nibble::train {

#define NIBBLE_FOLLOW(function, torch_function) \
  void follow_##function(Step& s) { s.output(torch_function(s.input(0), s.input(1))); }
NIBBLE_FOLLOW(equal, at::eq)
NIBBLE_FOLLOW(less, at::lt)
NIBBLE_FOLLOW(less_or_equal, at::le)
NIBBLE_FOLLOW(greater, at::gt)
NIBBLE_FOLLOW(greater_or_equal, at::ge)
NIBBLE_FOLLOW(logical_and, at::logical_and)
NIBBLE_FOLLOW(logical_or, at::logical_or)
NIBBLE_FOLLOW(logical_xor, at::logical_xor)
#undef NIBBLE_FOLLOW

void follow_where(Step& s) { s.output(at::where(s.input(0), s.input(1), s.input(2))); }

}  // namespace nibble::train
