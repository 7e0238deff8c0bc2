#pragma once
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

#include "base/small_float.h"
#include "ops/operator.h"

namespace nibble::ops {

/// 16-bit floats as element types: stored as bits, computed in float.
struct Half {
  uint16_t bits = 0;
  Half() = default;
  template <typename T>
  explicit Half(T v) : bits(base::f32_to_f16(static_cast<float>(v))) {}
  operator float() const { return base::f16_to_f32(bits); }
};
struct BFloat {
  uint16_t bits = 0;
  BFloat() = default;
  template <typename T>
  explicit BFloat(T v) : bits(base::f32_to_bf16(static_cast<float>(v))) {}
  operator float() const { return base::bf16_to_f32(bits); }
};

template <typename T>
inline constexpr bool is_small_float = std::is_same_v<T, Half> || std::is_same_v<T, BFloat>;
template <typename T>
inline constexpr bool is_float = std::is_floating_point_v<T> || is_small_float<T>;

/// The type in which T is computed.
template <typename T>
using ComputeOf = std::conditional_t<is_small_float<T>, float, T>;

template <typename T>
const T* data_of(const Tensor& t) {
  return reinterpret_cast<const T*>(t.bytes().data());
}
template <typename T>
T* mutable_data_of(Tensor& t) {
  return reinterpret_cast<T*>(t.mutable_bytes().data());
}

/// Calls body(T{}) with the element type of `dtype`; false for packed and 8-bit float types.
template <typename Body>
bool visit_float(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::f32:
      body(float{});
      return true;
    case DType::f64:
      body(double{});
      return true;
    case DType::f16:
      body(Half{});
      return true;
    case DType::bf16:
      body(BFloat{});
      return true;
    default:
      return false;
  }
}
template <typename Body>
bool visit_integer(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::i8:
      body(int8_t{});
      return true;
    case DType::u8:
      body(uint8_t{});
      return true;
    case DType::i16:
      body(int16_t{});
      return true;
    case DType::u16:
      body(uint16_t{});
      return true;
    case DType::i32:
      body(int32_t{});
      return true;
    case DType::u32:
      body(uint32_t{});
      return true;
    case DType::i64:
      body(int64_t{});
      return true;
    case DType::u64:
      body(uint64_t{});
      return true;
    default:
      return false;
  }
}
template <typename Body>
bool visit_number(DType dtype, Body&& body) {
  return visit_float(dtype, body) || visit_integer(dtype, body);
}

/// Elements a piece of parallel work should have at least, so that handing it out costs little beside it.
inline constexpr int64_t kGrain = 16384;

/// Calls body(begin, end) over disjoint pieces of [0, count), cut by `grain` alone.
template <typename Body>
void for_ranges(base::ThreadPool& pool, int64_t count, int64_t grain, Body&& body) {
  if (count <= 0) return;
  const int64_t pieces = (count + grain - 1) / grain;
  if (pieces == 1) return void(body(int64_t{0}, count));
  const auto piece = [&](int64_t i, int) { body(i * grain, std::min(count, (i + 1) * grain)); };
  pool.for_each(pieces, std::cref(piece));  // a reference: the function object needs no memory of its own
}

/// A constant or computed integer list (shapes, axes, pads) from an i64 or i32 tensor.
inline std::vector<int64_t> integers_of(const Tensor& t) {
  std::vector<int64_t> list;
  if (t.dtype() == DType::i32)
    for (const int32_t v : t.values<int32_t>()) list.push_back(v);
  else
    for (const int64_t v : t.values<int64_t>()) list.push_back(v);
  return list;
}

}  // namespace nibble::ops
