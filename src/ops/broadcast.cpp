#include "ops/broadcast.h"

#include <algorithm>

namespace nibble::ops {

std::vector<int64_t> repeated_strides(const Shape& shape, size_t rank) {
  std::vector<int64_t> strides(rank, 0);
  int64_t step = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const size_t from_right = shape.size() - 1 - i;
    strides[rank - 1 - i] = shape[from_right] == 1 ? 0 : step;
    step *= shape[from_right];
  }
  return strides;
}

void infer_broadcast(InferContext& c, DType dtype) {
  c.require(c.dtype(0) == c.dtype(1), "its two inputs have different element types");
  if (c.shape_known(0) && c.shape_known(1))
    c.output(0, dtype, broadcast_shape(c, c.shape(0), c.shape(1)));
  else
    c.output_of_unknown_rank(0, dtype);
}

void infer_broadcast_of_all(InferContext& c, size_t first) {
  bool known = true;
  Shape shape;
  for (size_t i = 0; i < c.input_count(); ++i) {
    c.require(i < first || c.dtype(i) == c.dtype(first), "its inputs have different element types");
    known = known && c.shape_known(i);
    if (known) shape = i ? broadcast_shape(c, shape, c.shape(i)) : c.shape(0);
  }
  if (known)
    c.output(0, c.dtype(first), shape);
  else
    c.output_of_unknown_rank(0, c.dtype(first));
}

Shape broadcast_shape(const InferContext& c, const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    int64_t& size = out[out.size() - 1 - i];
    if (x == y || y == 1)
      size = x;
    else if (x == 1)
      size = y;
    else if (x == kUnknown)
      size = y;
    else if (y == kUnknown)
      size = x;
    else
      c.malformed("shapes " + to_string(a) + " and " + to_string(b) + " cannot be broadcast together");
  }
  return out;
}

BroadcastPlan plan_broadcast(const Shape& out, const Shape& a, const Shape& b) {
  BroadcastPlan plan{out, repeated_strides(a, out.size()), repeated_strides(b, out.size())};
  // Merge from the inside: dimension i joins i + 1 when stepping once in i equals walking through all of i + 1.
  for (size_t i = plan.shape.size(); i-- > 1;) {
    const int64_t inner = plan.shape[i];
    const auto joins = [&](const std::vector<int64_t>& s) { return s[i - 1] == s[i] * inner; };
    if (!joins(plan.a_strides) || !joins(plan.b_strides)) continue;
    plan.shape[i - 1] *= inner;
    plan.a_strides[i - 1] = plan.a_strides[i];
    plan.b_strides[i - 1] = plan.b_strides[i];
    const auto at = static_cast<std::ptrdiff_t>(i);
    plan.shape.erase(plan.shape.begin() + at);
    plan.a_strides.erase(plan.a_strides.begin() + at);
    plan.b_strides.erase(plan.b_strides.begin() + at);
  }
  if (plan.shape.empty()) plan = {{1}, {0}, {0}};
  return plan;
}

}  // namespace nibble::ops
