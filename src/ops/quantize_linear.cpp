// QuantizeLinear and DequantizeLinear: per tensor, per axis and blocked, for every code type of ONNX opset 10 to 28.
//   q = saturate(round_half_even(x / scale) + zero_point)      x = (q - zero_point) * scale
// Specification: onnx/docs/Operators.md. The division is a true division: x * (1 / scale) would flip ties.
#include <algorithm>
#include <cmath>

#include "codec/format.h"
#include "ops/element_types.h"
#include "ops/numbers.h"

namespace nibble::ops {
namespace {

/// How scale elements map onto data elements: element i uses scale [i / inner % axis_size / block] of its outer row.
struct Granularity {
  int64_t axis_size = 1, inner = 1, block = 1, scales_on_axis = 1;
  bool per_tensor = true, blocked = false;

  int64_t scale_index(int64_t i) const {
    if (per_tensor) return 0;
    const int64_t on_axis = i / inner % axis_size;
    if (!blocked) return on_axis;
    return (i / (inner * axis_size) * scales_on_axis + on_axis / block) * inner + i % inner;
  }
};

Granularity read_granularity(const InferContext& c, const Shape& x, const Shape& scale) {
  Granularity g;
  const int64_t block = c.node().integer("block_size", 0);
  if (element_count(scale) == 1 && block == 0) return g;
  g.per_tensor = false;
  const int64_t axis = checked_axis(c, c.node().integer("axis", 1), static_cast<int64_t>(x.size()));
  g.axis_size = x[static_cast<size_t>(axis)];
  for (size_t d = static_cast<size_t>(axis) + 1; d < x.size(); ++d) g.inner *= x[d];
  if (block == 0) {
    c.require(scale.size() == 1 && scale[0] == g.axis_size,
              "its scale " + to_string(scale) + " must have one value for each of the " + std::to_string(g.axis_size) +
                  " places of axis " + std::to_string(axis));
    return g;
  }
  c.require(block > 0, "block_size is " + std::to_string(block));
  c.require(scale.size() == x.size(),
            "its scale " + to_string(scale) + " must have the rank of its input " + to_string(x));
  g.blocked = true;
  g.block = block;
  g.scales_on_axis = scale[static_cast<size_t>(axis)];
  for (size_t d = 0; d < x.size(); ++d) {
    const int64_t wanted =
        static_cast<int64_t>(d) == axis ? (g.axis_size > 0 ? (g.axis_size - 1) / block + 1 : 0) : x[d];
    c.require(scale[d] == wanted, "its scale " + to_string(scale) + " does not fit its input " + to_string(x) +
                                      " in blocks of " + std::to_string(block));
  }
  return g;
}

void check_scale(const InferContext& c) {
  if (c.has(2) && c.shape_known(1) && c.shape_known(2))
    c.require(element_count(c.shape(1)) == element_count(c.shape(2)), "its scale and zero point differ in shape");
  if (c.shape_known(0) && c.shape_known(1) && is_known(c.shape(0)) && is_known(c.shape(1)))
    read_granularity(c, c.shape(0), c.shape(1));
}

void infer_quantize(InferContext& c) {
  check_scale(c);
  const DType type = c.has(2) ? c.dtype(2) : read_dtype(c.node(), "output_dtype", DType::u8);
  if (c.shape_known(0))
    c.output(0, type, c.shape(0));
  else
    c.output_of_unknown_rank(0, type);
}

void infer_dequantize(InferContext& c) {
  check_scale(c);
  if (c.has(2)) c.require(c.dtype(2) == c.dtype(0), "its zero point and its input have different types");
  const DType type = read_dtype(c.node(), "output_dtype", c.dtype(1));
  if (c.shape_known(0))
    c.output(0, type, c.shape(0));
  else
    c.output_of_unknown_rank(0, type);
}

Granularity granularity_of(RunContext& c) {
  std::vector<InputFacts> facts(c.input_count());
  return read_granularity(InferContext(c.node(), facts, {}), c.input(0).shape(), c.input(1).shape());
}

struct CodeRange {
  int32_t low, high;
};
/// Range of an integer code type; false for 4- and 8-bit floats.
bool code_range(DType dtype, CodeRange& range) {
  switch (dtype) {
    case DType::i8:
      range = {-128, 127};
      return true;
    case DType::u8:
      range = {0, 255};
      return true;
    case DType::i16:
      range = {-32768, 32767};
      return true;
    case DType::u16:
      range = {0, 65535};
      return true;
    case DType::int4:
      range = {-8, 7};
      return true;
    case DType::uint4:
      range = {0, 15};
      return true;
    case DType::int2:
      range = {-2, 1};
      return true;
    case DType::uint2:
      range = {0, 3};
      return true;
    default:
      return false;
  }
}

/// round_half_even(x / scale) + zero, saturated. NaN becomes the zero point.
inline int32_t quantize_one(float x, float scale, int32_t zero, CodeRange range) {
  const float q = std::nearbyint(x / scale);
  const float low = static_cast<float>(range.low - zero), high = static_cast<float>(range.high - zero);
  return static_cast<int32_t>(q >= high ? high : (q > low ? q : (q == q ? low : 0.0f))) + zero;
}

/// The path that networks take: f32 in, one scale, 8-bit or 4-bit codes out.
void quantize_per_tensor(RunContext& c, float scale, int32_t zero, CodeRange range) {
  const float* x = data_of<float>(c.input(0));
  const bool packed = tensor::is_packed(c.output(0).dtype());
  uint8_t* y = mutable_data_of<uint8_t>(c.output(0));
  for_ranges(c.pool(), c.input(0).elements(), kGrain, [&](int64_t begin, int64_t end) {  // kGrain is even
    if (!packed) {
      for (int64_t i = begin; i < end; ++i) y[i] = static_cast<uint8_t>(quantize_one(x[i], scale, zero, range));
      return;
    }
    for (int64_t i = begin; i < end; i += 2) {
      const int32_t low = quantize_one(x[i], scale, zero, range) & 15;
      const int32_t high = i + 1 < end ? quantize_one(x[i + 1], scale, zero, range) & 15 : 0;
      y[i / 2] = static_cast<uint8_t>(low | high << 4);
    }
  });
}

void run_quantize(RunContext& c) {
  const Granularity g = granularity_of(c);
  CodeRange range{};
  const DType type = c.output(0).dtype();
  const bool integer = code_range(type, range);
  if (c.node().integer("code_bits", 8) == 4)  // the Session's 4-bit codes, one a byte
    range = type == DType::i8 ? CodeRange{-8, 7} : CodeRange{0, 15};
  const auto scales = decode_numbers(c.input(1));
  for (const double s : scales)
    if (!(std::isfinite(s) && s != 0)) c.malformed("a scale is " + std::to_string(s));
  const auto zeros = c.has(2) ? decode_numbers(c.input(2)) : std::vector<double>(scales.size(), 0.0);
  const int bits = bits_of(type);
  if (c.input(0).dtype() == DType::f32 && integer && g.per_tensor && (bits == 8 || bits == 4))
    return quantize_per_tensor(c, static_cast<float>(scales[0]), static_cast<int32_t>(zeros[0]), range);
  auto values = decode_numbers(c.input(0));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto s = static_cast<size_t>(g.scale_index(static_cast<int64_t>(i)));
    const auto quotient = static_cast<float>(values[i]) / static_cast<float>(scales[s]);
    values[i] = integer ? quantize_one(static_cast<float>(values[i]), static_cast<float>(scales[s]),
                                       static_cast<int32_t>(zeros[s]), range)
                        : static_cast<double>(quotient) + zeros[s];
  }
  c.output(0) = encode_numbers(type, c.input(0).shape(), values, c.node().integer("saturate", 1) != 0);
}

void run_dequantize(RunContext& c) {
  const Granularity g = granularity_of(c);
  const auto scales = decode_numbers(c.input(1));
  const auto zeros = c.has(2) ? decode_numbers(c.input(2)) : std::vector<double>(scales.size(), 0.0);
  const DType from = c.input(0).dtype();
  if (c.output(0).dtype() == DType::f32 && g.per_tensor && (from == DType::u8 || from == DType::i8)) {
    const auto scale = static_cast<float>(scales[0]);
    const auto zero = static_cast<int32_t>(zeros[0]);
    float* y = mutable_data_of<float>(c.output(0));
    const auto decode = [&](const auto* x) {
      for_ranges(c.pool(), c.input(0).elements(), kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) y[i] = static_cast<float>(x[i] - zero) * scale;
      });
    };
    from == DType::u8 ? decode(data_of<uint8_t>(c.input(0))) : decode(data_of<int8_t>(c.input(0)));
    return;
  }
  auto values = decode_numbers(c.input(0));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto s = static_cast<size_t>(g.scale_index(static_cast<int64_t>(i)));
    // In float32 and in this order, as ONNX computes it; the difference of codes is exact.
    values[i] = static_cast<double>(static_cast<float>(values[i] - zeros[s]) * static_cast<float>(scales[s]));
  }
  c.output(0) = encode_numbers(c.output(0).dtype(), c.input(0).shape(), values, true);
}

}  // namespace

const Operator& quantize_linear() {
  static const Operator op{"QuantizeLinear", "", 2, 3, 1, infer_quantize, run_quantize, Layout::kFixed, false};
  return op;
}
const Operator& dequantize_linear() {
  static const Operator op{"DequantizeLinear", "", 2, 3, 1, infer_dequantize, run_dequantize, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
