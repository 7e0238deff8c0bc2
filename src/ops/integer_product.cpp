#include "ops/integer_product.h"

#include <algorithm>
#include <cmath>

#include "codec/format.h"
#include "ops/numbers.h"

namespace nibble::ops {
namespace {

/// Scale and zero point of every output; false when the granularity is another.
bool per_output(const Tensor& weight, bool outputs_last, std::vector<float>* scales, std::vector<int32_t>* zeros) {
  const auto& q = *weight.quantization();
  const int64_t outputs = weight.shape()[outputs_last ? weight.shape().size() - 1 : 0];
  const int64_t count = q.scale.elements();
  const bool per_tensor = count == 1 && q.block == 0;
  const auto axis = q.axis < 0 ? q.axis + static_cast<int64_t>(q.code_shape.size()) : q.axis;
  const bool on_outputs = axis == (outputs_last ? static_cast<int64_t>(q.code_shape.size()) - 1 : 0) && q.block == 0;
  if (!per_tensor && !(on_outputs && count == outputs)) return false;
  if (q.code_shape.empty() || q.code_shape[outputs_last ? q.code_shape.size() - 1 : 0] != outputs) return false;
  for (int64_t o = 0; o < outputs; ++o) {
    const codec::GroupParams p = codec::params_at(q, per_tensor ? 0 : o);
    if (scales) scales->push_back(p.scale * q.tensor_scale);
    if (zeros) zeros->push_back(p.zero);
  }
  return true;
}

}  // namespace

bool is_integer_weight(const Tensor& weight, bool outputs_last) {
  if (!weight || !weight.quantization() || weight.rank() < 2) return false;
  const auto& q = *weight.quantization();
  if (q.offset || q.tensor_scale != 1.0f) return false;
  const std::string_view format = q.format->name;
  if (format != "int4" && format != "uint4" && format != "int8") return false;
  std::vector<int32_t> zeros;
  if (!per_output(weight, outputs_last, nullptr, &zeros)) return false;
  return format != "int8" || std::all_of(zeros.begin(), zeros.end(), [](int32_t z) { return z == 0; });
}

IntegerWeight::IntegerWeight(const Tensor& weight, bool outputs_last, int64_t groups, const std::vector<int64_t>& order,
                             bool packed)
    : outputs_(weight.shape()[outputs_last ? weight.shape().size() - 1 : 0]),
      inner_(weight.elements() / outputs_),
      groups_(groups),
      kernel_(&kernels::gemm_u8s8()) {
  std::vector<int32_t> zeros;
  per_output(weight, outputs_last, &scales, &zeros);
  const auto raw = codec::unpack(weight);
  codes_.resize(raw.size());
  sums.assign(static_cast<size_t>(outputs_), 0);
  for (int64_t o = 0; o < outputs_; ++o)
    for (int64_t i = 0; i < inner_; ++i) {
      const int64_t from =
          outputs_last ? order[static_cast<size_t>(i)] * outputs_ + o : o * inner_ + order[static_cast<size_t>(i)];
      const int32_t code = raw[static_cast<size_t>(from)] - zeros[static_cast<size_t>(o)];
      codes_[static_cast<size_t>(o * inner_ + i)] = static_cast<int8_t>(code);
      sums[static_cast<size_t>(o)] += code;
    }
  if (!packed) return;
  const int64_t part = outputs_ / groups_;
  for (int64_t g = 0; g < groups_; ++g) {
    const auto bytes = static_cast<size_t>(kernel_->packed_bytes(part, inner_));
    std::shared_ptr<int8_t[]> part_packed(static_cast<int8_t*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)),
                                          [](int8_t* p) { std::free(p); });
    kernel_->pack(codes_.data() + g * part * inner_, part, inner_, part_packed.get());
    packed_.push_back(std::move(part_packed));
  }
}

void IntegerWeight::multiply(int64_t group, const uint8_t* a, int64_t lda, int64_t m, int32_t* acc, int64_t ldc) const {
  kernel_->multiply(a, lda, m, packed_[static_cast<size_t>(group)].get(), outputs_ / groups_, inner_, acc, ldc);
}

void Requantizer::finish(const int32_t* acc, int64_t first, int64_t count, float* out) const {
  const float* b = bias.empty() ? nullptr : bias.data() + first;
  const float* m = multipliers.data() + first;
  const int32_t* z = corrections.data() + first;
  if (activation.kind == Activation::kRelu) {
    for (int64_t i = 0; i < count; ++i) {
      const float v = static_cast<float>(acc[i] - z[i]) * m[i] + (b ? b[i] : 0.0f);
      out[i] = v > 0 ? v : 0.0f;
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) out[i] = activation(static_cast<float>(acc[i] - z[i]) * m[i] + (b ? b[i] : 0.0f));
}

void Requantizer::finish(const int32_t* acc, int64_t first, int64_t count, uint8_t* out) const {
  constexpr int64_t kPiece = 64;
  float real[kPiece];
  const float lowest = static_cast<float>(low - zero), highest = static_cast<float>(high - zero);
  for (int64_t at = 0; at < count; at += kPiece) {
    const int64_t n = std::min(kPiece, count - at);
    finish(acc + at, first + at, n, real);
    for (int64_t i = 0; i < n; ++i) {
      const float whole = std::nearbyint(real[i] / scale);
      const float q = whole == whole ? std::min(std::max(whole, lowest), highest) : 0.0f;  // NaN becomes the zero point
      out[at + i] = static_cast<uint8_t>(static_cast<int32_t>(q) + zero);
    }
  }
}

Requantizer read_requantizer(RunContext& c, const IntegerWeight& weight, int32_t& zero_x) {
  Requantizer r;
  const auto scale_x = static_cast<float>(decode_numbers(c.input(1)).at(0));
  zero_x = c.has(2) ? static_cast<int32_t>(decode_numbers(c.input(2)).at(0)) : 0;
  if (c.input(0).dtype() == DType::i8) zero_x += 128;
  for (const float s : weight.scales) r.multipliers.push_back(scale_x * s);
  for (const int32_t s : weight.sums) r.corrections.push_back(zero_x * s);
  if (c.has(4)) {
    const auto values = c.input(4).values<float>();
    r.bias.assign(values.begin(), values.end());
  }
  r.activation = read_activation(c.node());
  if (c.has(5)) {
    r.quantized = true;
    r.scale = static_cast<float>(decode_numbers(c.input(5)).at(0));
    if (!(std::isfinite(r.scale) && r.scale != 0)) c.malformed("a scale is " + std::to_string(r.scale));
    r.zero = c.has(6) ? static_cast<int32_t>(decode_numbers(c.input(6)).at(0)) : 0;
    const bool is_signed = c.output(0).dtype() == DType::i8;
    const auto bits = static_cast<int>(c.node().integer("code_bits", 8));
    r.low = is_signed ? -(1 << (bits - 1)) : 0;
    r.high = r.low + (1 << bits) - 1;
  }
  return r;
}

DType integer_output_type(InferContext& c) {
  if (!c.has(5)) return DType::f32;
  return c.has(6) ? c.dtype(6) : DType::u8;
}

}  // namespace nibble::ops
