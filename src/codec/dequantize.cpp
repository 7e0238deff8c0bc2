#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "base/checked.h"
#include "base/error.h"
#include "base/small_float.h"
#include "codec/blocks.h"
#include "codec/format.h"

namespace nibble::codec {
namespace {

using tensor::Quantization;
using tensor::Shape;

constexpr int64_t kChunk = int64_t{1} << 16;  // elements of one piece of work

float scale_value(const Tensor& scale, int64_t i) {
  const auto at = static_cast<size_t>(i);
  switch (scale.dtype()) {
    case DType::f32:
      return scale.values<float>()[at];
    case DType::f16:
      return base::f16_to_f32(scale.values<uint16_t>()[at]);
    case DType::bf16:
      return base::bf16_to_f32(scale.values<uint16_t>()[at]);
    case DType::f8e8m0:
      return base::e8m0_to_f32(scale.values<uint8_t>()[at]);
    case DType::f8e4m3:
      return base::e4m3_to_f32(scale.values<uint8_t>()[at]);
    default:
      NIBBLE_INVARIANT(false);
  }
  return 0.0f;
}

/// Element `i` of a tensor of codes, as the value that the code's bits stand for.
int code_at(const Tensor& codes, int64_t i) {
  const auto bytes = codes.values<uint8_t>();
  if (tensor::bits_of(codes.dtype()) == 8) {
    const uint8_t byte = bytes[static_cast<size_t>(i)];
    return codes.dtype() == DType::i8 ? static_cast<int8_t>(byte) : byte;
  }
  const int nibble = (bytes[static_cast<size_t>(i / 2)] >> (i % 2 * 4)) & 15;
  return codes.dtype() == DType::int4 && nibble >= 8 ? nibble - 16 : nibble;
}

/// code_shape seen as [outer, axis, inner], and how parameters repeat along it.
struct Granularity {
  int64_t outer = 1, axis = 1, inner = 1;
  int64_t block = 1;        ///< consecutive indices along the axis that share parameters
  int64_t groups = 1;       ///< groups along the axis
  bool each_inner = false;  ///< parameters differ along `inner` too
  bool each_outer = false;  ///< parameters differ along `outer` too
};

Granularity granularity_of(const Quantization& q) {
  Granularity g;
  const Shape& shape = q.code_shape;
  if (q.scale.elements() == 1 && q.block == 0) {
    g.inner = tensor::element_count(shape);
    return g;
  }
  const auto axis = static_cast<size_t>(q.axis);
  for (size_t i = 0; i < shape.size(); ++i) (i < axis ? g.outer : i == axis ? g.axis : g.inner) *= shape[i];
  if (q.block > 0) {
    g.block = q.block;
    g.each_inner = g.each_outer = true;
  }
  g.groups = (g.axis + g.block - 1) / g.block;
  return g;
}

/// The levels of a format by the raw bits of a code.
std::array<float, 256> levels_by_bits(const NumberFormat& format) {
  std::array<float, 256> table{};
  const int mask = (1 << format.bits) - 1;
  for (int code = format.lowest_code; code <= format.highest_code(); ++code)
    table[static_cast<size_t>(code & mask)] = format.level(code);
  return table;
}

/// Writes `count` raw codes that start at element `start`.
void raw_codes(const uint8_t* packed, int bits, int64_t start, int64_t count, uint8_t* out) {
  if (bits == 8) {
    std::copy_n(packed + start, count, out);
    return;
  }
  int64_t i = 0;
  if (start % 2 != 0 && count > 0) out[i++] = packed[start / 2] >> 4;
  const uint8_t* from = packed + (start + i) / 2;
  for (; i + 2 <= count; i += 2, ++from) {
    out[i] = *from & 15;
    out[i + 1] = *from >> 4;
  }
  if (i < count) out[i] = *from & 15;
}

/// Decodes rows of one index of (outer, axis) each, or pieces of them.
class Decoder {
 public:
  explicit Decoder(const Tensor& t)
      : q_(*t.quantization()),
        shape_(granularity_of(q_)),
        packed_(t.values<uint8_t>().data()),
        levels_(levels_by_bits(*q_.format)) {
    const auto count = static_cast<size_t>(q_.scale.elements());
    scale_.resize(count);
    zero_.assign(q_.zero ? count : 0, 0.0f);
    for (size_t i = 0; i < count; ++i) {
      scale_[i] = scale_value(q_.scale, static_cast<int64_t>(i));
      if (q_.format->tensor_scale) scale_[i] *= q_.tensor_scale;
      if (q_.zero) zero_[i] = static_cast<float>(code_at(q_.zero, static_cast<int64_t>(i)));
    }
    if (q_.offset) offset_ = q_.offset.values<float>().data();
  }

  /// Elements [start, end) of the whole tensor.
  void decode(int64_t start, int64_t end, float* out) const {
    std::array<uint8_t, 4096> codes;
    while (start < end) {
      const int64_t inner = start % shape_.inner;
      const int64_t along = start / shape_.inner % shape_.axis;
      const int64_t outer = start / shape_.inner / shape_.axis;
      const int64_t group = along / shape_.block;
      const int64_t first =
          ((shape_.each_outer ? outer : 0) * shape_.groups + group) * (shape_.each_inner ? shape_.inner : 1) +
          (shape_.each_inner ? inner : 0);
      // Consecutive elements under one group's parameters, under consecutive parameters, or up to the row's end.
      int64_t run = shape_.inner - inner;
      int64_t step = shape_.each_inner && shape_.inner > 1 ? 1 : 0;
      if (shape_.inner == 1) {
        const bool row_of_channels = shape_.block == 1;
        run =
            row_of_channels ? shape_.axis - along : std::min(shape_.block - along % shape_.block, shape_.axis - along);
        step = row_of_channels ? 1 : 0;
      }
      run = std::min({run, end - start, static_cast<int64_t>(codes.size())});
      raw_codes(packed_, q_.format->bits, start, run, codes.data());
      step == 0 ? same_params(codes.data(), run, first, out) : own_params(codes.data(), run, first, out);
      start += run;
      out += run;
    }
  }

 private:
  void same_params(const uint8_t* codes, int64_t count, int64_t at, float* out) const {
    const auto p = static_cast<size_t>(at);
    const float scale = scale_[p], zero = zero_.empty() ? 0.0f : zero_[p], offset = offset_ ? offset_[p] : 0.0f;
    for (int64_t i = 0; i < count; ++i) out[i] = scale * (levels_[codes[i]] - zero) + offset;
  }

  void own_params(const uint8_t* codes, int64_t count, int64_t at, float* out) const {
    const float* scale = scale_.data() + at;
    const float* zero = zero_.empty() ? nullptr : zero_.data() + at;
    const float* offset = offset_ ? offset_ + at : nullptr;
    for (int64_t i = 0; i < count; ++i)
      out[i] = scale[i] * (levels_[codes[i]] - (zero ? zero[i] : 0.0f)) + (offset ? offset[i] : 0.0f);
  }

  const Quantization& q_;
  Granularity shape_;
  const uint8_t* packed_;
  std::array<float, 256> levels_;
  std::vector<float> scale_, zero_;
  const float* offset_ = nullptr;
};

}  // namespace

Tensor dequantize(const Tensor& t, base::ThreadPool* pool) {
  if (!t.quantization() && t.dtype() == DType::f32) return t;
  Tensor out(DType::f32, t.shape(), true);
  float* values = out.mutable_values<float>().data();
  std::function<void(int64_t, int64_t, float*)> work;
  if (t.quantization()) {
    work = [decoder = std::make_shared<Decoder>(t)](int64_t start, int64_t end, float* to) {
      decoder->decode(start, end, to);
    };
  } else {
    work = [&t](int64_t start, int64_t end, float* to) { decode_range(t, start, end - start, to); };
  }
  const int64_t elements = t.elements();
  const auto piece = [&](int64_t index, int) {
    const int64_t start = index * kChunk;
    work(start, std::min(start + kChunk, elements), values + start);
  };
  const int64_t pieces = (elements + kChunk - 1) / kChunk;
  if (pool) {
    pool->for_each(pieces, piece);
  } else {
    for (int64_t i = 0; i < pieces; ++i) piece(i, 0);
  }
  return out;
}

void check_quantization(const Tensor& t, const std::string& place) {
  NIBBLE_INVARIANT(t.quantization() != nullptr);
  const Quantization& q = *t.quantization();
  const auto require = [&](bool condition, const std::string& sentence) {
    if (!condition) base::fail_malformed(place, sentence);
  };
  require(q.format != nullptr, "has codes of no known number format");
  require(t.dtype() == q.format->code, "has codes of type " + std::string(tensor::name_of(t.dtype())) +
                                           ", the format " + std::string(q.format->name) + " needs " +
                                           std::string(tensor::name_of(q.format->code)));
  require(base::checked_product(q.code_shape, place) == t.elements(),
          "has codes of shape " + tensor::to_string(q.code_shape) + " for a tensor of shape " +
              tensor::to_string(t.shape()));
  require(static_cast<bool>(q.scale), "has no scale");
  const Shape& shape = q.scale.shape();
  if (q.block == 0) {
    const bool scalar = q.scale.elements() == 1 && shape.size() <= 1;
    const bool axis_fits = q.axis >= 0 && q.axis < static_cast<int64_t>(q.code_shape.size());
    require(scalar || (shape.size() == 1 && axis_fits && shape[0] == q.code_shape[static_cast<size_t>(q.axis)]),
            "has a scale of shape " + tensor::to_string(shape) + " that fits neither the tensor nor axis " +
                std::to_string(q.axis) + " of " + tensor::to_string(q.code_shape));
  } else {
    require(q.block > 0 && q.axis >= 0 && q.axis < static_cast<int64_t>(q.code_shape.size()),
            "has blocks of " + std::to_string(q.block) + " along axis " + std::to_string(q.axis) +
                ", its codes have shape " + tensor::to_string(q.code_shape));
    Shape expected = q.code_shape;
    int64_t& along = expected[static_cast<size_t>(q.axis)];
    along = along / q.block + (along % q.block != 0);
    require(shape == expected, "has a scale of shape " + tensor::to_string(shape) + ", blocks of " +
                                   std::to_string(q.block) + " along axis " + std::to_string(q.axis) + " need " +
                                   tensor::to_string(expected));
  }
  const DType type = q.scale.dtype();
  require(
      type == DType::f32 || type == DType::f16 || type == DType::bf16 || type == DType::f8e8m0 || type == DType::f8e4m3,
      "has a scale of type " + std::string(tensor::name_of(type)));
  for (int64_t i = 0; i < q.scale.elements(); ++i)
    require(std::isfinite(scale_value(q.scale, i)), "has a scale that is not finite at index " + std::to_string(i));
  if (q.zero)
    require(q.zero.dtype() == t.dtype() && q.zero.shape() == shape,
            "has zero points of another type than its codes, or of another shape than its scale");
  if (q.offset) {
    require(q.offset.dtype() == DType::f32 && q.offset.shape() == shape,
            "has offsets that are not f32, or of another shape than its scale");
    for (const float offset : q.offset.values<float>())
      require(std::isfinite(offset), "has an offset that is not finite");
  }
  require(std::isfinite(q.tensor_scale), "has a second-level scale that is not finite");
}

GroupParams params_at(const Quantization& q, int64_t index) {
  GroupParams p;
  p.scale = scale_value(q.scale, index) * (q.format->tensor_scale ? q.tensor_scale : 1.0f);
  p.zero = q.zero ? code_at(q.zero, index) : 0;
  p.offset = q.offset ? q.offset.values<float>()[static_cast<size_t>(index)] : 0.0f;
  return p;
}

int64_t stored_bytes(const Tensor& t) {
  auto bytes = static_cast<int64_t>(t.bytes().size());
  if (const auto& q = t.quantization()) {
    for (const Tensor* part : {&q->scale, &q->zero, &q->offset})
      if (*part) bytes += static_cast<int64_t>(part->bytes().size());
    if (q->format->tensor_scale) bytes += static_cast<int64_t>(sizeof(float));
  }
  return bytes;
}

}  // namespace nibble::codec
