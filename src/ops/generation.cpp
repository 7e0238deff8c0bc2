// Operators that make tensors from sizes and places: Size, ConstantOfShape, Range, EyeLike, OneHot, Trilu, NonZero.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/numbers.h"
#include "ops/strided.h"

namespace nibble::ops {
namespace {

void infer_size(InferContext& c) { c.output(0, DType::i64, {}); }
void run_size(RunContext& c) { c.output(0).mutable_values<int64_t>()[0] = c.input(0).elements(); }

/// The value that ConstantOfShape repeats: its attribute, else a float zero.
Tensor fill_value(const Node& node) {
  const auto it = node.attributes.find("value");
  if (it == node.attributes.end()) return Tensor::scalar(0.0f);
  const Tensor* value = std::get_if<Tensor>(&it->second);
  if (!value || value->elements() != 1) base::fail_malformed(node.describe(), "its value must be a single number");
  return *value;
}
void infer_constant_of_shape(InferContext& c) {
  require_integers(c, 0);
  const DType dtype = fill_value(c.node()).dtype();
  if (c.data(0)) {
    const Shape shape = integers_of(*c.data(0));
    for (const int64_t s : shape) c.require(s >= 0, "asks for a size of " + std::to_string(s));
    return c.output(0, dtype, shape);
  }
  if (!c.shape_known(0) || c.shape(0).size() != 1 || c.shape(0)[0] == kUnknown || c.shape(0)[0] > 64)
    return c.output_of_unknown_rank(0, dtype);
  c.output(0, dtype, Shape(static_cast<size_t>(c.shape(0)[0]), kUnknown));
}
void run_constant_of_shape(RunContext& c) {
  const Tensor value = fill_value(c.node());
  const int64_t size = bytes_an_element(c, c.output(0));
  const Shape shape = c.output(0).shape();
  gather_bytes(size, value.bytes().data(), c.output(0).mutable_bytes().data(), shape,
               std::vector<int64_t>(shape.size(), 0), c.pool());
}

/// ceil((limit - start) / delta) numbers, at least none.
int64_t range_length(const InferContext& c) {
  std::array<double, 3> v{};
  for (size_t i = 0; i < 3; ++i) {
    c.require(c.data(i)->elements() == 1, "its start, limit and delta must be single numbers");
    v[i] = decode_numbers(*c.data(i)).at(0);
  }
  c.require(v[2] != 0, "its delta is 0");
  const double count = std::ceil((v[1] - v[0]) / v[2]);
  if (!(count <= static_cast<double>(kMostElements)))
    base::fail_limit(c.node().describe(), "its output would be too large");
  return std::max<int64_t>(0, static_cast<int64_t>(count));
}
void infer_range(InferContext& c) {
  c.require(c.dtype(0) == c.dtype(1) && c.dtype(0) == c.dtype(2), "its inputs have different element types");
  c.output(0, c.dtype(0), {c.data(0) && c.data(1) && c.data(2) ? range_length(c) : kUnknown});
}
void run_range(RunContext& c) {
  const bool done = visit_number(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    using V = ComputeOf<T>;
    const V start = static_cast<V>(data_of<T>(c.input(0))[0]), delta = static_cast<V>(data_of<T>(c.input(2))[0]);
    T* y = mutable_data_of<T>(c.output(0));
    for (int64_t i = 0; i < c.output(0).elements(); ++i) {
      if constexpr (std::is_integral_v<V>)
        y[i] = static_cast<T>(static_cast<uint64_t>(start) + static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
      else
        y[i] = static_cast<T>(start + static_cast<V>(i) * delta);
    }
  });
  if (!done) c.unsupported_type();
}

void infer_eye_like(InferContext& c) {
  if (c.shape_known(0))
    c.require(c.shape(0).size() == 2, "its input has shape " + to_string(c.shape(0)) + ", a matrix was expected");
  c.output_like(0, read_dtype(c.node(), "dtype", c.dtype(0)), 0);
}
void run_eye_like(RunContext& c) {
  const int64_t k = c.node().integer("k", 0), rows = c.output(0).shape()[0], columns = c.output(0).shape()[1];
  std::vector<double> values(static_cast<size_t>(rows * columns), 0.0);
  if (k > -rows && k < columns)
    for (int64_t r = 0; r < rows; ++r)
      if (r + k >= 0 && r + k < columns) values[static_cast<size_t>(r * columns + r + k)] = 1;
  c.output(0) = encode_numbers(c.output(0).dtype(), c.output(0).shape(), values, true);
}

void infer_one_hot(InferContext& c) {
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(2));
  Shape shape = c.shape(0);
  const auto axis = checked_axis(c, c.node().integer("axis", -1), static_cast<int64_t>(shape.size()) + 1);
  int64_t depth = kUnknown;
  if (c.data(1)) {
    c.require(c.data(1)->elements() == 1, "its depth must be a single number");
    const double d = decode_numbers(*c.data(1)).at(0);
    c.require(d >= 0 && d <= static_cast<double>(kMostElements), "its depth is out of range");
    depth = static_cast<int64_t>(d);
  }
  shape.insert(shape.begin() + axis, depth);
  c.output(0, c.dtype(2), shape);
}
/// Ones at the index along the new axis; an index outside [-depth, depth) sets none.
void run_one_hot(RunContext& c) {
  if (c.input(2).elements() != 2) c.malformed("its values must be two numbers, off and on");
  const auto indices = decode_numbers(c.input(0));
  const Shape& shape = c.output(0).shape();
  int64_t axis = c.node().integer("axis", -1);
  if (axis < 0) axis += static_cast<int64_t>(shape.size());
  const int64_t size = bytes_an_element(c, c.output(0)), depth = shape[static_cast<size_t>(axis)];
  int64_t inner = 1;
  for (size_t d = static_cast<size_t>(axis) + 1; d < shape.size(); ++d) inner *= shape[d];
  std::byte* y = c.output(0).mutable_bytes().data();
  const std::byte* values = c.input(2).bytes().data();
  gather_bytes(size, values, y, shape, std::vector<int64_t>(shape.size(), 0), c.pool());
  for (size_t i = 0; i < indices.size(); ++i) {
    const double index = indices[i] < 0 ? indices[i] + static_cast<double>(depth) : indices[i];
    if (!(index >= 0 && index < static_cast<double>(depth))) continue;
    const int64_t outer = static_cast<int64_t>(i) / inner, place = static_cast<int64_t>(i) % inner;
    std::memcpy(y + ((outer * depth + static_cast<int64_t>(index)) * inner + place) * size, values + size,
                static_cast<size_t>(size));
  }
}

void infer_trilu(InferContext& c) {
  if (c.shape_known(0))
    c.require(c.shape(0).size() >= 2, "its input has shape " + to_string(c.shape(0)) + ", matrices were expected");
  infer_same(c);
}
void run_trilu(RunContext& c) {
  const Shape& shape = c.input(0).shape();
  const int64_t rows = shape[shape.size() - 2], columns = shape.back();
  int64_t k = 0;
  if (c.has(1)) {
    if (c.input(1).dtype() != DType::i64 || c.input(1).elements() != 1) c.malformed("its k must be one 64-bit integer");
    k = std::clamp(c.input(1).values<int64_t>()[0], -rows, columns);
  }
  const bool upper = c.node().integer("upper", 1) != 0;
  const int64_t size = bytes_an_element(c, c.input(0));
  const auto x = c.input(0).bytes();
  auto y = c.output(0).mutable_bytes();
  if (x.empty()) return;
  std::copy(x.begin(), x.end(), y.begin());
  for (int64_t r = 0; r < c.input(0).elements() / columns; ++r) {
    // Upper keeps columns from r + k on, lower those up to it.
    const int64_t at = std::clamp(r % rows + k + (upper ? 0 : 1), int64_t{0}, columns);
    const int64_t begin = upper ? 0 : at, end = upper ? at : columns;
    std::memset(y.data() + (r * columns + begin) * size, 0, static_cast<size_t>((end - begin) * size));
  }
}

void infer_non_zero(InferContext& c) {
  c.output(0, DType::i64, {c.shape_known(0) ? static_cast<int64_t>(c.shape(0).size()) : kUnknown, kUnknown});
}
void run_non_zero(RunContext& c) {
  const Tensor& x = c.input(0);
  std::vector<int64_t> places;
  const auto as = [&](auto t) {
    using T = decltype(t);
    for (int64_t i = 0; i < x.elements(); ++i)
      if (static_cast<ComputeOf<T>>(data_of<T>(x)[i]) != 0) places.push_back(i);
  };
  if (x.dtype() == DType::boolean)
    as(uint8_t{});
  else if (!visit_number(x.dtype(), as))
    c.unsupported_type();
  const auto count = static_cast<int64_t>(places.size());
  c.output(0) = c.environment().allocate(DType::i64, {x.rank(), count});
  int64_t* y = mutable_data_of<int64_t>(c.output(0));
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = places[static_cast<size_t>(i)];
    for (int64_t d = x.rank(); d-- > 0; rest /= x.shape()[static_cast<size_t>(d)])
      y[d * count + i] = rest % x.shape()[static_cast<size_t>(d)];
  }
}

}  // namespace

#define NIBBLE_GENERATION(function, onnx_name, least, most, infer, body, allocates)                         \
  const Operator& function() {                                                                              \
    static const Operator op{onnx_name, "", least, most, 1, infer, body, Layout::kFixed, false, allocates}; \
    return op;                                                                                              \
  }
NIBBLE_GENERATION(size_op, "Size", 1, 1, infer_size, run_size, false)
NIBBLE_GENERATION(constant_of_shape, "ConstantOfShape", 1, 1, infer_constant_of_shape, run_constant_of_shape, false)
NIBBLE_GENERATION(range_op, "Range", 3, 3, infer_range, run_range, false)
NIBBLE_GENERATION(eye_like, "EyeLike", 1, 1, infer_eye_like, run_eye_like, false)
NIBBLE_GENERATION(one_hot, "OneHot", 3, 3, infer_one_hot, run_one_hot, false)
NIBBLE_GENERATION(trilu, "Trilu", 1, 2, infer_trilu, run_trilu, false)
NIBBLE_GENERATION(non_zero, "NonZero", 1, 1, infer_non_zero, run_non_zero, true)
#undef NIBBLE_GENERATION

}  // namespace nibble::ops
