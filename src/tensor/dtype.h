#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace nibble::tensor {

/// How one element of a tensor is stored. Types below 8 bits are packed over the whole tensor in row-major order, the
/// first element in the lowest bits, as ONNX stores them; the last byte is filled with zero bits.
enum class DType : uint8_t {
#define NIBBLE_DTYPE(name, bits, number, what) name,
#include "tensor/dtype.def"
#undef NIBBLE_DTYPE
};

int bits_of(DType dtype);
/// "f32", "int4", ...; what reports print.
std::string_view name_of(DType dtype);

/// Bytes of `elements` packed elements: ceil(elements * bits / 8).
int64_t packed_bytes(DType dtype, int64_t elements);

/// The dtype with that ONNX number, or std::nullopt.
std::optional<DType> dtype_of_number(int64_t onnx_number);

inline bool is_packed(DType dtype) { return bits_of(dtype) < 8; }

/// The dtype of a C++ type: dtype_of<float>() is DType::f32.
template <typename T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::f32;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::f64;
}
template <>
constexpr DType dtype_of<int8_t>() {
  return DType::i8;
}
template <>
constexpr DType dtype_of<uint8_t>() {
  return DType::u8;
}
template <>
constexpr DType dtype_of<int16_t>() {
  return DType::i16;
}
template <>
constexpr DType dtype_of<uint16_t>() {
  return DType::u16;
}
template <>
constexpr DType dtype_of<int32_t>() {
  return DType::i32;
}
template <>
constexpr DType dtype_of<uint32_t>() {
  return DType::u32;
}
template <>
constexpr DType dtype_of<int64_t>() {
  return DType::i64;
}
template <>
constexpr DType dtype_of<uint64_t>() {
  return DType::u64;
}
template <>
constexpr DType dtype_of<bool>() {
  return DType::boolean;
}

}  // namespace nibble::tensor
