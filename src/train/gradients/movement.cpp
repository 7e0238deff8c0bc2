// Operators that move values without changing them.
#include <algorithm>
#include <numeric>

#include "train/gradients/gradient.h"

namespace nibble::train {

void follow_transpose(Step& s) {
  const at::Tensor& x = s.input(0);
  std::vector<int64_t> order(static_cast<size_t>(x.dim()));
  std::iota(order.rbegin(), order.rend(), int64_t{0});
  s.output(x.permute(s.node().integers("perm", order)));
}

void follow_concat(Step& s) {
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i < s.input_count(); ++i) parts.push_back(s.input(i));
  s.output(at::cat(parts, s.axis(s.node().integer("axis", 0), parts[0].dim())));
}

void follow_slice(Step& s) {
  at::Tensor x = s.input(0);
  const std::vector<int64_t> starts = s.integers(1), ends = s.integers(2);
  std::vector<int64_t> axes(starts.size()), steps(starts.size(), 1);
  std::iota(axes.begin(), axes.end(), int64_t{0});
  if (s.has(3)) axes = s.integers(3);
  if (s.has(4)) steps = s.integers(4);
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t axis = s.axis(axes.at(i), x.dim()), size = x.size(axis), step = steps.at(i);
    const auto from_front = [size](int64_t at) { return at < 0 ? at + size : at; };
    if (step > 0) {
      const int64_t begin = std::clamp(from_front(starts[i]), int64_t{0}, size);
      const int64_t end = std::clamp(from_front(ends.at(i)), int64_t{0}, size);
      x = x.slice(axis, begin, std::max(begin, end), step);
      continue;
    }
    // Backwards: torch knows forward slices only.
    const int64_t begin = std::clamp(from_front(starts[i]), int64_t{-1}, size - 1);
    const int64_t end = ends.at(i) < -size ? -1 : std::clamp(from_front(ends[i]), int64_t{-1}, size - 1);
    x = x.slice(axis, end + 1, begin + 1).flip({axis}).slice(axis, 0, size, -step);
  }
  s.output(x);
}

void follow_pad(Step& s) {
  const at::Tensor& x = s.input(0);
  const std::string mode = s.node().text("mode", "constant");
  const std::vector<int64_t> pads = s.integers(1);
  std::vector<int64_t> axes(pads.size() / 2);
  std::iota(axes.begin(), axes.end(), int64_t{0});
  if (s.has(3)) axes = s.integers(3);
  std::vector<int64_t> begins(static_cast<size_t>(x.dim())), ends(begins.size());
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(s.axis(axes[i], x.dim()));
    begins[axis] = pads.at(i);
    ends[axis] = pads.at(i + axes.size());
  }
  if (mode == "constant") {
    std::vector<int64_t> reversed;  // the last dimension first
    for (size_t d = begins.size(); d-- > 0;) reversed.insert(reversed.end(), {begins[d], ends[d]});
    s.output(at::constant_pad_nd(x, reversed, s.has(2) ? s.input(2).item<double>() : 0.0));
    return;
  }
  // The other modes pick places of the input, axis by axis.
  at::Tensor y = x;
  for (int64_t d = 0; d < x.dim(); ++d) {
    const int64_t size = x.size(d), begin = begins[static_cast<size_t>(d)], end = ends[static_cast<size_t>(d)];
    if (begin == 0 && end == 0) continue;
    std::vector<int64_t> places;
    for (int64_t i = -begin; i < size + end; ++i) {
      if (mode == "edge")
        places.push_back(std::clamp(i, int64_t{0}, size - 1));
      else if (mode == "wrap")
        places.push_back(((i % size) + size) % size);
      else if (mode == "reflect" && i > -size && i < 2 * size - 1)
        places.push_back(i < 0 ? -i : i >= size ? 2 * size - 2 - i : i);
      else
        s.unsupported("training does not follow this padding (mode " + mode + ")");
    }
    y = y.index_select(d, at::tensor(places, at::kLong));
  }
  s.output(y);
}

}  // namespace nibble::train
