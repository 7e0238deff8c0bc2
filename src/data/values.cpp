#include "data/values.h"

#include <cmath>

#include "base/error.h"
#include "base/small_float.h"

namespace nibble::data {
namespace {

using tensor::DType;

template <typename T, typename Convert>
void convert(const tensor::Tensor& from, tensor::Tensor& to, const Convert& one) {
  const auto in = from.values<T>();
  const auto out = to.mutable_values<float>();
  for (size_t i = 0; i < out.size(); ++i) out[i] = one(in[i]);
}

template <typename T>
void convert(const tensor::Tensor& from, tensor::Tensor& to) {
  convert<T>(from, to, [](T v) { return static_cast<float>(v); });
}

}  // namespace

tensor::Tensor to_f32(const tensor::Tensor& from, const std::string& place) {
  tensor::Tensor to = from;
  if (from.dtype() != DType::f32) to = tensor::Tensor(DType::f32, from.shape(), true);
  switch (from.dtype()) {
    case DType::f32:
      break;
    case DType::f64:
      convert<double>(from, to);
      break;
    case DType::f16:
      convert<uint16_t>(from, to, base::f16_to_f32);
      break;
    case DType::bf16:
      convert<uint16_t>(from, to, base::bf16_to_f32);
      break;
    case DType::i8:
      convert<int8_t>(from, to);
      break;
    case DType::u8:
    case DType::boolean:
      convert<uint8_t>(from, to);
      break;
    case DType::i16:
      convert<int16_t>(from, to);
      break;
    case DType::u16:
      convert<uint16_t>(from, to);
      break;
    case DType::i32:
      convert<int32_t>(from, to);
      break;
    case DType::u32:
      convert<uint32_t>(from, to);
      break;
    case DType::i64:
      convert<int64_t>(from, to);
      break;
    case DType::u64:
      convert<uint64_t>(from, to);
      break;
    default:
      base::fail_unsupported(place, "holds " + std::string(tensor::name_of(from.dtype())) + " elements");
  }
  const auto values = to.values<float>();
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      base::fail_malformed(place,
                           "its value " + std::to_string(i) + " is " + (std::isnan(values[i]) ? "NaN" : "infinite"),
                           "inputs must be finite");
  return to;
}

}  // namespace nibble::data
