// ConvTranspose: torch's without any padding, cut or filled up to the size that ONNX asks for.
#include "train/gradients/gradient.h"

namespace nibble::train {

/// Along one axis all positions make (in - 1) * stride + (kernel - 1) * dilation + 1; output_padding adds zeros at the
/// end, pads cut both ends. With output_shape or auto_pad the pads follow from the size, the larger half at the end for
/// SAME_UPPER, else at the begin.
void follow_conv_transpose(Step& s) {
  const graph::Node& node = s.node();
  const at::Tensor &x = s.input(0), &w = s.input(1);
  const auto dims = static_cast<size_t>(x.dim() - 2);
  const std::vector<int64_t> ones(dims, 1), none(dims, 0);
  const auto strides = node.integers("strides", ones), dilations = node.integers("dilations", ones);
  const auto extra = node.integers("output_padding", none);
  const auto pads = node.integers("pads", std::vector<int64_t>(2 * dims, 0));
  auto wanted = node.integers("output_shape");
  if (wanted.size() == dims + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  const std::string auto_pad = node.text("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  const at::Tensor all =
      at::convolution(x, w, at::Tensor(), strides, none, dilations, true, none, node.integer("group", 1));
  std::vector<int64_t> change;  // at both ends, the last dimension first
  for (size_t d = dims; d-- > 0;) {
    const int64_t made = all.size(static_cast<int64_t>(d) + 2), full = made + extra.at(d);
    int64_t begin = auto_pad == "VALID" ? 0 : pads.at(d),
            out = full - begin - (auto_pad == "VALID" ? 0 : pads.at(d + dims));
    if (!wanted.empty() || same) {
      out = wanted.empty() ? x.size(static_cast<int64_t>(d) + 2) * strides.at(d) : wanted.at(d);
      const int64_t cut = std::max<int64_t>(0, full - out);
      begin = auto_pad == "SAME_UPPER" ? cut / 2 : cut - cut / 2;
    }
    change.insert(change.end(), {-begin, out - (made - begin)});
  }
  at::Tensor y = at::constant_pad_nd(all, change);
  if (s.has(2)) {
    std::vector<int64_t> channels(static_cast<size_t>(y.dim()), 1);
    channels[1] = s.input(2).numel();
    y = y + s.input(2).reshape(channels);
  }
  s.output(y);
}

}  // namespace nibble::train
