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
#define NIBBLE_BLOCK(name, elements, bytes, number, what) name,
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK
};

/// Elements that are stored together, scales and all, and the bytes that they take. {1, 0} for dtypes without blocks.
struct BlockSize {
  int elements = 1, bytes = 0;
};
BlockSize block_size(DType dtype);
inline bool is_blocked(DType dtype) { return block_size(dtype).bytes != 0; }

/// Bits of an element; of blocked types, which have no whole number of them, 0.
int bits_of(DType dtype);
/// The same with scales and all: 4.5 for q4_0.
double stored_bits(DType dtype);
/// "f32", "int4", ...; what reports print.
std::string_view name_of(DType dtype);

/// Bytes of `elements` packed elements: ceil(elements * bits / 8). Of blocked types whole blocks only.
int64_t packed_bytes(DType dtype, int64_t elements);

/// The dtype with that ONNX number, or std::nullopt.
std::optional<DType> dtype_of_number(int64_t onnx_number);
/// The dtype of that name, or std::nullopt.
std::optional<DType> find_dtype(std::string_view name);

inline bool is_packed(DType dtype) { return !is_blocked(dtype) && bits_of(dtype) < 8; }

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
