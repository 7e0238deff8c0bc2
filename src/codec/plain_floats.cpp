#include "codec/plain_floats.h"

#include "base/error.h"
#include "base/small_float.h"

namespace nibble::codec {
namespace {

using tensor::DType;
using tensor::Tensor;

template <typename Convert>
void convert(int64_t start, int64_t end, float* out, Convert&& element) {
  for (int64_t i = start; i < end; ++i) *out++ = element(static_cast<size_t>(i));
}

}  // namespace

void convert_plain(const Tensor& t, int64_t start, int64_t end, float* out) {
  const auto bytes = [&] { return t.values<uint8_t>(); };
  switch (t.dtype()) {
    case DType::f32:
      return convert(start, end, out, [v = t.values<float>()](size_t i) { return v[i]; });
    case DType::f16:
      return convert(start, end, out, [v = t.values<uint16_t>()](size_t i) { return base::f16_to_f32(v[i]); });
    case DType::bf16:
      return convert(start, end, out, [v = t.values<uint16_t>()](size_t i) { return base::bf16_to_f32(v[i]); });
    case DType::f64:
      return convert(start, end, out, [v = t.values<double>()](size_t i) { return static_cast<float>(v[i]); });
    case DType::f8e4m3:
      return convert(start, end, out, [v = bytes()](size_t i) { return base::e4m3_to_f32(v[i]); });
    case DType::f8e5m2:
      return convert(start, end, out, [v = bytes()](size_t i) { return base::e5m2_to_f32(v[i]); });
    case DType::f8e8m0:
      return convert(start, end, out, [v = bytes()](size_t i) { return base::e8m0_to_f32(v[i]); });
    default:
      NIBBLE_INVARIANT(false);  // integers without Quantization stand for themselves
  }
}

}  // namespace nibble::codec
