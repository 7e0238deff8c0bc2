// Operators that read or write at computed places: Gather, GatherElements, GatherND, ScatterElements, ScatterND.
// Indices may count from the end; one outside its axis is an Error. Elements are opaque bytes except where scattering
// combines them.
#include <algorithm>
#include <cstring>

#include "ops/strided.h"

namespace nibble::ops {
namespace {

void require_indices(const InferContext& c) {
  c.require(c.dtype(1) == DType::i64 || c.dtype(1) == DType::i32, "its indices must be 32- or 64-bit integers");
}

/// `index` as a position in [0, length).
int64_t checked_index(const RunContext& c, int64_t index, int64_t length) {
  if (index < -length || index >= length)
    c.malformed("index " + std::to_string(index) + " is outside its axis of size " + std::to_string(length));
  return index < 0 ? index + length : index;
}

void infer_gather(InferContext& c) {
  require_indices(c);
  if (!c.shape_known(0) || !c.shape_known(1)) return c.output_of_unknown_rank(0, c.dtype(0));
  const Shape& x = c.shape(0);
  const int64_t axis = checked_axis(c, c.node().integer("axis", 0), static_cast<int64_t>(x.size()));
  Shape shape(x.begin(), x.begin() + axis);
  shape.insert(shape.end(), c.shape(1).begin(), c.shape(1).end());
  shape.insert(shape.end(), x.begin() + axis + 1, x.end());
  c.output(0, c.dtype(0), shape);
}

void run_gather(RunContext& c) {
  const Shape& x = c.input(0).shape();
  int64_t axis = c.node().integer("axis", 0);
  if (axis < 0) axis += c.input(0).rank();
  const int64_t length = x[axis];
  int64_t outer = 1, inner = bytes_an_element(c, c.input(0));
  for (int64_t d = 0; d < axis; ++d) outer *= x[d];
  for (size_t d = static_cast<size_t>(axis) + 1; d < x.size(); ++d) inner *= x[d];
  auto indices = integers_of(c.input(1));
  for (int64_t& i : indices) i = checked_index(c, i, length);
  std::byte* y = c.output(0).mutable_bytes().data();
  for (int64_t o = 0; o < outer; ++o)
    for (const int64_t i : indices) {
      std::memcpy(y, c.input(0).bytes().data() + (o * length + i) * inner, static_cast<size_t>(inner));
      y += inner;
    }
}

/// The sizes outside `axis` may be smaller than those of the data: each index is used at its own place.
void require_indices_within(const InferContext& c, const Shape& data, const Shape& indices, size_t axis) {
  c.require(indices.size() == data.size(),
            "its indices " + to_string(indices) + " and its data " + to_string(data) + " differ in rank");
  for (size_t d = 0; d < data.size(); ++d)
    c.require(d == axis || data[d] == kUnknown || indices[d] == kUnknown || indices[d] <= data[d],
              "its indices " + to_string(indices) + " are larger than its data " + to_string(data));
}

void infer_gather_elements(InferContext& c) {
  require_indices(c);
  if (c.shape_known(0) && c.shape_known(1)) {
    const int64_t rank = static_cast<int64_t>(c.shape(0).size());
    c.require(rank > 0, "its data is a scalar");
    const int64_t axis = checked_axis(c, c.node().integer("axis", 0), rank);
    require_indices_within(c, c.shape(0), c.shape(1), static_cast<size_t>(axis));
  }
  c.output_like(0, c.dtype(0), 1);
}

/// Calls visit(i, place): place in `data` of the element that index i of `indices` names along `axis`.
template <typename Visit>
void for_each_indexed(const RunContext& c, const Shape& data, int64_t axis, Visit&& visit) {
  const Shape& shape = c.input(1).shape();
  const auto indices = integers_of(c.input(1));
  const auto strides = row_major_strides(data);
  const int64_t count = c.input(1).elements();
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, at = 0;
    for (size_t d = shape.size(); d-- > 0; rest /= shape[d])
      if (static_cast<int64_t>(d) != axis) at += rest % shape[d] * strides[d];
    const auto a = static_cast<size_t>(axis);
    visit(i, at + checked_index(c, indices[static_cast<size_t>(i)], data[a]) * strides[a]);
  }
}
int64_t axis_of(const RunContext& c) {
  const int64_t axis = c.node().integer("axis", 0);
  return axis < 0 ? axis + c.input(0).rank() : axis;
}

void run_gather_elements(RunContext& c) {
  const auto size = static_cast<size_t>(bytes_an_element(c, c.input(0)));
  const std::byte* x = c.input(0).bytes().data();
  std::byte* y = c.output(0).mutable_bytes().data();
  for_each_indexed(c, c.input(0).shape(), axis_of(c), [&](int64_t i, int64_t place) {
    std::memcpy(y + static_cast<size_t>(i) * size, x + static_cast<size_t>(place) * size, size);
  });
}

/// The last dimension of the indices names an element or a slice after `batch` shared dimensions.
struct NdShape {
  size_t batch = 0, depth = 0;
  Shape slice;  ///< what one index names
};
NdShape read_nd(const InferContext& c, const Shape& data, const Shape& indices, int64_t batch) {
  NdShape nd;
  c.require(!indices.empty() && indices.back() != kUnknown, "its indices have no last dimension of a known size");
  c.require(batch >= 0 && batch < static_cast<int64_t>(std::min(data.size(), indices.size())),
            "batch_dims is " + std::to_string(batch));
  nd.batch = static_cast<size_t>(batch);
  c.require(indices.back() >= 0 && indices.back() <= static_cast<int64_t>(data.size()) - batch,
            "its indices name " + std::to_string(indices.back()) + " dimensions of data of shape " + to_string(data));
  nd.depth = static_cast<size_t>(indices.back());
  for (size_t d = 0; d < nd.batch; ++d)
    c.require(data[d] == indices[d] || data[d] == kUnknown || indices[d] == kUnknown,
              "its data " + to_string(data) + " and indices " + to_string(indices) + " differ in their batch");
  nd.slice.assign(data.begin() + static_cast<std::ptrdiff_t>(nd.batch + nd.depth), data.end());
  return nd;
}

void infer_gather_nd(InferContext& c) {
  require_indices(c);
  if (!c.shape_known(0) || !c.shape_known(1) || c.shape(1).empty() || c.shape(1).back() == kUnknown)
    return c.output_of_unknown_rank(0, c.dtype(0));
  const NdShape nd = read_nd(c, c.shape(0), c.shape(1), c.node().integer("batch_dims", 0));
  Shape shape(c.shape(1).begin(), c.shape(1).end() - 1);
  shape.insert(shape.end(), nd.slice.begin(), nd.slice.end());
  c.output(0, c.dtype(0), shape);
}

/// Calls visit(i, place) for every tuple of indices: the place in elements of what it names in `data`.
template <typename Visit>
void for_each_slice(const RunContext& c, const Shape& data, const NdShape& nd, Visit&& visit) {
  const auto indices = integers_of(c.input(1));
  const auto strides = row_major_strides(data);
  const Shape& shape = c.input(1).shape();
  const int64_t count = element_count({shape.begin(), shape.end() - 1});
  const int64_t batches = element_count({data.begin(), data.begin() + static_cast<std::ptrdiff_t>(nd.batch)});
  const int64_t batch_stride = nd.batch ? strides[nd.batch - 1] : 0;
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = i / std::max<int64_t>(1, count / std::max<int64_t>(1, batches)) * batch_stride;
    for (size_t k = 0; k < nd.depth; ++k) {
      const size_t d = nd.batch + k;
      at += checked_index(c, indices[static_cast<size_t>(i) * nd.depth + k], data[d]) * strides[d];
    }
    visit(i, at);
  }
}

void run_gather_nd(RunContext& c) {
  if (c.output(0).elements() == 0) return;
  const auto facts = facts_of(c);
  const InferContext infer(c.node(), facts, {});
  const NdShape nd = read_nd(infer, c.input(0).shape(), c.input(1).shape(), c.node().integer("batch_dims", 0));
  const int64_t size = bytes_an_element(c, c.input(0)), run = element_count(nd.slice) * size;
  const std::byte* x = c.input(0).bytes().data();
  std::byte* y = c.output(0).mutable_bytes().data();
  for_each_slice(c, c.input(0).shape(), nd, [&](int64_t i, int64_t place) {
    std::memcpy(y + i * run, x + place * size, static_cast<size_t>(run));
  });
}

void require_reduction(const InferContext& c) {
  const std::string kind = c.node().text("reduction", "none");
  c.require(kind == "none" || kind == "add" || kind == "mul" || kind == "min" || kind == "max",
            "reduction is " + base::in_quotes(kind));
  c.require(c.dtype(2) == c.dtype(0), "its updates and its data have different element types");
}
void infer_scatter_elements(InferContext& c) {
  require_indices(c);
  require_reduction(c);
  if (c.shape_known(0) && c.shape_known(1)) {
    const int64_t rank = static_cast<int64_t>(c.shape(0).size());
    c.require(rank > 0, "its data is a scalar");
    const int64_t axis = checked_axis(c, c.node().integer("axis", 0), rank);
    require_indices_within(c, c.shape(0), c.shape(1), static_cast<size_t>(axis));
    if (c.shape_known(2))
      for (size_t d = 0; d < c.shape(1).size(); ++d)
        c.require(
            c.shape(2).size() == c.shape(1).size() &&
                (c.shape(2)[d] == c.shape(1)[d] || c.shape(2)[d] == kUnknown || c.shape(1)[d] == kUnknown),
            "its updates " + to_string(c.shape(2)) + " and indices " + to_string(c.shape(1)) + " differ in shape");
  }
  infer_same(c);
}

void infer_scatter_nd(InferContext& c) {
  require_indices(c);
  require_reduction(c);
  if (c.shape_known(0) && c.shape_known(1) && c.shape_known(2) && !c.shape(1).empty() &&
      c.shape(1).back() != kUnknown) {
    const NdShape nd = read_nd(c, c.shape(0), c.shape(1), 0);
    Shape wanted(c.shape(1).begin(), c.shape(1).end() - 1);
    wanted.insert(wanted.end(), nd.slice.begin(), nd.slice.end());
    c.require(!is_known(wanted) || !is_known(c.shape(2)) || c.shape(2) == wanted,
              "its updates have shape " + to_string(c.shape(2)) + ", " + to_string(wanted) + " was expected");
  }
  infer_same(c);
}

/// Calls body(target, update, count) once for each run of elements that `visit_places` names, in order: later ones win.
template <typename Places>
void scatter(RunContext& c, int64_t run, Places&& visit_places) {
  const std::string kind = c.node().text("reduction", "none");
  auto y = c.output(0).mutable_bytes();
  const auto x = c.input(0).bytes();
  std::copy(x.begin(), x.end(), y.begin());
  if (kind == "none") {
    const int64_t size = bytes_an_element(c, c.input(0));
    return visit_places([&](int64_t i, int64_t place) {
      std::memcpy(y.data() + place * size, c.input(2).bytes().data() + i * run * size, static_cast<size_t>(run * size));
    });
  }
  const bool done = visit_number(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    using V = ComputeOf<T>;
    T* out = mutable_data_of<T>(c.output(0));
    const T* updates = data_of<T>(c.input(2));
    visit_places([&](int64_t i, int64_t place) {
      for (int64_t k = 0; k < run; ++k) {
        const V a = static_cast<V>(out[place + k]), b = static_cast<V>(updates[i * run + k]);
        V result = kind == "min" ? std::min(a, b) : std::max(a, b);
        if constexpr (std::is_integral_v<V>) {  // wraps
          if (kind == "add") result = static_cast<V>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
          if (kind == "mul") result = static_cast<V>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
        } else {
          if (kind == "add") result = a + b;
          if (kind == "mul") result = a * b;
        }
        out[place + k] = static_cast<T>(result);
      }
    });
  });
  if (!done) c.unsupported_type();
}
void run_scatter_elements(RunContext& c) {
  scatter(c, 1, [&](auto&& place) { for_each_indexed(c, c.input(0).shape(), axis_of(c), place); });
}
void run_scatter_nd(RunContext& c) {
  const auto facts = facts_of(c);
  const NdShape nd = read_nd(InferContext(c.node(), facts, {}), c.input(0).shape(), c.input(1).shape(), 0);
  const int64_t run = element_count(nd.slice);
  scatter(c, run, [&](auto&& place) {
    if (run > 0) for_each_slice(c, c.input(0).shape(), nd, place);
  });
}

}  // namespace

#define NIBBLE_INDEXING(function, onnx_name, inputs, infer, body)                                   \
  const Operator& function() {                                                                      \
    static const Operator op{onnx_name, "", inputs, inputs, 1, infer, body, Layout::kFixed, false}; \
    return op;                                                                                      \
  }
NIBBLE_INDEXING(gather, "Gather", 2, infer_gather, run_gather)
NIBBLE_INDEXING(gather_elements, "GatherElements", 2, infer_gather_elements, run_gather_elements)
NIBBLE_INDEXING(gather_nd, "GatherND", 2, infer_gather_nd, run_gather_nd)
NIBBLE_INDEXING(scatter_elements, "ScatterElements", 3, infer_scatter_elements, run_scatter_elements)
NIBBLE_INDEXING(scatter_nd, "ScatterND", 3, infer_scatter_nd, run_scatter_nd)
#undef NIBBLE_INDEXING

}  // namespace nibble::ops
