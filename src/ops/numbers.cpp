#include "ops/numbers.h"

#include <cmath>
#include <limits>

#include "base/small_float.h"
#include "codec/format.h"
#include "ops/element_types.h"

namespace nibble::ops {
namespace {

constexpr std::array<float, 8> kE2m1{0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

/// Nearest E2M1 code, ties to the even mantissa, saturating; NaN, which the format lacks, gives -0 as ONNX's tests
/// expect.
int e2m1_code(double v) {
  if (std::isnan(v)) return 8;
  const double magnitude = std::fabs(v);
  int code = 7;
  for (int i = 0; i < 7; ++i) {
    const double middle = (kE2m1[static_cast<size_t>(i)] + kE2m1[static_cast<size_t>(i) + 1]) / 2;
    if (magnitude < middle || (magnitude == middle && i % 2 == 0)) {
      code = i;
      break;
    }
  }
  return std::signbit(v) ? code | 8 : code;
}

uint8_t to_e4m3(float v, bool saturate) {
  if (!saturate && (std::isinf(v) || std::fabs(v) > 464.0f)) return std::signbit(v) ? 0xFF : 0x7F;
  return base::f32_to_e4m3(v);
}
uint8_t to_e5m2(float v, bool saturate) {
  const uint8_t sign = std::signbit(v) ? 0x80 : 0;
  if (saturate && std::isinf(v)) return static_cast<uint8_t>(sign | 0x7B);
  if (!saturate && std::fabs(v) >= 61440.0f) return static_cast<uint8_t>(sign | 0x7C);
  return base::f32_to_e5m2(v);
}

/// A power of two as E8M0; `rounding` is ONNX Cast's round_mode: "up", "down" or "nearest" (ties up).
uint8_t to_e8m0(double v, bool saturate, const std::string& rounding) {
  if (std::isnan(v)) return 255;
  if (std::isinf(v)) return saturate ? 254 : 255;
  if (v <= 0) return 0;
  int exponent = std::ilogb(v);
  const double mantissa = std::ldexp(v, -exponent);
  if (rounding == "up" ? mantissa > 1.0 : rounding == "nearest" && mantissa >= 1.5) ++exponent;
  if (exponent > 127) return saturate ? 254 : 255;
  return static_cast<uint8_t>(std::max(exponent + 127, 0));
}

}  // namespace

std::vector<double> decode_numbers(const Tensor& t) {
  std::vector<double> out(static_cast<size_t>(t.elements()));
  const auto fill = [&](auto get) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(get(i));
  };
  if (visit_number(t.dtype(), [&](auto v) {
        using T = decltype(v);
        fill([&](size_t i) { return static_cast<ComputeOf<T>>(data_of<T>(t)[i]); });
      }))
    return out;
  const auto bytes = data_of<uint8_t>(t);
  switch (t.dtype()) {
    case DType::boolean:
      fill([&](size_t i) { return bytes[i] != 0; });
      break;
    case DType::f8e4m3:
      fill([&](size_t i) { return base::e4m3_to_f32(bytes[i]); });
      break;
    case DType::f8e5m2:
      fill([&](size_t i) { return base::e5m2_to_f32(bytes[i]); });
      break;
    case DType::f8e8m0:
      fill([&](size_t i) { return base::e8m0_to_f32(bytes[i]); });
      break;
    default: {
      const auto codes = codec::unpack(t);
      if (t.dtype() == DType::f4e2m1)
        fill([&](size_t i) {
          const float magnitude = kE2m1[static_cast<size_t>(codes[i] & 7)];
          return codes[i] & 8 ? -magnitude : magnitude;
        });
      else
        fill([&](size_t i) { return codes[i]; });
    }
  }
  return out;
}

Tensor encode_numbers(DType dtype, Shape shape, std::span<const double> values, bool saturate,
                      const std::string& rounding) {
  Tensor t(dtype, shape, true);
  const bool done = visit_number(dtype, [&](auto v) {
    using T = decltype(v);
    T* out = mutable_data_of<T>(t);
    for (size_t i = 0; i < values.size(); ++i) {
      if constexpr (is_float<T>)
        out[i] = static_cast<T>(values[i]);
      else if (!(std::fabs(values[i]) < 9.2e18))
        out[i] = values[i] > 0 ? std::numeric_limits<T>::max() : T{};
      else if constexpr (std::is_same_v<T, uint64_t>)
        out[i] = values[i] < 0 ? static_cast<T>(static_cast<int64_t>(values[i])) : static_cast<T>(values[i]);
      else
        out[i] = static_cast<T>(static_cast<int64_t>(values[i]));
    }
  });
  if (done) return t;
  auto bytes = t.mutable_bytes();
  std::vector<int8_t> codes;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto v = static_cast<float>(values[i]);
    switch (dtype) {
      case DType::boolean:
        bytes[i] = std::byte{values[i] != 0};
        break;
      case DType::f8e4m3:
        bytes[i] = std::byte{to_e4m3(v, saturate)};
        break;
      case DType::f8e5m2:
        bytes[i] = std::byte{to_e5m2(v, saturate)};
        break;
      case DType::f8e8m0:
        bytes[i] = std::byte{to_e8m0(values[i], saturate, rounding)};
        break;
      case DType::f4e2m1:
        codes.push_back(static_cast<int8_t>(e2m1_code(values[i])));
        break;
      default:
        codes.push_back(static_cast<int8_t>(static_cast<int64_t>(std::isfinite(values[i]) ? values[i] : 0)));
    }
  }
  return codes.empty() ? t : codec::pack(dtype, std::move(shape), codes);
}

DType read_dtype(const Node& node, const std::string& attribute, DType fallback) {
  const int64_t number = node.integer(attribute, 0);
  if (number == 0) return fallback;
  if (const auto dtype = tensor::dtype_of_number(number)) return *dtype;
  base::fail_unsupported(node.describe(), "its attribute " + base::in_quotes(attribute) + " names element type " +
                                              std::to_string(number) + ", which is not supported");
}

}  // namespace nibble::ops
