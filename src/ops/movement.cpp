// Operators that move elements: Transpose, Concat, Slice, Pad. Elements are opaque bytes here, so every type of
// 8 bits or more works; Transpose takes packed types too.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "codec/format.h"
#include "ops/strided.h"

namespace nibble::ops {
namespace {

std::vector<int64_t> read_permutation(const Node& node, size_t rank) {
  std::vector<int64_t> reversed(rank);
  for (size_t d = 0; d < rank; ++d) reversed[d] = static_cast<int64_t>(rank - 1 - d);
  const auto perm = node.integers("perm", reversed);
  std::vector<bool> seen(rank, false);
  bool ok = perm.size() == rank;
  for (const int64_t p : perm) {
    ok = ok && p >= 0 && p < static_cast<int64_t>(rank) && !seen[static_cast<size_t>(p)];
    if (ok) seen[static_cast<size_t>(p)] = true;
  }
  if (!ok)
    base::fail_malformed(node.describe(), "perm " + to_string(perm) + " is not a permutation of " +
                                              std::to_string(rank) + " dimensions");
  return perm;
}

void infer_transpose(InferContext& c) {
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  Shape shape;
  for (const int64_t p : read_permutation(c.node(), c.shape(0).size()))
    shape.push_back(c.shape(0)[static_cast<size_t>(p)]);
  c.output(0, c.dtype(0), shape);
}

/// Whether only sizes of 1 change their place: the elements then keep their order.
bool keeps_order(const std::vector<int64_t>& perm, const Shape& shape) {
  int64_t last = -1;
  for (const int64_t p : perm) {
    if (shape[static_cast<size_t>(p)] == 1) continue;
    if (p < last) return false;
    last = p;
  }
  return true;
}

void run_transpose(RunContext& c) {
  Tensor input = c.input(0);
  const auto perm = read_permutation(c.node(), input.shape().size());
  if (keeps_order(perm, input.shape())) {
    c.output(0) = input.reshaped(c.output(0).shape());
    return;
  }
  const bool packed = tensor::is_packed(input.dtype());
  if (packed) {
    const auto codes = codec::unpack(input);
    input = Tensor::of<int8_t>(input.shape(), codes);
  }
  Tensor moved = packed ? Tensor(DType::i8, c.output(0).shape(), true) : c.output(0);
  if (input.elements() > 0) {
    const auto in_strides = row_major_strides(input.shape());
    std::vector<int64_t> strides;
    for (const int64_t p : perm) strides.push_back(in_strides[static_cast<size_t>(p)]);
    Shape shape = moved.shape();
    const std::byte* x = input.bytes().data();
    std::byte* y = moved.mutable_bytes().data();
    gather_bytes(bytes_an_element(c, input), x, y, std::move(shape), std::move(strides), c.pool());
  }
  if (packed) c.output(0) = codec::pack(c.input(0).dtype(), c.output(0).shape(), moved.values<int8_t>());
}

void infer_concat(InferContext& c) {
  if (!c.node().has("axis")) c.malformed("axis is missing");
  Shape shape;
  bool known = true;
  int64_t axis = 0;
  for (size_t i = 0; i < c.input_count(); ++i) {
    c.require(c.dtype(i) == c.dtype(0), "its inputs have different element types");
    if (!c.shape_known(i)) known = false;
    if (!known) continue;
    const Shape& x = c.shape(i);
    if (i == 0) {
      shape = x;
      axis = checked_axis(c, c.node().integer("axis", 0), static_cast<int64_t>(x.size()));
      continue;
    }
    c.require(x.size() == shape.size(), "its inputs differ in rank: " + to_string(shape) + " and " + to_string(x));
    for (size_t d = 0; d < x.size(); ++d) {
      int64_t& size = shape[d];
      if (static_cast<int64_t>(d) == axis)
        size = size == kUnknown || x[d] == kUnknown ? kUnknown
                                                    : std::min(size + x[d], 2 * kMostElements);  // refused in the end
      else if (size == kUnknown)
        size = x[d];
      else
        c.require(x[d] == kUnknown || x[d] == size, "its inputs " + to_string(shape) + " and " + to_string(x) +
                                                        " differ outside axis " + std::to_string(axis));
    }
  }
  if (known)
    c.output(0, c.dtype(0), shape);
  else
    c.output_of_unknown_rank(0, c.dtype(0));
}

void run_concat(RunContext& c) {
  const Shape& shape = c.output(0).shape();
  if (c.output(0).elements() == 0) return;
  int64_t axis = c.node().integer("axis", 0);
  if (axis < 0) axis += c.output(0).rank();
  const int64_t size = bytes_an_element(c, c.output(0));
  int64_t outer = 1, inner = size;
  for (int64_t d = 0; d < axis; ++d) outer *= shape[d];
  for (size_t d = static_cast<size_t>(axis) + 1; d < shape.size(); ++d) inner *= shape[d];
  std::byte* y = c.output(0).mutable_bytes().data();
  for_ranges(c.pool(), outer, std::max<int64_t>(1, 4 * kGrain / (inner * shape[axis])),
             [&](int64_t begin, int64_t end) {
               for (int64_t o = begin; o < end; ++o) {
                 std::byte* target = y + o * inner * shape[axis];
                 for (size_t i = 0; i < c.input_count(); ++i) {
                   const int64_t run = c.input(i).shape()[axis] * inner;
                   std::memcpy(target, c.input(i).bytes().data() + o * run, static_cast<size_t>(run));
                   target += run;
                 }
               }
             });
}

struct Slicing {
  std::vector<int64_t> starts, steps;
  Shape shape;
};

/// ONNX Slice with starts, ends, axes and steps known; unknown input sizes stay unknown.
Slicing read_slice(const InferContext& c, const Shape& x) {
  const auto rank = static_cast<int64_t>(x.size());
  Slicing s{std::vector<int64_t>(x.size(), 0), std::vector<int64_t>(x.size(), 1), x};
  const auto starts = integers_of(*c.data(1)), ends = integers_of(*c.data(2));
  std::vector<int64_t> axes(starts.size()), steps(starts.size(), 1);
  std::iota(axes.begin(), axes.end(), 0);
  if (c.has(3)) axes = integers_of(*c.data(3));
  if (c.has(4)) steps = integers_of(*c.data(4));
  c.require(ends.size() == starts.size() && axes.size() == starts.size() && steps.size() == starts.size(),
            "starts, ends, axes and steps differ in length");
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto d = static_cast<size_t>(checked_axis(c, axes[i], rank));
    c.require(steps[i] != 0 && steps[i] != INT64_MIN, "a step is " + std::to_string(steps[i]));
    s.steps[d] = steps[i];
    if (x[d] == kUnknown || x[d] == 0) continue;
    const bool forward = steps[i] > 0;
    const int64_t size = x[d];
    // ONNX: negative positions count from the end, then clamp to [0, size] forwards and [-1, size - 1] backwards.
    const auto place = [&](int64_t v, int64_t low, int64_t high) {
      return std::clamp(v < 0 ? std::max(v, -size - 1) + size : v, low, high);
    };
    const int64_t start = place(starts[i], 0, forward ? size : size - 1);
    const int64_t end = place(ends[i], forward ? 0 : -1, forward ? size : size - 1);
    const int64_t distance = forward ? end - start : start - end;
    const int64_t step = forward ? steps[i] : -steps[i];
    s.starts[d] = start;
    s.shape[d] = distance > 0 ? (distance - 1) / step + 1 : 0;
    if (s.shape[d] <= 1) s.steps[d] = 1;  // none is taken, and it might not fit the strides
  }
  // A size that is not known stays unknown unless the slice takes all of it.
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto d = static_cast<size_t>(checked_axis(c, axes[i], rank));
    if (x[d] == kUnknown) s.shape[d] = kUnknown;
  }
  return s;
}

void infer_slice(InferContext& c) {
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  for (size_t i = 1; i < c.input_count(); ++i) require_integers(c, i);
  for (size_t i = 1; i < c.input_count(); ++i)
    if (c.has(i) && !c.data(i)) return c.output(0, c.dtype(0), Shape(c.shape(0).size(), kUnknown));
  c.output(0, c.dtype(0), read_slice(c, c.shape(0)).shape);
}

void run_slice(RunContext& c) {
  if (c.output(0).elements() == 0) return;
  const auto facts = facts_of(c);
  const Slicing s = read_slice(InferContext(c.node(), facts, {}), c.input(0).shape());
  auto strides = row_major_strides(c.input(0).shape());
  int64_t offset = 0;
  for (size_t d = 0; d < strides.size(); ++d) {
    offset += s.starts[d] * strides[d];
    strides[d] *= s.steps[d];
  }
  const int64_t size = bytes_an_element(c, c.input(0));
  const std::byte* x = c.input(0).bytes().data() + offset * size;
  std::byte* y = c.output(0).mutable_bytes().data();
  Shape shape = c.output(0).shape();
  gather_bytes(size, x, y, std::move(shape), std::move(strides), c.pool());
}

/// Elements added before and after each dimension (negative: taken away).
struct Padding {
  std::vector<int64_t> before, after;
};
Padding read_padding(const InferContext& c, size_t rank) {
  Padding p{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 0)};
  const auto pads = integers_of(*c.data(1));
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (c.has(3)) axes = integers_of(*c.data(3));
  c.require(pads.size() == 2 * axes.size(), "pads has " + std::to_string(pads.size()) + " values, " +
                                                std::to_string(2 * axes.size()) + " were expected");
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto d = static_cast<size_t>(checked_axis(c, axes[i], static_cast<int64_t>(rank)));
    for (const int64_t v : {pads[i], pads[i + axes.size()]})
      c.require(std::abs(v) <= (int64_t{1} << 30), "pads holds " + std::to_string(v) + ", out of range");
    p.before[d] = pads[i];
    p.after[d] = pads[i + axes.size()];
  }
  return p;
}

void infer_pad(InferContext& c) {
  const std::string mode = c.node().text("mode", "constant");
  c.require(mode == "constant" || mode == "reflect" || mode == "edge" || mode == "wrap",
            "mode is " + base::in_quotes(mode));
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  Shape shape = c.shape(0);
  if (!c.data(1) || (c.has(3) && !c.data(3))) return c.output(0, c.dtype(0), Shape(shape.size(), kUnknown));
  require_integers(c, 1);
  require_integers(c, 3);
  const Padding p = read_padding(c, shape.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == kUnknown) continue;
    c.require(mode == "constant" || shape[d] > 0 || (p.before[d] <= 0 && p.after[d] <= 0),
              "cannot extend an empty dimension");
    shape[d] += p.before[d] + p.after[d];
    c.require(shape[d] >= 0, "takes away more than dimension " + std::to_string(d) + " has");
  }
  c.output(0, c.dtype(0), shape);
}

/// Where position `i` of a padded dimension reads from: a position in [0, size), or -1 for the constant.
int64_t source_position(int64_t i, int64_t size, const std::string& mode) {
  if (i >= 0 && i < size) return i;
  if (mode == "constant") return -1;
  if (mode == "edge") return i < 0 ? 0 : size - 1;
  if (mode == "wrap") return ((i % size) + size) % size;
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);  // reflect
  const int64_t r = ((i % period) + period) % period;
  return r < size ? r : period - r;
}

/// Writes `count` elements of `size` bytes that are all `value`.
void fill_elements(std::byte* y, int64_t count, size_t size, const std::array<std::byte, 8>& value) {
  if (std::all_of(value.begin(), value.end(), [](std::byte b) { return b == std::byte{0}; }))
    return void(std::memset(y, 0, static_cast<size_t>(count) * size));
  for (int64_t i = 0; i < count; ++i, y += size) std::memcpy(y, value.data(), size);
}

void run_pad(RunContext& c) {
  if (c.output(0).elements() == 0) return;
  const auto facts = facts_of(c);
  const Shape &in = c.input(0).shape(), &out = c.output(0).shape();
  const Padding p = read_padding(InferContext(c.node(), facts, {}), in.size());
  const std::string mode = c.node().text("mode", "constant");
  const auto size = static_cast<size_t>(bytes_an_element(c, c.input(0)));
  std::array<std::byte, 8> fill{};
  if (c.has(2) && c.input(2).elements() > 0) {
    if (c.input(2).dtype() != c.input(0).dtype()) c.malformed("its constant has another type than its input");
    std::memcpy(fill.data(), c.input(2).bytes().data(), size);
  }
  const size_t rank = in.size();
  const std::byte* x = c.input(0).bytes().data();
  std::byte* y = c.output(0).mutable_bytes().data();
  if (rank == 0) return void(std::memcpy(y, x, size));
  const auto strides = row_major_strides(in);
  std::vector<std::vector<int64_t>> source(rank);
  for (size_t d = 0; d < rank; ++d)
    for (int64_t i = 0; i < out[d]; ++i) source[d].push_back(source_position(i - p.before[d], in[d], mode));
  const int64_t inner = out[rank - 1];
  // Of a run, [first, last) lies inside the input and is copied in one piece; what is around it is looked up.
  const int64_t first = std::clamp<int64_t>(p.before[rank - 1], 0, inner);
  const int64_t last = std::clamp<int64_t>(p.before[rank - 1] + in[rank - 1], first, inner);
  const auto& innermost = source[rank - 1];
  for_ranges(c.pool(), c.output(0).elements() / inner, std::max<int64_t>(1, kGrain / inner),
             [&](int64_t begin, int64_t end) {
               for (int64_t run = begin; run < end; ++run) {
                 int64_t rest = run, base_at = 0;
                 bool constant = false;
                 for (size_t d = rank - 1; d-- > 0; rest /= out[d]) {
                   const int64_t from = source[d][static_cast<size_t>(rest % out[d])];
                   constant = constant || from < 0;
                   base_at += from * strides[d];
                 }
                 std::byte* target = y + static_cast<size_t>(run * inner) * size;
                 if (constant) {
                   fill_elements(target, inner, size, fill);
                   continue;
                 }
                 const auto copy = [&](int64_t to, int64_t from, int64_t count) {
                   std::memcpy(target + static_cast<size_t>(to) * size, x + static_cast<size_t>(base_at + from) * size,
                               static_cast<size_t>(count) * size);
                 };
                 const auto around = [&](int64_t from, int64_t to) {
                   if (mode == "constant")
                     return fill_elements(target + static_cast<size_t>(from) * size, to - from, size, fill);
                   for (int64_t i = from; i < to; ++i) copy(i, innermost[static_cast<size_t>(i)], 1);
                 };
                 around(0, first);
                 if (last > first) copy(first, innermost[static_cast<size_t>(first)], last - first);
                 around(last, inner);
               }
             });
}

}  // namespace

const Operator& transpose() {
  static const Operator op{"Transpose", "", 1, 1, 1, infer_transpose, run_transpose, Layout::kFixed, false};
  return op;
}
const Operator& concat() {
  static const Operator op{"Concat", "", 1, 1 << 20, 1, infer_concat, run_concat, Layout::kFixed, false};
  return op;
}
const Operator& slice() {
  static const Operator op{"Slice", "", 3, 5, 1, infer_slice, run_slice, Layout::kFixed, false};
  return op;
}
const Operator& pad() {
  static const Operator op{"Pad", "", 2, 4, 1, infer_pad, run_pad, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
