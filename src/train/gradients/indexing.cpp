// Operators that read or write at computed places: Gather, GatherElements, GatherND, ScatterElements, ScatterND.
// Indices may count from the end. Where one place is written twice by `reduction` none, neither ONNX nor torch says
// which wins.
#include "train/gradients/gradient.h"

namespace nibble::train {
namespace {

/// Indices of an axis of `length`, those that count from the end made non-negative.
at::Tensor from_front(const at::Tensor& indices, int64_t length) {
  const at::Tensor i = indices.to(at::kLong);
  return at::where(i < 0, i + length, i);
}

/// Places in the first `depth` dimensions after `batch` shared ones, as numbers of rows of the flattened rest.
at::Tensor rows_of(Step& s, const at::Tensor& data, const at::Tensor& indices, int64_t batch) {
  const int64_t depth = indices.size(-1);
  if (batch < 0 || batch + depth > data.dim() || batch >= indices.dim())
    s.unsupported("its indices do not fit its data");
  at::Tensor row = at::zeros(indices.sizes().slice(0, static_cast<size_t>(indices.dim() - 1)), at::kLong);
  for (int64_t d = 0; d < batch; ++d) {
    std::vector<int64_t> along(static_cast<size_t>(row.dim()), 1);
    along[static_cast<size_t>(d)] = data.size(d);
    row = row * data.size(d) + at::arange(data.size(d), at::kLong).reshape(along);
  }
  for (int64_t k = 0; k < depth; ++k) {
    const at::Tensor i = from_front(indices.select(-1, k), data.size(batch + k));
    row = row * data.size(batch + k) + i;
  }
  return row;
}

std::vector<int64_t> sizes_from(const at::Tensor& t, int64_t first) {
  return t.sizes().slice(static_cast<size_t>(first)).vec();
}

/// `base` with `updates` written at `places` of dimension 0 (rows) or `axis` (elements), as `reduction` says.
at::Tensor combined(Step& s, const at::Tensor& base, int64_t axis, const at::Tensor& places,
                    const at::Tensor& updates) {
  const std::string kind = s.node().text("reduction", "none");
  if (kind == "none") return at::scatter(base, axis, places, updates);
  if (kind == "add") return at::scatter_add(base, axis, places, updates);
  s.unsupported("training follows scattering that writes or adds only");
}

}  // namespace

void follow_gather(Step& s) {
  const at::Tensor &x = s.input(0), &indices = s.input(1);
  const int64_t axis = s.axis(s.node().integer("axis", 0), x.dim());
  std::vector<int64_t> shape = x.sizes().slice(0, static_cast<size_t>(axis)).vec();
  for (const auto& size : {indices.sizes().vec(), sizes_from(x, axis + 1)})
    shape.insert(shape.end(), size.begin(), size.end());
  s.output(x.index_select(axis, from_front(indices, x.size(axis)).reshape(-1)).reshape(shape));
}

void follow_gather_elements(Step& s) {
  const at::Tensor& x = s.input(0);
  const int64_t axis = s.axis(s.node().integer("axis", 0), x.dim());
  s.output(x.gather(axis, from_front(s.input(1), x.size(axis))));
}

void follow_gather_nd(Step& s) {
  const at::Tensor &x = s.input(0), &indices = s.input(1);
  const int64_t batch = s.node().integer("batch_dims", 0), first = batch + indices.size(-1);
  const at::Tensor rows = rows_of(s, x, indices, batch);
  std::vector<int64_t> rest = sizes_from(x, first), flat = rest, shape = rows.sizes().vec();
  flat.insert(flat.begin(), -1);
  shape.insert(shape.end(), rest.begin(), rest.end());
  s.output(x.reshape(flat).index_select(0, rows.reshape(-1)).reshape(shape));
}

void follow_scatter_elements(Step& s) {
  const at::Tensor& x = s.input(0);
  const int64_t axis = s.axis(s.node().integer("axis", 0), x.dim());
  s.output(combined(s, x, axis, from_front(s.input(1), x.size(axis)), s.input(2)));
}

void follow_scatter_nd(Step& s) {
  const at::Tensor &x = s.input(0), &indices = s.input(1);
  const at::Tensor rows = rows_of(s, x, indices, 0).reshape({-1, 1});
  int64_t length = 1;
  for (const int64_t size : sizes_from(x, indices.size(-1))) length *= size;
  const at::Tensor updates = s.input(2).reshape({rows.size(0), length});
  s.output(combined(s, x.reshape({-1, length}), 0, rows.expand({rows.size(0), length}), updates).reshape(x.sizes()));
}

}  // namespace nibble::train
