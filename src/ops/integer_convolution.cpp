// The Session's integer convolution: 8- or 4-bit activations (one a byte), 4- or 8-bit weights, exact int32 sums,
// channels last. Padding reads the activation's zero point, which stands for the real 0.
//   inputs: x, scale_x, zero_x, weight, bias, scale_y, zero_y (the last three may be absent)
#include <algorithm>
#include <cstring>

#include "ops/element_types.h"
#include "ops/integer_product.h"

namespace nibble::ops {
namespace {

void infer_integer_conv(InferContext& c) {
  const DType type = integer_output_type(c);
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, type);
  c.output(0, type, output_shape(read_convolution(c.node(), c.shape(0), c.shape(3))));
}

struct IntegerConvState {
  std::unique_ptr<IntegerWeight> weight;
  Requantizer requantizer;
  int32_t zero_x = 0;
};

/// Reduction elements in the order of a channels-last window: weight place of (ky, kx, c) is (c * kh + ky) * kw + kx.
std::vector<int64_t> window_order(const Shape& w) {
  std::vector<int64_t> order;
  for (int64_t y = 0; y < w[2]; ++y)
    for (int64_t x = 0; x < w[3]; ++x)
      for (int64_t ch = 0; ch < w[1]; ++ch) order.push_back((ch * w[2] + y) * w[3] + x);
  return order;
}

/// One output pixel's window: kh * kw runs of `run` bytes from channel `channel` on; zero_x outside.
void gather_window(const uint8_t* image, const ConvShape& conv, int64_t oy, int64_t ox, int64_t channel, int64_t run,
                   uint8_t zero, uint8_t flip, uint8_t* target) {
  const Window& w = conv.window;
  for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
    const int64_t y = oy * w.strides[0] + ky * w.dilations[0] - w.pads_begin[0];
    for (int64_t kx = 0; kx < w.kernel[1]; ++kx, target += run) {
      const int64_t x = ox * w.strides[1] + kx * w.dilations[1] - w.pads_begin[1];
      if (y < 0 || y >= w.in[0] || x < 0 || x >= w.in[1]) {
        std::memset(target, zero, static_cast<size_t>(run));
        continue;
      }
      const uint8_t* source = image + (y * w.in[1] + x) * conv.in_channels + channel;
      if (flip == 0)
        std::memcpy(target, source, static_cast<size_t>(run));
      else
        for (int64_t i = 0; i < run; ++i) target[i] = source[i] ^ flip;
    }
  }
}

template <typename Out>
void multiply_pixels(RunContext& c, const ConvShape& conv, const IntegerConvState& s, Out* y) {
  const IntegerWeight& weight = *s.weight;
  const Window& w = conv.window;
  const int64_t pixels = w.out[0] * w.out[1], outputs = conv.out_channels, part = outputs / conv.groups;
  const int64_t run = conv.in_channels / conv.groups, inner = weight.inner();
  const uint8_t flip = c.input(0).dtype() == DType::i8 ? 0x80 : 0;  // two's complement to offset binary
  const auto zero = static_cast<uint8_t>(s.zero_x);
  const uint8_t* x = data_of<uint8_t>(c.input(0));
  const bool pointwise = w.kernel[0] * w.kernel[1] == 1 && w.strides[0] * w.strides[1] == 1 &&
                         w.pads_begin[0] + w.pads_begin[1] + w.pads_end[0] + w.pads_end[1] == 0 && flip == 0;
  constexpr int64_t kPixels = 64;  // a tile of sums and its windows stay in the caches
  const int64_t tiles = (pixels + kPixels - 1) / kPixels;
  c.pool().for_each(conv.batch * tiles, [&](int64_t index, int) {
    const int64_t image = index / tiles, first = index % tiles * kPixels, count = std::min(kPixels, pixels - first);
    const uint8_t* source = x + image * w.in[0] * w.in[1] * conv.in_channels;
    thread_local std::vector<uint8_t> windows;
    thread_local std::vector<int32_t> sums;
    sums.resize(static_cast<size_t>(kPixels * part));
    for (int64_t g = 0; g < conv.groups; ++g) {
      const uint8_t* a = source + first * conv.in_channels + g * run;
      int64_t lda = conv.in_channels;
      if (!pointwise) {
        windows.resize(static_cast<size_t>(kPixels * inner));
        for (int64_t p = 0; p < count; ++p)
          gather_window(source, conv, (first + p) / w.out[1], (first + p) % w.out[1], g * run, run, zero, flip,
                        windows.data() + p * inner);
        a = windows.data();
        lda = inner;
      }
      weight.multiply(g, a, lda, count, sums.data(), part);
      for (int64_t p = 0; p < count; ++p)
        s.requantizer.finish(sums.data() + p * part, g * part, part,
                             y + (image * pixels + first + p) * outputs + g * part);
    }
  });
}

template <typename Out>
void depthwise_pixels(RunContext& c, const ConvShape& conv, const IntegerConvState& s, Out* y) {
  const Window& w = conv.window;
  const int64_t channels = conv.out_channels, taps = w.kernel[0] * w.kernel[1], pixels = w.out[0] * w.out[1];
  const int32_t flip = c.input(0).dtype() == DType::i8 ? 0x80 : 0;
  // Codes by tap, so that the loop over channels is contiguous.
  std::vector<int16_t> codes(static_cast<size_t>(taps * channels));
  for (int64_t ch = 0; ch < channels; ++ch)
    for (int64_t t = 0; t < taps; ++t)
      codes[static_cast<size_t>(t * channels + ch)] = s.weight->codes()[static_cast<size_t>(ch * taps + t)];
  const uint8_t* x = data_of<uint8_t>(c.input(0));
  c.pool().for_each(conv.batch * w.out[0], [&](int64_t index, int) {
    const int64_t image = index / w.out[0], oy = index % w.out[0];
    thread_local std::vector<int32_t> sums;
    sums.resize(static_cast<size_t>(channels));
    for (int64_t ox = 0; ox < w.out[1]; ++ox) {
      std::fill(sums.begin(), sums.end(), 0);
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t iy = oy * w.strides[0] + t / w.kernel[1] * w.dilations[0] - w.pads_begin[0];
        const int64_t ix = ox * w.strides[1] + t % w.kernel[1] * w.dilations[1] - w.pads_begin[1];
        const bool inside = iy >= 0 && iy < w.in[0] && ix >= 0 && ix < w.in[1];
        const int16_t* k = codes.data() + t * channels;
        if (!inside) {
          for (int64_t ch = 0; ch < channels; ++ch) sums[static_cast<size_t>(ch)] += s.zero_x * k[ch];
          continue;
        }
        const uint8_t* source = x + ((image * w.in[0] + iy) * w.in[1] + ix) * channels;
        for (int64_t ch = 0; ch < channels; ++ch) sums[static_cast<size_t>(ch)] += (source[ch] ^ flip) * k[ch];
      }
      s.requantizer.finish(sums.data(), 0, channels, y + (image * pixels + oy * w.out[1] + ox) * channels);
    }
  });
}

void run_integer_conv(RunContext& c) {
  if (c.output(0).elements() == 0) return;
  const ConvShape conv = read_convolution(c.node(), c.input(0).shape(), c.input(3).shape());
  auto& state = c.state<IntegerConvState>();
  const bool depthwise = conv.groups == conv.out_channels && conv.in_channels == conv.groups;
  if (!state.weight) {
    state.weight =
        std::make_unique<IntegerWeight>(c.input(3), false, conv.groups, window_order(c.input(3).shape()), !depthwise);
    state.requantizer = read_requantizer(c, *state.weight, state.zero_x);
  }
  const auto compute = [&](auto* y) {
    depthwise ? depthwise_pixels(c, conv, state, y) : multiply_pixels(c, conv, state, y);
  };
  if (state.requantizer.quantized)
    compute(mutable_data_of<uint8_t>(c.output(0)));
  else
    compute(mutable_data_of<float>(c.output(0)));
}

struct IntegerMatmulState {
  std::unique_ptr<IntegerWeight> weight;
  Requantizer requantizer;
  int32_t zero_x = 0;
};

void infer_integer_matmul(InferContext& c) {
  const DType type = integer_output_type(c);
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, type);
  Shape shape = c.shape(0);
  const bool outputs_last = c.node().integer("outputs_last", 1) != 0;
  const int64_t inner = c.shape(3)[outputs_last ? 0 : 1];
  c.require(!shape.empty() && (shape.back() == inner || shape.back() == kUnknown),
            "its input " + to_string(shape) + " does not end in " + std::to_string(inner));
  shape.back() = c.shape(3)[outputs_last ? 1 : 0];
  c.output(0, type, shape);
}

void run_integer_matmul(RunContext& c) {
  if (c.output(0).elements() == 0) return;
  auto& s = c.state<IntegerMatmulState>();
  if (!s.weight) {
    const bool outputs_last = c.node().integer("outputs_last", 1) != 0;
    std::vector<int64_t> order(static_cast<size_t>(c.input(3).shape()[outputs_last ? 0 : 1]));
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
    s.weight = std::make_unique<IntegerWeight>(c.input(3), outputs_last, 1, order);
    s.requantizer = read_requantizer(c, *s.weight, s.zero_x);
  }
  const int64_t inner = s.weight->inner(), outputs = s.weight->outputs(), rows = c.input(0).elements() / inner;
  std::vector<uint8_t> moved;
  const uint8_t* x = data_of<uint8_t>(c.input(0));
  if (c.input(0).dtype() == DType::i8) {
    moved.assign(x, x + c.input(0).elements());
    for (uint8_t& v : moved) v ^= 0x80;
    x = moved.data();
  }
  constexpr int64_t kRows = 32;
  const auto compute = [&](auto* y) {
    for_ranges(c.pool(), rows, kRows, [&](int64_t begin, int64_t end) {
      std::vector<int32_t> sums(static_cast<size_t>((end - begin) * outputs));
      s.weight->multiply(0, x + begin * inner, inner, end - begin, sums.data(), outputs);
      for (int64_t r = begin; r < end; ++r)
        s.requantizer.finish(sums.data() + (r - begin) * outputs, 0, outputs, y + r * outputs);
    });
  };
  if (s.requantizer.quantized)
    compute(mutable_data_of<uint8_t>(c.output(0)));
  else
    compute(mutable_data_of<float>(c.output(0)));
}

}  // namespace

const Operator& integer_conv() {
  static const Operator op{"IntegerConv",    "nibble",       4,   7, 1, infer_integer_conv,
                           run_integer_conv, Layout::kFixed, true};
  return op;
}
/// Inputs as integer_conv; the weight is [K, N] (outputs_last = 1) or [N, K].
const Operator& integer_matmul() {
  static const Operator op{"IntegerMatMul",    "nibble",       4,   7, 1, infer_integer_matmul,
                           run_integer_matmul, Layout::kFixed, true};
  return op;
}

}  // namespace nibble::ops
