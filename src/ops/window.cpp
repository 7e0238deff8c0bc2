#include "ops/window.h"

#include <algorithm>

namespace nibble::ops {

Window read_window(const Node& node, const std::vector<int64_t>& in, const std::vector<int64_t>& kernel,
                   bool ceil_mode) {
  const auto require = [&](bool ok, const std::string& sentence) {
    if (!ok) base::fail_malformed(node.describe(), sentence);
  };
  const size_t dims = in.size();
  constexpr int64_t kLargest = int64_t{1} << 30;  // keeps every product below well inside 64 bits
  Window w;
  w.in = in;
  w.kernel = node.integers("kernel_shape", kernel);
  w.strides = node.integers("strides", std::vector<int64_t>(dims, 1));
  w.dilations = node.integers("dilations", std::vector<int64_t>(dims, 1));
  std::vector<int64_t> pads = node.integers("pads", std::vector<int64_t>(2 * dims, 0));
  const auto check = [&](const char* what, const std::vector<int64_t>& list, size_t length, int64_t lowest) {
    require(list.size() == length, std::string(what) + " has " + std::to_string(list.size()) + " values, " +
                                       std::to_string(length) + " were expected");
    for (const int64_t v : list)
      require(v >= lowest && v <= kLargest, std::string(what) + " holds " + std::to_string(v) + ", out of range");
  };
  check("kernel_shape", w.kernel, dims, 1);
  check("strides", w.strides, dims, 1);
  check("dilations", w.dilations, dims, 1);
  check("pads", pads, 2 * dims, 0);
  if (!kernel.empty() && node.has("kernel_shape"))
    require(w.kernel == kernel, "kernel_shape differs from the weight's spatial shape");
  const std::string auto_pad = node.text("auto_pad", "NOTSET");
  require(auto_pad == "NOTSET" || auto_pad == "VALID" || auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER",
          "auto_pad is " + base::in_quotes(auto_pad));
  w.pads_begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(dims));
  w.pads_end.assign(pads.begin() + static_cast<std::ptrdiff_t>(dims), pads.end());
  w.out.assign(dims, kUnknown);
  for (size_t d = 0; d < dims; ++d) {
    if (auto_pad != "NOTSET") w.pads_begin[d] = w.pads_end[d] = 0;
    if (in[d] == kUnknown) continue;
    require(in[d] <= kLargest, "a spatial size is too large");
    const int64_t extent = (w.kernel[d] - 1) * w.dilations[d] + 1;
    if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      w.out[d] = (in[d] + w.strides[d] - 1) / w.strides[d];
      const int64_t total = std::max<int64_t>(0, (w.out[d] - 1) * w.strides[d] + extent - in[d]);
      w.pads_begin[d] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.pads_end[d] = total - w.pads_begin[d];
      continue;
    }
    const int64_t room = in[d] + w.pads_begin[d] + w.pads_end[d] - extent;
    require(room >= 0, "its window of " + std::to_string(extent) + " is larger than the padded input of " +
                           std::to_string(in[d] + w.pads_begin[d] + w.pads_end[d]));
    w.out[d] = room / w.strides[d] + 1;
    if (ceil_mode && room % w.strides[d] != 0 && w.out[d] * w.strides[d] < in[d] + w.pads_begin[d]) ++w.out[d];
  }
  return w;
}

}  // namespace nibble::ops
