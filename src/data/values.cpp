#include "data/values.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/small_float.h"
#include "data/source.h"

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

namespace {

bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::f16 || dtype == DType::bf16;
}

/// Whole numbers of any numeric tensor. Throws Error(kUnsupported) for a value with a fraction.
std::vector<int64_t> whole_numbers(const tensor::Tensor& from, DType wanted, const std::string& place) {
  if (from.dtype() == DType::boolean) {
    const auto values = from.values<uint8_t>();
    return {values.begin(), values.end()};
  }
  if (!is_float(from.dtype())) return integers_of(from, place);
  const tensor::Tensor floats = to_f32(from, place);
  const auto values = floats.values<float>();
  std::vector<int64_t> whole(values.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    if (std::nearbyint(values[i]) != values[i] || std::fabs(values[i]) >= 0x1p62f)
      base::fail_unsupported(place, "its value " + std::to_string(i) + " is " + std::to_string(values[i]) +
                                        ", the network takes " + std::string(name_of(wanted)));
    whole[i] = static_cast<int64_t>(values[i]);
  }
  return whole;
}

template <typename T>
tensor::Tensor narrowed(const std::vector<int64_t>& from, const tensor::Shape& shape, DType dtype, int64_t low,
                        int64_t high, const std::string& place) {
  tensor::Tensor to(dtype, shape, true);
  const auto out = to.mutable_values<T>();
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] < low || from[i] > high)
      base::fail_unsupported(place, "its value " + std::to_string(i) + " is " + std::to_string(from[i]) +
                                        ", the network takes " + std::string(name_of(dtype)));
    out[i] = static_cast<T>(from[i]);
  }
  return to;
}

template <typename T>
tensor::Tensor narrowed(const std::vector<int64_t>& from, const tensor::Shape& shape, DType dtype,
                        const std::string& place) {
  constexpr auto kHigh = std::is_same_v<T, uint64_t> ? INT64_MAX : static_cast<int64_t>(std::numeric_limits<T>::max());
  return narrowed<T>(from, shape, dtype, static_cast<int64_t>(std::numeric_limits<T>::min()), kHigh, place);
}

}  // namespace

tensor::Tensor to_dtype(const tensor::Tensor& from, DType dtype, const std::string& place) {
  if (dtype == DType::f32) return to_f32(from, place);
  if (dtype == from.dtype()) {
    if (is_float(dtype)) to_f32(from, place);  // finite?
    return from;
  }
  if (dtype == DType::f64 || dtype == DType::f16 || dtype == DType::bf16) {
    const tensor::Tensor floats = to_f32(from, place);
    const auto in = floats.values<float>();
    tensor::Tensor to(dtype, from.shape(), true);
    for (size_t i = 0; i < in.size(); ++i) {
      if (dtype == DType::f64) to.mutable_values<double>()[i] = in[i];
      if (dtype == DType::f16) to.mutable_values<uint16_t>()[i] = base::f32_to_f16(in[i]);
      if (dtype == DType::bf16) to.mutable_values<uint16_t>()[i] = base::f32_to_bf16(in[i]);
    }
    return to;
  }
  const auto whole = [&] { return whole_numbers(from, dtype, place); };
  switch (dtype) {
    case DType::boolean:
      return narrowed<uint8_t>(whole(), from.shape(), dtype, 0, 1, place);
    case DType::i8:
      return narrowed<int8_t>(whole(), from.shape(), dtype, place);
    case DType::u8:
      return narrowed<uint8_t>(whole(), from.shape(), dtype, place);
    case DType::i16:
      return narrowed<int16_t>(whole(), from.shape(), dtype, place);
    case DType::u16:
      return narrowed<uint16_t>(whole(), from.shape(), dtype, place);
    case DType::i32:
      return narrowed<int32_t>(whole(), from.shape(), dtype, place);
    case DType::u32:
      return narrowed<uint32_t>(whole(), from.shape(), dtype, place);
    case DType::i64:
      return narrowed<int64_t>(whole(), from.shape(), dtype, place);
    case DType::u64:
      return narrowed<uint64_t>(whole(), from.shape(), dtype, place);
    default:
      base::fail_unsupported(
          place, "the network's input is of type " + std::string(name_of(dtype)) + ", which data cannot be given in");
  }
}

}  // namespace nibble::data
