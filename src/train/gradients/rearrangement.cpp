// Operators whose output is a strided walk through their input: Expand, Tile, Split, DepthToSpace, SpaceToDepth.
#include <algorithm>

#include "train/gradients/gradient.h"

namespace nibble::train {
namespace {

bool columns_first(const Step& s) { return s.node().text("mode", "DCR") == "CRD"; }

}  // namespace

/// Broadcasts in both directions: a size of 1 on either side gives way.
void follow_expand(Step& s) {
  const at::Tensor& x = s.input(0);
  std::vector<int64_t> shape = s.integers(1);
  while (static_cast<int64_t>(shape.size()) < x.dim()) shape.insert(shape.begin(), 1);
  const size_t more = shape.size() - static_cast<size_t>(x.dim());
  for (size_t d = more; d < shape.size(); ++d)
    if (shape[d] == 1) shape[d] = x.size(static_cast<int64_t>(d - more));
  s.output(x.expand(shape));
}

void follow_tile(Step& s) { s.output(s.input(0).repeat(s.integers(1))); }

void follow_split(Step& s) {
  const at::Tensor& x = s.input(0);
  const int64_t axis = s.axis(s.node().integer("axis", 0), x.dim()), length = x.size(axis);
  const auto parts = static_cast<int64_t>(s.output_count());
  const int64_t equal = length / parts + (length % parts != 0);
  const std::vector<int64_t> sizes = s.has(1) ? s.integers(1) : std::vector<int64_t>{};
  int64_t begin = 0;
  for (size_t i = 0; i < s.output_count(); ++i) {
    const int64_t size = sizes.empty() ? std::min(equal, length - begin) : sizes.at(i);
    s.output(x.narrow(axis, begin, size), i);
    begin += size;
  }
}

void follow_depth_to_space(Step& s) {
  const at::Tensor& x = s.input(0);
  const int64_t b = s.node().integer("blocksize", 1), n = x.size(0), c = x.size(1) / (b * b), h = x.size(2),
                w = x.size(3);
  const at::Tensor y = columns_first(s) ? x.reshape({n, c, b, b, h, w}).permute({0, 1, 4, 2, 5, 3})
                                        : x.reshape({n, b, b, c, h, w}).permute({0, 3, 4, 1, 5, 2});
  s.output(y.reshape({n, c, h * b, w * b}));
}

void follow_space_to_depth(Step& s) {
  const at::Tensor& x = s.input(0);
  const int64_t b = s.node().integer("blocksize", 1), n = x.size(0), c = x.size(1), h = x.size(2) / b,
                w = x.size(3) / b;
  const at::Tensor blocks = x.reshape({n, c, h, b, w, b});
  s.output((columns_first(s) ? blocks.permute({0, 1, 3, 5, 2, 4}) : blocks.permute({0, 3, 5, 1, 2, 4}))
               .reshape({n, c * b * b, h, w}));
}

}  // namespace nibble::train
