// Pooling over windows, and over everything.
#include <limits>

#include "ops/window.h"
#include "train/gradients/gradient.h"

namespace nibble::train {
namespace {

std::vector<int64_t> spatial_sizes(const at::Tensor& x) { return {x.sizes().begin() + 2, x.sizes().end()}; }

std::vector<int64_t> spatial_axes(const at::Tensor& x) {
  std::vector<int64_t> axes;
  for (int64_t d = 2; d < x.dim(); ++d) axes.push_back(d);
  return axes;
}

/// x with the window's padding around it (the last dimension first), and beyond it what a rounded-up output needs.
at::Tensor padded(const at::Tensor& x, const ops::Window& w, double value) {
  std::vector<int64_t> pads;
  bool any = false;
  for (size_t d = w.dims(); d-- > 0;) {
    const int64_t needed = (w.out[d] - 1) * w.strides[d] + (w.kernel[d] - 1) * w.dilations[d] + 1;
    const int64_t end = std::max(w.pads_end[d], needed - w.in[d] - w.pads_begin[d]);
    pads.insert(pads.end(), {w.pads_begin[d], end});
    any = any || w.pads_begin[d] > 0 || end > 0;
  }
  return any ? at::constant_pad_nd(x, pads, value) : x;
}

at::Tensor mean_of_windows(Step& s, const at::Tensor& x, const ops::Window& w) {
  const std::vector<int64_t> none(w.dims(), 0);
  for (const int64_t d : w.dilations)
    if (d != 1) s.unsupported("training follows average pooling without dilations only");
  if (w.dims() == 1) return at::avg_pool1d(x, w.kernel, w.strides, none);
  if (w.dims() == 2) return at::avg_pool2d(x, w.kernel, w.strides, none, false, true, c10::nullopt);
  if (w.dims() == 3) return at::avg_pool3d(x, w.kernel, w.strides, none, false, true, c10::nullopt);
  s.unsupported("training follows windows of 1 to 3 dimensions");
}

}  // namespace

void follow_max_pool(Step& s) {
  if (s.output_count() > 1 && s.wants(1)) s.unsupported("training does not follow its output of indices");
  const ops::Window w =
      ops::read_window(s.node(), spatial_sizes(s.input(0)), {}, s.node().integer("ceil_mode", 0) != 0);
  const at::Tensor x = padded(s.input(0), w, -std::numeric_limits<double>::infinity());
  const std::vector<int64_t> none(w.dims(), 0);
  if (w.dims() == 1)
    s.output(at::max_pool1d(x, w.kernel, w.strides, none, w.dilations));
  else if (w.dims() == 2)
    s.output(at::max_pool2d(x, w.kernel, w.strides, none, w.dilations));
  else if (w.dims() == 3)
    s.output(at::max_pool3d(x, w.kernel, w.strides, none, w.dilations));
  else
    s.unsupported("training follows windows of 1 to 3 dimensions");
}

void follow_average_pool(Step& s) {
  const at::Tensor& x = s.input(0);
  const ops::Window w = ops::read_window(s.node(), spatial_sizes(x), {}, s.node().integer("ceil_mode", 0) != 0);
  // The mean over whole windows of a padded input, where need be divided by the share of places that count.
  const at::Tensor means = mean_of_windows(s, padded(x, w, 0), w);
  const at::Tensor ones = at::ones(spatial_sizes(x)).unsqueeze(0).unsqueeze(0);
  at::Tensor counted = padded(ones, w, 0);
  if (s.node().integer("count_include_pad", 0) != 0) {
    // Padding counts, what lies beyond it (ceil_mode) does not.
    std::vector<int64_t> pads;
    for (size_t d = w.dims(); d-- > 0;) pads.insert(pads.end(), {w.pads_begin[d], w.pads_end[d]});
    ops::Window beyond = w;
    counted = at::constant_pad_nd(ones, pads, 1);
    for (size_t d = 0; d < w.dims(); ++d) {
      beyond.in[d] = w.in[d] + w.pads_begin[d] + w.pads_end[d];
      beyond.pads_begin[d] = beyond.pads_end[d] = 0;
    }
    counted = padded(counted, beyond, 0);
  }
  if (counted.numel() == ones.numel()) return s.output(means);
  s.output(means / mean_of_windows(s, counted, w));
}

void follow_global_average_pool(Step& s) { s.output(at::mean(s.input(0), spatial_axes(s.input(0)), true)); }
void follow_global_max_pool(Step& s) { s.output(at::amax(s.input(0), spatial_axes(s.input(0)), true)); }

}  // namespace nibble::train
