// Operators that look at the same elements under another shape, or pass them on; and the sizes of a tensor.
#include <algorithm>
#include <functional>
#include <numeric>

#include "train/gradients/gradient.h"

namespace nibble::train {

void follow_identity(Step& s) { s.output(s.input(0)); }

/// The form of evaluation: everything passes.
void follow_dropout(Step& s) {
  if (s.has(2) && s.input(2).item<bool>()) s.unsupported("its training_mode is true; training keeps every value");
  s.output(s.input(0));
  if (s.wants(1)) s.output(at::ones(s.input(0).sizes(), at::kBool), 1);
}

/// ONNX's target shape: 0 keeps a size (unless `allowzero`), -1 takes what is left.
void follow_reshape(Step& s) {
  std::vector<int64_t> shape = s.integers(1);
  const at::Tensor& x = s.input(0);
  for (size_t d = 0; d < shape.size(); ++d)
    if (shape[d] == 0 && s.node().integer("allowzero", 0) == 0) {
      if (static_cast<int64_t>(d) >= x.dim()) s.unsupported("its shape keeps a size that its input does not have");
      shape[d] = x.size(static_cast<int64_t>(d));
    }
  s.output(x.reshape(shape));
}

void follow_flatten(Step& s) {
  const at::Tensor& x = s.input(0);
  int64_t axis = s.node().integer("axis", 1);
  if (axis < 0) axis += x.dim();
  const auto sizes = x.sizes();
  const int64_t rows = std::accumulate(sizes.begin(), sizes.begin() + axis, int64_t{1}, std::multiplies<>());
  s.output(x.reshape({rows, rows ? x.numel() / rows : 0}));
}

void follow_squeeze(Step& s) {
  const at::Tensor& x = s.input(0);
  std::vector<bool> drop(static_cast<size_t>(x.dim()));
  for (int64_t d = 0; d < x.dim(); ++d) drop[static_cast<size_t>(d)] = !s.has(1) && x.size(d) == 1;
  if (s.has(1))
    for (const int64_t a : s.integers(1)) drop[static_cast<size_t>(s.axis(a, x.dim()))] = true;
  std::vector<int64_t> shape;
  for (int64_t d = 0; d < x.dim(); ++d)
    if (!drop[static_cast<size_t>(d)]) shape.push_back(x.size(d));
  s.output(x.reshape(shape));
}

void follow_unsqueeze(Step& s) {
  const at::Tensor& x = s.input(0);
  std::vector<int64_t> axes = s.integers(1);
  const int64_t rank = x.dim() + static_cast<int64_t>(axes.size());
  for (int64_t& a : axes) a = s.axis(a, rank);
  std::vector<int64_t> shape(x.sizes().begin(), x.sizes().end());
  std::sort(axes.begin(), axes.end());
  for (const int64_t a : axes) shape.insert(shape.begin() + a, 1);
  s.output(x.reshape(shape));
}

void follow_shape(Step& s) {
  const at::Tensor& x = s.input(0);
  const auto place = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + x.dim() : v, 0, x.dim()); };
  const int64_t start = place(s.node().integer("start", 0)), end = place(s.node().integer("end", x.dim()));
  std::vector<int64_t> sizes;
  for (int64_t d = start; d < end; ++d) sizes.push_back(x.size(d));
  s.output(at::tensor(sizes, at::kLong));
}

void follow_size(Step& s) { s.output(at::scalar_tensor(s.input(0).numel(), at::kLong)); }

}  // namespace nibble::train
