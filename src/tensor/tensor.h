#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace nibble::tensor {

struct Quantization;  // tensor/quantization.h

/// Elements of one type in row-major order. Cheap to copy: copies share the buffer (or the mapping of a file). Treat as
/// immutable once it is in a Graph; `mutable_*` is for whoever just made it.
///
/// A blocked dtype (tensor/blocks.def) stands for real numbers; what its bytes mean is codec/blocks.h.
///
/// With a Quantization attached the bytes are the codes of a number format, `dtype` is the type of the codes, and
/// `shape` is that of the real tensor that they stand for.
class Tensor {
 public:
  Tensor() = default;
  /// Allocates; zero-filled unless `uninitialized`.
  Tensor(DType dtype, Shape shape, bool uninitialized = false);
  /// Views `bytes`, which `owner` keeps alive.
  Tensor(DType dtype, Shape shape, base::Bytes bytes, std::shared_ptr<const void> owner);

  template <typename T>
  static Tensor of(Shape shape, std::span<const T> values);
  template <typename T>
  static Tensor scalar(T value) {
    return of<T>({}, std::span<const T>(&value, 1));
  }

  /// False for a default-constructed Tensor (an omitted optional input).
  explicit operator bool() const { return present_; }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t rank() const { return static_cast<int64_t>(shape_.size()); }
  int64_t elements() const { return elements_; }
  base::Bytes bytes() const { return {data_, size_}; }

  /// The elements; T must be the C++ type of dtype() (checked), f16 and bf16 read as uint16_t, packed types as uint8_t.
  template <typename T>
  std::span<const T> values() const {
    require_type(dtype_of<T>(), sizeof(T));
    return {reinterpret_cast<const T*>(data_), size_ / sizeof(T)};
  }
  template <typename T>
  std::span<T> mutable_values() {
    require_type(dtype_of<T>(), sizeof(T));
    return {reinterpret_cast<T*>(const_cast<std::byte*>(data_)), size_ / sizeof(T)};
  }
  std::span<std::byte> mutable_bytes() { return {const_cast<std::byte*>(data_), size_}; }

  /// The same bytes under another shape of as many elements.
  Tensor reshaped(Shape shape) const;

  const std::shared_ptr<const Quantization>& quantization() const { return quantization_; }
  Tensor with_quantization(std::shared_ptr<const Quantization> quantization) const;

 private:
  void require_type(DType wanted, size_t size) const;

  DType dtype_ = DType::f32;
  bool present_ = false;
  Shape shape_;
  int64_t elements_ = 0;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<const Quantization> quantization_;
};

template <typename T>
Tensor Tensor::of(Shape shape, std::span<const T> values) {
  Tensor t(dtype_of<T>(), std::move(shape), true);
  auto out = t.mutable_values<T>();
  for (size_t i = 0; i < out.size() && i < values.size(); ++i) out[i] = values[i];
  return t;
}

}  // namespace nibble::tensor
