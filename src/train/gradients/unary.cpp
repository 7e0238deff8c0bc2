// Functions of one number, applied to every element by itself; one line a function. Steps (Sign, Floor, Ceil, Round)
// have the gradient 0 that they have wherever they have one.
#include "train/gradients/gradient.h"

namespace nibble::train {

#define NIBBLE_FOLLOW(function, expression) \
  void follow_##function(Step& s) {         \
    const at::Tensor& x = s.input(0);       \
    s.output(expression);                   \
  }
NIBBLE_FOLLOW(sigmoid, at::sigmoid(x))
NIBBLE_FOLLOW(tanh, at::tanh(x))
NIBBLE_FOLLOW(exp, at::exp(x))
NIBBLE_FOLLOW(log, at::log(x))
NIBBLE_FOLLOW(sqrt, at::sqrt(x))
NIBBLE_FOLLOW(neg, at::neg(x))
NIBBLE_FOLLOW(abs, at::abs(x))
NIBBLE_FOLLOW(sign, at::sign(x))
NIBBLE_FOLLOW(floor, at::floor(x))
NIBBLE_FOLLOW(ceil, at::ceil(x))
NIBBLE_FOLLOW(round, at::round(x))
NIBBLE_FOLLOW(reciprocal, at::reciprocal(x))
NIBBLE_FOLLOW(sin, at::sin(x))
NIBBLE_FOLLOW(cos, at::cos(x))
NIBBLE_FOLLOW(tan, at::tan(x))
NIBBLE_FOLLOW(asin, at::asin(x))
NIBBLE_FOLLOW(acos, at::acos(x))
NIBBLE_FOLLOW(atan, at::atan(x))
NIBBLE_FOLLOW(sinh, at::sinh(x))
NIBBLE_FOLLOW(cosh, at::cosh(x))
NIBBLE_FOLLOW(asinh, at::asinh(x))
NIBBLE_FOLLOW(acosh, at::acosh(x))
NIBBLE_FOLLOW(atanh, at::atanh(x))
NIBBLE_FOLLOW(erf, at::erf(x))
NIBBLE_FOLLOW(softplus, at::softplus(x))
NIBBLE_FOLLOW(softsign, x / (1 + at::abs(x)))
NIBBLE_FOLLOW(mish, at::mish(x))
NIBBLE_FOLLOW(is_nan, at::isnan(x))
NIBBLE_FOLLOW(logical_not, at::logical_not(x))
#undef NIBBLE_FOLLOW

}  // namespace nibble::train
