// Normalizations by statistics of the input itself.
#include "train/gradients/gradient.h"

namespace nibble::train {
namespace {

/// [channels] against [n, channels, ...].
at::Tensor by_channel(const at::Tensor& t, int64_t rank) {
  std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
  shape[1] = t.numel();
  return t.reshape(shape);
}

/// The dimensions from `axis` on.
std::vector<int64_t> row_axes(Step& s, const at::Tensor& x) {
  std::vector<int64_t> axes;
  for (int64_t d = s.axis(s.node().integer("axis", -1), x.dim()); d < x.dim(); ++d) axes.push_back(d);
  return axes;
}

void follow_groups(Step& s, int64_t groups) {
  const at::Tensor& x = s.input(0);
  const double epsilon = s.number("epsilon", 1e-5f);
  const at::Tensor rows = x.reshape({x.size(0), groups, -1});
  const at::Tensor centred = rows - rows.mean({2}, true);
  const at::Tensor factor = at::rsqrt((centred * centred).mean({2}, true) + epsilon);
  s.output((centred * factor).reshape(x.sizes()) * by_channel(s.input(1), x.dim()) + by_channel(s.input(2), x.dim()));
}

}  // namespace

void follow_instance_normalization(Step& s) { follow_groups(s, s.input(0).size(1)); }
void follow_group_normalization(Step& s) { follow_groups(s, s.node().integer("num_groups", 1)); }

void follow_layer_normalization(Step& s) {
  const at::Tensor& x = s.input(0);
  const auto axes = row_axes(s, x);
  const at::Tensor mean = x.mean(axes, true), centred = x - mean;
  const at::Tensor factor = at::rsqrt((centred * centred).mean(axes, true) + s.number("epsilon", 1e-5f));
  const at::Tensor y = centred * factor * s.input(1);
  s.output(s.has(2) ? y + s.input(2) : y);
  if (s.wants(1)) s.output(mean, 1);
  if (s.wants(2)) s.output(factor, 2);
}

void follow_rms_normalization(Step& s) {
  const at::Tensor& x = s.input(0);
  s.output(x * at::rsqrt((x * x).mean(row_axes(s, x), true) + s.number("epsilon", 1e-5f)) * s.input(1));
}

}  // namespace nibble::train
