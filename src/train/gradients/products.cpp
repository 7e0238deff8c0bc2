// Conv, Gemm, MatMul.
#include "ops/window.h"
#include "train/gradients/gradient.h"

namespace nibble::train {

void follow_conv(Step& s) {
  const graph::Node& node = s.node();
  at::Tensor x = s.input(0);
  const at::Tensor& w = s.input(1);
  const auto spatial = [](const at::Tensor& t) { return std::vector<int64_t>(t.sizes().begin() + 2, t.sizes().end()); };
  const ops::Window window = ops::read_window(node, spatial(x), spatial(w), false);
  // Channels last is what libtorch's convolutions are fastest in; what follows keeps the layout.
  if (x.dim() == 4) x = x.contiguous(at::MemoryFormat::ChannelsLast);
  std::vector<int64_t> padding = window.pads_begin;
  if (window.pads_begin != window.pads_end) {
    std::vector<int64_t> pads;  // the last dimension first
    for (size_t d = window.dims(); d-- > 0;) pads.insert(pads.end(), {window.pads_begin[d], window.pads_end[d]});
    x = at::constant_pad_nd(x, pads);
    padding.assign(window.dims(), 0);
  }
  s.output(at::convolution(x, w, s.input_or(2, {}), window.strides, padding, window.dilations, false,
                           std::vector<int64_t>(window.dims(), 0), node.integer("group", 1)));
}

void follow_gemm(Step& s) {
  const graph::Node& node = s.node();
  const at::Tensor a = node.integer("transA", 0) ? s.input(0).t() : s.input(0);
  const at::Tensor b = node.integer("transB", 0) ? s.input(1).t() : s.input(1);
  const double alpha = double{node.real("alpha", 1)}, beta = double{node.real("beta", 1)};
  if (s.has(2))
    s.output(at::addmm(s.input(2), a, b, beta, alpha));
  else
    s.output(alpha == 1 ? at::mm(a, b) : at::mm(a, b) * alpha);
}

void follow_matmul(Step& s) { s.output(at::matmul(s.input(0), s.input(1))); }

}  // namespace nibble::train
