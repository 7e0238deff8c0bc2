// Arithmetic of two or more operands with numpy broadcasting, of floats and of the integers that shapes are computed
// with: these are divided toward zero.
#include "train/gradients/gradient.h"

namespace nibble::train {
namespace {

bool is_whole(const at::Tensor& t) { return !t.is_floating_point(); }

/// Any number of operands, taken in pairs from the left.
template <typename F>
at::Tensor folded(Step& s, F f) {
  at::Tensor y = s.input(0);
  for (size_t i = 1; i < s.input_count(); ++i) y = f(y, s.input(i));
  return y;
}

}  // namespace

void follow_add(Step& s) { s.output(s.input(0) + s.input(1)); }
void follow_sub(Step& s) { s.output(s.input(0) - s.input(1)); }
void follow_mul(Step& s) { s.output(s.input(0) * s.input(1)); }

void follow_div(Step& s) {
  s.output(is_whole(s.input(0)) ? at::div(s.input(0), s.input(1), "trunc") : s.input(0) / s.input(1));
}

void follow_mod(Step& s) {
  s.output(s.node().integer("fmod", 0) != 0 ? at::fmod(s.input(0), s.input(1)) : at::remainder(s.input(0), s.input(1)));
}

void follow_pow(Step& s) {
  const at::Tensor &base = s.input(0), &exponent = s.input(1);
  if (is_whole(base)) s.unsupported("training follows powers of floats only");
  s.output(at::pow(base, exponent.to(base.scalar_type())));
}

/// Where several operands are the largest they share the gradient.
void follow_max(Step& s) {
  s.output(folded(s, [](const at::Tensor& a, const at::Tensor& b) { return at::maximum(a, b); }));
}
void follow_min(Step& s) {
  s.output(folded(s, [](const at::Tensor& a, const at::Tensor& b) { return at::minimum(a, b); }));
}
void follow_sum(Step& s) {
  s.output(folded(s, [](const at::Tensor& a, const at::Tensor& b) { return a + b; }));
}
void follow_mean(Step& s) {
  if (is_whole(s.input(0))) s.unsupported("training follows means of floats only");
  s.output(folded(s, [](const at::Tensor& a, const at::Tensor& b) { return a + b; }) /
           static_cast<double>(s.input_count()));
}

void follow_prelu(Step& s) {
  const at::Tensor& x = s.input(0);
  s.output(at::where(x < 0, x * s.input(1), x));
}

}  // namespace nibble::train
