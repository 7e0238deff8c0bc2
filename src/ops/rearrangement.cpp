// Operators whose output is a strided walk through their input: Expand, Tile, Split, DepthToSpace, SpaceToDepth.
// Elements are opaque bytes of 8 bits or more.
#include <algorithm>

#include "ops/broadcast.h"
#include "ops/strided.h"

namespace nibble::ops {
namespace {

/// Output i = the strided walk through input 0 that begins at element `offset`.
void walk(RunContext& c, size_t i, Shape shape, std::vector<int64_t> strides, int64_t offset = 0) {
  Tensor& y = c.output(i);
  if (y.elements() == 0) return;
  const int64_t size = bytes_an_element(c, c.input(0));
  gather_bytes(size, c.input(0).bytes().data() + offset * size, y.mutable_bytes().data(), std::move(shape),
               std::move(strides), c.pool());
}

/// A list of sizes from input 1, none negative or beyond what a tensor may have.
Shape read_sizes(const InferContext& c) {
  const Shape sizes = integers_of(*c.data(1));
  for (const int64_t s : sizes) c.require(s >= 0 && s <= kMostElements, "asks for a size of " + std::to_string(s));
  return sizes;
}

void infer_expand(InferContext& c) {
  require_integers(c, 1);
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  if (c.data(1)) return c.output(0, c.dtype(0), broadcast_shape(c, c.shape(0), read_sizes(c)));
  if (!c.shape_known(1) || c.shape(1).size() != 1 || c.shape(1)[0] == kUnknown || c.shape(1)[0] > 64)
    return c.output_of_unknown_rank(0, c.dtype(0));
  c.output(0, c.dtype(0), Shape(std::max(c.shape(0).size(), static_cast<size_t>(c.shape(1)[0])), kUnknown));
}
void run_expand(RunContext& c) {
  const Shape& shape = c.output(0).shape();
  walk(c, 0, shape, repeated_strides(c.input(0).shape(), shape.size()));
}

void infer_tile(InferContext& c) {
  require_integers(c, 1);
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  Shape shape = c.shape(0);
  if (!c.data(1)) return c.output(0, c.dtype(0), Shape(shape.size(), kUnknown));
  const Shape repeats = read_sizes(c);
  c.require(repeats.size() == shape.size(),
            "has " + std::to_string(repeats.size()) + " repeats for " + std::to_string(shape.size()) + " dimensions");
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == kUnknown) continue;
    c.require(shape[d] == 0 || repeats[d] <= kMostElements / shape[d], "its output would be too large");
    shape[d] *= repeats[d];
  }
  c.output(0, c.dtype(0), shape);
}
/// Each dimension becomes two: the repeats, which do not move in the input, and the elements.
void run_tile(RunContext& c) {
  const Shape& x = c.input(0).shape();
  const auto repeats = integers_of(c.input(1));
  const auto steps = row_major_strides(x);
  Shape shape;
  std::vector<int64_t> strides;
  for (size_t d = 0; d < x.size(); ++d) {
    shape.insert(shape.end(), {repeats[d], x[d]});
    strides.insert(strides.end(), {0, steps[d]});
  }
  walk(c, 0, shape, strides);
}

/// The sizes of Split's outputs along its axis: input 1, or equal parts with a smaller last one.
std::vector<int64_t> split_sizes(const InferContext& c, int64_t length, size_t outputs) {
  if (c.has(1)) {
    std::vector<int64_t> sizes = read_sizes(c);
    c.require(sizes.size() == outputs,
              "has " + std::to_string(outputs) + " outputs for " + std::to_string(sizes.size()) + " parts");
    int64_t total = 0;
    for (const int64_t s : sizes) total = std::min(total + s, 2 * kMostElements);
    c.require(length == kUnknown || total == length,
              "its parts add up to " + std::to_string(total) + ", the axis has " + std::to_string(length));
    return sizes;
  }
  const int64_t parts = c.node().integer("num_outputs", static_cast<int64_t>(outputs));
  c.require(parts >= 1 && parts == static_cast<int64_t>(outputs),
            "has " + std::to_string(outputs) + " outputs for " + std::to_string(parts) + " parts");
  if (length == kUnknown) return std::vector<int64_t>(outputs, kUnknown);
  const int64_t size = length / parts + (length % parts != 0);
  std::vector<int64_t> sizes;
  for (int64_t left = length; sizes.size() < outputs; left -= sizes.back()) sizes.push_back(std::min(size, left));
  return sizes;
}
void infer_split(InferContext& c) {
  require_integers(c, 1);
  if (!c.shape_known(0) || (c.has(1) && !c.data(1))) {
    for (size_t i = 0; i < c.output_count(); ++i) {
      if (!c.shape_known(0)) {
        c.output_of_unknown_rank(i, c.dtype(0));
        continue;
      }
      Shape shape = c.shape(0);
      shape[static_cast<size_t>(checked_axis(c, c.node().integer("axis", 0), static_cast<int64_t>(shape.size())))] =
          kUnknown;
      c.output(i, c.dtype(0), shape);
    }
    return;
  }
  Shape shape = c.shape(0);
  const auto axis =
      static_cast<size_t>(checked_axis(c, c.node().integer("axis", 0), static_cast<int64_t>(shape.size())));
  const auto sizes = split_sizes(c, shape[axis], c.output_count());
  for (size_t i = 0; i < sizes.size(); ++i) {
    shape[axis] = sizes[i];
    c.output(i, c.dtype(0), shape);
  }
}
void run_split(RunContext& c) {
  const auto facts = facts_of(c);
  const Shape& x = c.input(0).shape();
  int64_t axis = c.node().integer("axis", 0);
  if (axis < 0) axis += c.input(0).rank();
  const auto d = static_cast<size_t>(axis);
  const auto sizes = split_sizes(InferContext(c.node(), facts, {}), x[d], c.output_count());
  const auto strides = row_major_strides(x);
  int64_t offset = 0;
  for (size_t i = 0; i < sizes.size(); offset += sizes[i++])
    if (c.wants(i)) walk(c, i, c.output(i).shape(), strides, offset * strides[d]);
}

int64_t block_of(const InferContext& c) {
  const int64_t block = c.node().integer("blocksize", 0);
  c.require(block >= 1 && block <= (1 << 15), "blocksize is " + std::to_string(block));
  return block;
}
bool columns_first(const Node& node) {
  const std::string mode = node.text("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") base::fail_malformed(node.describe(), "mode is " + base::in_quotes(mode));
  return mode == "CRD";
}
void infer_depth_to_space(InferContext& c) {
  const int64_t b = block_of(c);
  columns_first(c.node());
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  Shape x = c.shape(0);
  c.require(x.size() == 4, "its input has shape " + to_string(x) + ", 4 dimensions were expected");
  c.require(x[1] == kUnknown || x[1] % (b * b) == 0, "blocksize does not divide its channels");
  if (x[1] != kUnknown) x[1] /= b * b;
  for (size_t d = 2; d < 4; ++d) {
    c.require(x[d] <= kMostElements / b, "its output would be too large");
    if (x[d] != kUnknown) x[d] *= b;
  }
  c.output(0, c.dtype(0), x);
}
/// [N, C, H, W] of the output is [N, C, H / b, b, W / b, b]; the two b are channels of the input: outermost in mode
/// DCR, innermost in CRD.
void run_depth_to_space(RunContext& c) {
  const int64_t b = c.node().integer("blocksize", 1);
  const Shape &y = c.output(0).shape(), &x = c.input(0).shape();
  const auto s = row_major_strides(x);
  const bool inner = columns_first(c.node());
  const int64_t channel = inner ? b * b * s[1] : s[1], step = inner ? s[1] : y[1] * s[1];
  walk(c, 0, {y[0], y[1], x[2], b, x[3], b}, {s[0], channel, s[2], b * step, s[3], step});
}
void infer_space_to_depth(InferContext& c) {
  const int64_t b = block_of(c);
  columns_first(c.node());
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  Shape x = c.shape(0);
  c.require(x.size() == 4, "its input has shape " + to_string(x) + ", 4 dimensions were expected");
  for (size_t d = 2; d < 4; ++d) {
    c.require(x[d] == kUnknown || x[d] % b == 0, "blocksize does not divide its input " + to_string(x));
    if (x[d] != kUnknown) x[d] /= b;
  }
  c.require(x[1] <= kMostElements / (b * b), "its output would be too large");
  if (x[1] != kUnknown) x[1] *= b * b;
  c.output(0, c.dtype(0), x);
}
void run_space_to_depth(RunContext& c) {
  const int64_t b = c.node().integer("blocksize", 1);
  const Shape &y = c.output(0).shape(), &x = c.input(0).shape();
  const auto s = row_major_strides(x);
  if (columns_first(c.node()))
    return walk(c, 0, {y[0], x[1], b, b, y[2], y[3]}, {s[0], s[1], s[2], s[3], b * s[2], b * s[3]});
  walk(c, 0, {y[0], b, b, x[1], y[2], y[3]}, {s[0], s[2], s[3], s[1], b * s[2], b * s[3]});
}

}  // namespace

const Operator& expand() {
  static const Operator op{"Expand", "", 2, 2, 1, infer_expand, run_expand, Layout::kFixed, false};
  return op;
}
const Operator& tile() {
  static const Operator op{"Tile", "", 2, 2, 1, infer_tile, run_tile, Layout::kFixed, false};
  return op;
}
const Operator& split() {
  static const Operator op{"Split", "", 1, 2, 1 << 16, infer_split, run_split, Layout::kFixed, false};
  return op;
}
const Operator& depth_to_space() {
  static const Operator op{"DepthToSpace", "",   1, 1, 1, infer_depth_to_space, run_depth_to_space,
                           Layout::kFixed, false};
  return op;
}
const Operator& space_to_depth() {
  static const Operator op{"SpaceToDepth", "",   1, 1, 1, infer_space_to_depth, run_space_to_depth,
                           Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
