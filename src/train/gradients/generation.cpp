// Operators that make tensors from sizes and places: ConstantOfShape, Range, OneHot, Trilu. And Cast.
#include <algorithm>
#include <cmath>

#include "ops/numbers.h"
#include "train/gradients/gradient.h"
#include "train/module/tensors.h"

namespace nibble::train {

void follow_constant_of_shape(Step& s) {
  const auto it = s.node().attributes.find("value");
  const auto* value = it == s.node().attributes.end() ? nullptr : std::get_if<tensor::Tensor>(&it->second);
  const at::Tensor one = value ? to_torch(*value).reshape({}) : at::scalar_tensor(0.0f, at::kFloat);
  s.output(one.expand(s.integers(0)).clone());
}

/// start + i * delta for ceil((limit - start) / delta) numbers.
void follow_range(Step& s) {
  const at::Tensor start = s.input(0).detach().reshape({}), delta = s.input(2).detach().reshape({});
  const double from = start.item<double>(), step = delta.item<double>();
  const double count = std::ceil((s.input(1).detach().reshape({}).item<double>() - from) / step);
  if (step == 0 || !(count < 1e9)) s.unsupported("its numbers do not end");
  s.output(start +
           at::arange(std::max<int64_t>(0, static_cast<int64_t>(count)), at::kLong).to(start.scalar_type()) * delta);
}

/// Values at the indices; one outside [-depth, depth) sets none.
void follow_one_hot(Step& s) {
  const at::Tensor& values = s.input(2);
  const auto depth = s.input(1).reshape({}).item<int64_t>();
  const int64_t axis = s.axis(s.node().integer("axis", -1), s.input(0).dim() + 1);
  at::Tensor i = s.input(0).to(at::kLong).unsqueeze(axis);
  i = at::where(i < 0, i + depth, i);
  std::vector<int64_t> along(static_cast<size_t>(i.dim()), 1);
  along[static_cast<size_t>(axis)] = depth;
  const at::Tensor on = i == at::arange(depth, at::kLong).reshape(along);
  s.output(at::where(on, values.select(0, 1), values.select(0, 0)));
}

void follow_trilu(Step& s) {
  const int64_t k = s.has(1) ? s.integers(1).at(0) : 0;
  s.output(s.node().integer("upper", 1) != 0 ? at::triu(s.input(0), k) : at::tril(s.input(0), k));
}

void follow_cast(Step& s) {
  const tensor::DType to = ops::read_dtype(s.node(), "to", tensor::DType::f32);
  s.output(s.input(0).to(torch_type(to, s.node().describe())));
}
void follow_cast_like(Step& s) { s.output(s.input(0).to(s.input(1).scalar_type())); }

}  // namespace nibble::train
