// Activations and other operators that map every element by itself, with attributes; plain functions of one number are
// in unary.cpp. At a kink the gradient is that of the branch which ops/activations.cpp takes, or, in a Clip, that of
// the inside.
#include "train/gradients/gradient.h"

namespace nibble::train {

void follow_relu(Step& s) { s.output(at::relu(s.input(0))); }

void follow_leaky_relu(Step& s) { s.output(at::leaky_relu(s.input(0), s.number("alpha", 0.01f))); }

void follow_hard_sigmoid(Step& s) {
  s.output(at::clamp(s.input(0) * s.number("alpha", 0.2f) + s.number("beta", 0.5f), 0, 1));
}

void follow_hard_swish(Step& s) { s.output(s.input(0) * at::clamp(s.input(0) / 6 + 0.5, 0, 1)); }

void follow_elu(Step& s) { s.output(at::elu(s.input(0), s.number("alpha", 1.0f))); }

void follow_selu(Step& s) {
  s.output(at::elu(s.input(0), s.number("alpha", 1.67326319217681884765625f),
                   s.number("gamma", 1.05070102214813232421875f)));
}

void follow_celu(Step& s) {
  const double alpha = s.number("alpha", 1.0f);
  if (!(alpha > 0)) s.unsupported("training follows an alpha above 0 only");
  s.output(at::celu(s.input(0), alpha));
}

void follow_thresholded_relu(Step& s) { s.output(at::threshold(s.input(0), s.number("alpha", 1.0f), 0)); }

void follow_shrink(Step& s) {
  const at::Tensor& x = s.input(0);
  const double bias = s.number("bias", 0.0f), lambda = s.number("lambd", 0.5f);
  s.output(at::where(x < -lambda, x + bias, at::where(x > lambda, x - bias, at::zeros_like(x))));
}

void follow_swish(Step& s) { s.output(s.input(0) * at::sigmoid(s.input(0) * s.number("alpha", 1.0f))); }

void follow_gelu(Step& s) { s.output(at::gelu(s.input(0), s.node().text("approximate", "none"))); }

void follow_clip(Step& s) {
  const auto limit = [&](size_t i) -> c10::optional<at::Tensor> {
    if (!s.has(i)) return c10::nullopt;
    return s.input(i).reshape({});
  };
  const auto low = limit(1), high = limit(2);
  s.output(low || high ? at::clamp(s.input(0), low, high) : s.input(0));
}

}  // namespace nibble::train
