// ConvTranspose: the product W^T x, [outputs * kernel, inputs] x [inputs, positions], whose columns are then added to
// the places of the output that the kernel covers. The product is cut into tiles of positions, the additions by output
// channel: every output is summed in one order, for any number of threads.
#include <algorithm>

#include "ops/element_types.h"
#include "ops/gemm.h"

namespace nibble::ops {
namespace {

struct TransposedConv {
  int64_t batch = 0, in_channels = 0, out_channels = 0, groups = 1;
  std::vector<int64_t> in, out, kernel, strides, dilations, pads_begin, pads_end, extra;
};

/// out = (in - 1) * stride + (kernel - 1) * dilation + 1 + output_padding - pads; with output_shape or auto_pad the
/// pads follow from the size instead.
TransposedConv read_transposed(const Node& node, const Shape& x, const Shape& w) {
  const auto require = [&](bool ok, const std::string& sentence) {
    if (!ok) base::fail_malformed(node.describe(), sentence);
  };
  require(x.size() >= 3, "its input has shape " + to_string(x) + ", at least 3 dimensions were expected");
  require(w.size() == x.size(), "its weight " + to_string(w) + " and input " + to_string(x) + " differ in rank");
  for (const int64_t size : w) require(size >= 1 || size == kUnknown, "its weight " + to_string(w) + " is empty");
  TransposedConv t;
  const size_t dims = x.size() - 2;
  t.batch = x[0];
  t.in_channels = x[1];
  t.groups = node.integer("group", 1);
  require(t.groups >= 1 && t.groups <= (int64_t{1} << 30), "group is " + std::to_string(t.groups));
  require(
      w[0] == kUnknown || x[1] == kUnknown || w[0] == x[1],
      "its input has " + std::to_string(x[1]) + " channels, its weight " + to_string(w) + " expects another number");
  require(w[0] == kUnknown || w[0] % t.groups == 0, "group does not divide its input channels");
  require(w[1] <= kMostElements / t.groups, "its output would be too large");
  t.out_channels = w[1] == kUnknown ? kUnknown : w[1] * t.groups;
  t.in.assign(x.begin() + 2, x.end());
  t.kernel.assign(w.begin() + 2, w.end());
  constexpr int64_t kLargest = int64_t{1} << 30;  // keeps every product below well inside 64 bits
  const auto read = [&](const char* key, std::vector<int64_t> fallback, int64_t lowest) {
    auto list = node.integers(key, std::move(fallback));
    const size_t wanted = std::string_view(key) == "pads" ? 2 * dims : dims;
    require(list.size() == wanted, std::string(key) + " has " + std::to_string(list.size()) + " values, " +
                                       std::to_string(wanted) + " were expected");
    for (const int64_t v : list)
      require(v >= lowest && v <= kLargest, std::string(key) + " holds " + std::to_string(v) + ", out of range");
    return list;
  };
  if (node.has("kernel_shape"))
    require(node.integers("kernel_shape") == t.kernel || !is_known(t.kernel),
            "kernel_shape differs from the weight's spatial shape");
  t.strides = read("strides", std::vector<int64_t>(dims, 1), 1);
  t.dilations = read("dilations", std::vector<int64_t>(dims, 1), 1);
  t.extra = read("output_padding", std::vector<int64_t>(dims, 0), 0);
  const auto pads = read("pads", std::vector<int64_t>(2 * dims, 0), 0);
  t.pads_begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(dims));
  t.pads_end.assign(pads.begin() + static_cast<std::ptrdiff_t>(dims), pads.end());
  const std::string auto_pad = node.text("auto_pad", "NOTSET");
  require(auto_pad == "NOTSET" || auto_pad == "VALID" || auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER",
          "auto_pad is " + base::in_quotes(auto_pad));
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  std::vector<int64_t> wanted;
  if (node.has("output_shape")) {
    wanted = node.integers("output_shape");
    if (wanted.size() == dims + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
    require(wanted.size() == dims, "output_shape has " + std::to_string(wanted.size()) + " values");
    for (const int64_t v : wanted) require(v >= 0 && v <= kLargest, "output_shape holds " + std::to_string(v));
  }
  t.out.assign(dims, kUnknown);
  for (size_t d = 0; d < dims; ++d) {
    if (auto_pad == "VALID") t.pads_begin[d] = t.pads_end[d] = 0;
    if (t.in[d] == kUnknown || t.kernel[d] == kUnknown) continue;
    require(t.in[d] <= kLargest && t.kernel[d] <= kLargest, "a spatial size is too large");
    const int64_t full = (t.in[d] - 1) * t.strides[d] + (t.kernel[d] - 1) * t.dilations[d] + 1 + t.extra[d];
    if (!wanted.empty() || same) {
      t.out[d] = wanted.empty() ? t.in[d] * t.strides[d] : wanted[d];
      const int64_t total = std::max<int64_t>(0, full - t.out[d]);
      // The larger half stands at the end with SAME_UPPER, else at the begin.
      t.pads_begin[d] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      t.pads_end[d] = total - t.pads_begin[d];
    } else {
      t.out[d] = full - t.pads_begin[d] - t.pads_end[d];
    }
    require(t.out[d] >= 0, "its padding takes away more than its output has");
  }
  return t;
}

void infer_conv_transpose(InferContext& c) {
  c.require(c.dtype(0) == c.dtype(1), "its input and weight have different element types");
  if (c.has(2)) c.require(c.dtype(2) == c.dtype(0), "its bias and its input have different element types");
  if (!c.shape_known(0) || !c.shape_known(1)) return c.output_of_unknown_rank(0, c.dtype(0));
  const TransposedConv t = read_transposed(c.node(), c.shape(0), c.shape(1));
  if (c.has(2) && c.shape_known(2))
    c.require(
        c.shape(2) == Shape{t.out_channels} || t.out_channels == kUnknown || !is_known(c.shape(2)),
        "its bias has shape " + to_string(c.shape(2)) + ", [" + std::to_string(t.out_channels) + "] was expected");
  Shape shape{t.batch, t.out_channels};
  shape.insert(shape.end(), t.out.begin(), t.out.end());
  c.output(0, c.dtype(0), shape);
}

/// Adds the columns of input positions [begin, end) of one output channel. `columns` is [kernel, end - begin].
void add_columns(const TransposedConv& t, const float* columns, int64_t begin, int64_t end, float* y) {
  const size_t dims = t.in.size();
  const int64_t kernel = element_count(t.kernel), count = end - begin;
  std::vector<int64_t> offset(dims);
  for (int64_t k = 0; k < kernel; ++k, columns += count) {
    int64_t rest = k;
    for (size_t d = dims; d-- > 0; rest /= t.kernel[d])
      offset[d] = rest % t.kernel[d] * t.dilations[d] - t.pads_begin[d];
    for (int64_t p = begin; p < end; ++p) {
      int64_t position = p, at = 0, step = 1;
      bool inside = true;
      for (size_t d = dims; d-- > 0; position /= t.in[d], step *= t.out[d]) {
        const int64_t o = position % t.in[d] * t.strides[d] + offset[d];
        inside = inside && o >= 0 && o < t.out[d];
        at += o * step;
      }
      if (inside) y[at] += columns[p - begin];
    }
  }
}

void run_conv_transpose(RunContext& c) {
  if (c.input(0).dtype() != DType::f32) c.unsupported("takes only 32-bit floats");
  const TransposedConv t = read_transposed(c.node(), c.input(0).shape(), c.input(1).shape());
  const int64_t positions = element_count(t.in), area = element_count(t.out), kernel = element_count(t.kernel);
  const int64_t inputs = t.in_channels / t.groups, outputs = t.out_channels / t.groups;
  float* y = mutable_data_of<float>(c.output(0));
  const float* bias = c.has(2) ? data_of<float>(c.input(2)) : nullptr;
  if (c.output(0).elements() == 0) return;
  for (int64_t i = 0; i < t.batch * t.out_channels; ++i)
    std::fill_n(y + i * area, area, bias ? bias[i % t.out_channels] : 0.0f);
  if (positions == 0 || inputs == 0) return;
  constexpr int64_t kTile = int64_t{1} << 20;  // products held at a time: 4 MiB
  const int64_t rows = outputs * kernel, tile = std::clamp<int64_t>(kTile / rows, 1, positions);
  std::vector<float> columns(static_cast<size_t>(rows * tile));
  for (int64_t n = 0; n < t.batch; ++n)
    for (int64_t g = 0; g < t.groups; ++g) {
      const float* x = data_of<float>(c.input(0)) + (n * t.in_channels + g * inputs) * positions;
      const float* w = data_of<float>(c.input(1)) + g * inputs * rows;
      float* target = y + (n * t.out_channels + g * outputs) * area;
      for (int64_t begin = 0; begin < positions; begin += tile) {
        const int64_t end = std::min(begin + tile, positions), count = end - begin;
        gemm(true, false, rows, count, inputs, 1.0f, w, rows, x + begin, positions, 0.0f, columns.data(), count,
             c.pool());
        for_ranges(c.pool(), outputs, std::max<int64_t>(1, kGrain / (kernel * count)), [&](int64_t from, int64_t to) {
          for (int64_t o = from; o < to; ++o)
            add_columns(t, columns.data() + o * kernel * count, begin, end, target + o * area);
        });
      }
    }
}

}  // namespace

const Operator& conv_transpose() {
  static const Operator op{"ConvTranspose", "",   2, 3, 1, infer_conv_transpose, run_conv_transpose,
                           Layout::kFixed,  false};
  return op;
}

}  // namespace nibble::ops
