// Reductions over axes, and the places of extremes.
#include <algorithm>
#include <numeric>

#include "train/gradients/gradient.h"

namespace nibble::train {
namespace {

using Reduce = at::Tensor (*)(const at::Tensor& x, at::IntArrayRef axes, bool keep);

/// Reduces over the axes that input 1 names; none: over all, or, where the node says so, every element by itself.
void follow_reduction(Step& s, Reduce reduce) {
  at::Tensor x = s.input(0);
  if (!x.is_floating_point()) s.unsupported("training follows reductions of floats only");
  bool keep = s.node().integer("keepdims", 1) != 0;
  std::vector<int64_t> axes;
  if (s.has(1))
    for (const int64_t a : s.integers(1)) axes.push_back(s.axis(a, x.dim()));
  const bool each = axes.empty() && s.node().integer("noop_with_empty_axes", 0) != 0;
  if (each || x.dim() == 0) {
    x = x.unsqueeze(-1);
    axes = {x.dim() - 1};
    keep = false;
  }
  if (axes.empty()) {
    axes.resize(static_cast<size_t>(x.dim()));
    std::iota(axes.begin(), axes.end(), int64_t{0});
  }
  s.output(reduce(x, axes, keep));
}

void follow_place(Step& s, at::Tensor (*place)(const at::Tensor&, c10::optional<int64_t>, bool)) {
  const at::Tensor x = s.input(0).detach();
  const int64_t axis = s.axis(s.node().integer("axis", 0), x.dim());
  const bool keep = s.node().integer("keepdims", 1) != 0;
  if (s.node().integer("select_last_index", 0) == 0) return s.output(place(x, axis, keep));
  s.output(x.size(axis) - 1 - place(x.flip({axis}), axis, keep));
}

}  // namespace

void follow_reduce_sum(Step& s) {
  follow_reduction(s, [](const at::Tensor& x, at::IntArrayRef axes, bool keep) { return at::sum(x, axes, keep); });
}
void follow_reduce_mean(Step& s) {
  follow_reduction(s, [](const at::Tensor& x, at::IntArrayRef axes, bool keep) { return at::mean(x, axes, keep); });
}
void follow_reduce_max(Step& s) {
  follow_reduction(s, [](const at::Tensor& x, at::IntArrayRef axes, bool keep) { return at::amax(x, axes, keep); });
}
void follow_reduce_min(Step& s) {
  follow_reduction(s, [](const at::Tensor& x, at::IntArrayRef axes, bool keep) { return at::amin(x, axes, keep); });
}
void follow_reduce_prod(Step& s) {
  follow_reduction(s, [](const at::Tensor& x, at::IntArrayRef axes, bool keep) {
    // torch multiplies along one axis at a time; the last first, so that the others keep their numbers.
    std::vector<int64_t> order(axes.begin(), axes.end());
    std::sort(order.rbegin(), order.rend());
    at::Tensor y = x;
    for (const int64_t axis : order) y = at::prod(y, axis, keep);
    return y;
  });
}
void follow_reduce_l1(Step& s) {
  follow_reduction(
      s, [](const at::Tensor& x, at::IntArrayRef axes, bool keep) { return at::sum(at::abs(x), axes, keep); });
}
/// At the origin, where the length has no gradient, it is taken as 0.
void follow_reduce_l2(Step& s) {
  follow_reduction(
      s, [](const at::Tensor& x, at::IntArrayRef axes, bool keep) { return at::linalg_vector_norm(x, 2, axes, keep); });
}
void follow_reduce_sum_square(Step& s) {
  follow_reduction(s, [](const at::Tensor& x, at::IntArrayRef axes, bool keep) { return at::sum(x * x, axes, keep); });
}
void follow_reduce_log_sum(Step& s) {
  follow_reduction(
      s, [](const at::Tensor& x, at::IntArrayRef axes, bool keep) { return at::log(at::sum(x, axes, keep)); });
}
void follow_reduce_log_sum_exp(Step& s) {
  follow_reduction(s,
                   [](const at::Tensor& x, at::IntArrayRef axes, bool keep) { return at::logsumexp(x, axes, keep); });
}

void follow_arg_max(Step& s) { follow_place(s, at::argmax); }
void follow_arg_min(Step& s) { follow_place(s, at::argmin); }

}  // namespace nibble::train
