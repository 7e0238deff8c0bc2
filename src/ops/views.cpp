// Operators that look at the same bytes under another shape, or pass them on.
#include "ops/element_types.h"

namespace nibble::ops {
namespace {

/// The output is the input under the output's inferred shape.
void run_view(RunContext& c) { c.output(0) = c.input(0).reshaped(c.output(0).shape()); }

void infer_dropout(InferContext& c) {
  const Tensor* training = c.data(2);
  if (training) c.require(training->dtype() == DType::boolean, "its training_mode must be a truth value");
  if (training && training->elements() == 1 && training->values<uint8_t>()[0] != 0)
    c.unsupported("training_mode is true; nibble runs trained networks");
  infer_same(c);
  if (c.output_count() > 1) {
    if (c.shape_known(0))
      c.output(1, DType::boolean, c.shape(0));
    else
      c.output_of_unknown_rank(1, DType::boolean);
  }
}
void run_dropout(RunContext& c) {
  if (c.wants(1)) {
    auto mask = c.output(1).mutable_bytes();
    std::fill(mask.begin(), mask.end(), std::byte{1});
  }
  run_view(c);
}

/// Replaces 0 (unless allowzero) and -1 in a requested shape. Unknown input sizes leave kUnknown.
void infer_reshape(InferContext& c) {
  const Tensor* wanted = c.data(1);
  if (!wanted) {
    if (c.shape_known(1) && c.shape(1).size() == 1 && c.shape(1)[0] != kUnknown)
      return c.output(0, c.dtype(0), Shape(static_cast<size_t>(c.shape(1)[0]), kUnknown));
    return c.output_of_unknown_rank(0, c.dtype(0));
  }
  c.require(wanted->dtype() == DType::i64 && wanted->rank() <= 1, "its shape input must be a list of 64-bit integers");
  Shape shape = integers_of(*wanted);
  const bool allow_zero = c.node().integer("allowzero", 0) != 0;
  const bool known = c.shape_known(0);
  int64_t open = -1;
  for (size_t d = 0; d < shape.size(); ++d) {
    c.require(shape[d] >= -1, "asks for a dimension of " + std::to_string(shape[d]));
    if (shape[d] == 0 && !allow_zero) {
      c.require(!known || d < c.shape(0).size(),
                "keeps dimension " + std::to_string(d) + ", which its input does not have");
      shape[d] = known ? c.shape(0)[d] : kUnknown;
      continue;
    }
    if (shape[d] != -1) continue;
    c.require(open < 0, "leaves more than one dimension open");
    open = static_cast<int64_t>(d);
  }
  const int64_t total = known ? element_count(c.shape(0)) : kUnknown;
  if (open >= 0) {
    int64_t others = 1;
    bool unknown = total == kUnknown;
    for (size_t d = 0; d < shape.size(); ++d) {
      if (static_cast<int64_t>(d) == open) continue;
      if (shape[d] == kUnknown)
        unknown = true;
      else if (__builtin_mul_overflow(others, shape[d], &others))
        c.malformed("asks for a shape that is too large");
    }
    if (!unknown) {
      c.require(others != 0 && total % others == 0,
                "cannot bring " + std::to_string(total) + " elements into shape " + to_string(integers_of(*wanted)));
      shape[static_cast<size_t>(open)] = total / others;
    } else if (known && others == 1) {
      // Only unknown sizes remain: when exactly the same ones are kept elsewhere the open one follows from the rest.
      int64_t known_in = 1, unknown_in = 0, unknown_out = 0;
      for (const int64_t s : c.shape(0)) s == kUnknown ? void(++unknown_in) : void(known_in *= s);
      for (size_t d = 0; d < shape.size(); ++d)
        if (static_cast<int64_t>(d) != open && shape[d] == kUnknown) ++unknown_out;
      shape[static_cast<size_t>(open)] = unknown_in == 1 && unknown_out == 1 ? known_in : kUnknown;
    }
  } else if (total != kUnknown && is_known(shape)) {
    int64_t count = 1;
    for (const int64_t s : shape)
      if (__builtin_mul_overflow(count, s, &count)) c.malformed("asks for a shape that is too large");
    c.require(count == total, "cannot bring " + std::to_string(total) + " elements into shape " + to_string(shape));
  }
  c.output(0, c.dtype(0), shape);
}

void infer_flatten(InferContext& c) {
  if (!c.shape_known(0)) return c.output(0, c.dtype(0), {kUnknown, kUnknown});
  const Shape& x = c.shape(0);
  const int64_t rank = static_cast<int64_t>(x.size());
  int64_t axis = c.node().integer("axis", 1);
  c.require(axis >= -rank && axis <= rank, "axis " + std::to_string(axis) + " is out of range");
  if (axis < 0) axis += rank;
  c.output(0, c.dtype(0), {element_count({x.begin(), x.begin() + axis}), element_count({x.begin() + axis, x.end()})});
}

/// The axes input of Squeeze and Unsqueeze as sorted positions in a shape of rank `rank`.
std::vector<bool> marked_axes(const InferContext& c, const Tensor& axes, int64_t rank) {
  std::vector<bool> marked(static_cast<size_t>(rank), false);
  c.require(axes.dtype() == DType::i64, "its axes must be 64-bit integers");
  for (const int64_t a : axes.values<int64_t>()) {
    const auto axis = static_cast<size_t>(checked_axis(c, a, rank));
    c.require(!marked[axis], "axis " + std::to_string(a) + " is named twice");
    marked[axis] = true;
  }
  return marked;
}

void infer_squeeze(InferContext& c) {
  if (!c.shape_known(0) || (c.has(1) && !c.data(1))) return c.output_of_unknown_rank(0, c.dtype(0));
  const Shape& x = c.shape(0);
  Shape shape;
  if (c.has(1)) {
    const auto drop = marked_axes(c, *c.data(1), static_cast<int64_t>(x.size()));
    for (size_t d = 0; d < x.size(); ++d) {
      if (drop[d])
        c.require(x[d] == 1 || x[d] == kUnknown,
                  "drops dimension " + std::to_string(d) + " of size " + std::to_string(x[d]));
      else
        shape.push_back(x[d]);
    }
  } else {
    if (!is_known(x)) return c.output_of_unknown_rank(0, c.dtype(0));
    for (const int64_t s : x)
      if (s != 1) shape.push_back(s);
  }
  c.output(0, c.dtype(0), shape);
}

void infer_unsqueeze(InferContext& c) {
  if (!c.shape_known(0) || !c.data(1)) return c.output_of_unknown_rank(0, c.dtype(0));
  const Shape& x = c.shape(0);
  const int64_t rank = static_cast<int64_t>(x.size()) + c.data(1)->elements();
  c.require(rank <= 64 && c.data(1)->elements() <= 64, "asks for " + std::to_string(rank) + " dimensions");
  const auto added = marked_axes(c, *c.data(1), rank);
  Shape shape;
  size_t next = 0;
  for (const bool one : added) shape.push_back(one ? 1 : x[next++]);
  c.output(0, c.dtype(0), shape);
}

/// [start, end) of the Shape operator, clamped as ONNX says.
std::pair<int64_t, int64_t> shape_range(const Node& node, int64_t rank) {
  const auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  const int64_t start = clamp(node.integer("start", 0)), end = clamp(node.integer("end", rank));
  return {start, std::max(start, end)};
}
void infer_shape(InferContext& c) {
  if (!c.shape_known(0)) return c.output(0, DType::i64, {kUnknown});
  const auto [start, end] = shape_range(c.node(), static_cast<int64_t>(c.shape(0).size()));
  c.output(0, DType::i64, {end - start});
}
void run_shape(RunContext& c) {
  const auto [start, end] = shape_range(c.node(), c.input(0).rank());
  for (int64_t d = start; d < end; ++d) c.output(0).mutable_values<int64_t>()[d - start] = c.input(0).shape()[d];
}

}  // namespace

const Operator& identity() {
  static const Operator op{"Identity", "", 1, 1, 1, infer_same, run_view, Layout::kElementwise, false};
  return op;
}
const Operator& dropout() {
  static const Operator op{"Dropout", "", 1, 3, 2, infer_dropout, run_dropout, Layout::kFixed, false};
  return op;
}
const Operator& reshape() {
  static const Operator op{"Reshape", "", 2, 2, 1, infer_reshape, run_view, Layout::kFixed, false};
  return op;
}
const Operator& flatten() {
  static const Operator op{"Flatten", "", 1, 1, 1, infer_flatten, run_view, Layout::kFixed, false};
  return op;
}
const Operator& squeeze() {
  static const Operator op{"Squeeze", "", 1, 2, 1, infer_squeeze, run_view, Layout::kFixed, false};
  return op;
}
const Operator& unsqueeze() {
  static const Operator op{"Unsqueeze", "", 2, 2, 1, infer_unsqueeze, run_view, Layout::kFixed, false};
  return op;
}
const Operator& shape_op() {
  static const Operator op{"Shape", "", 1, 1, 1, infer_shape, run_shape, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
