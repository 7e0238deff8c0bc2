#include "tensor/tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace nibble::tensor {
namespace {

constexpr size_t kAlignment = 64;  // a cache line, and a full AVX-512 register

std::shared_ptr<std::byte> allocate(size_t bytes) {
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded ? rounded : kAlignment));
  if (!memory) throw std::bad_alloc();
  return {memory, [](std::byte* p) { std::free(p); }};
}

/// Blocks lie along the last axis.
bool has_whole_blocks(DType dtype, const Shape& shape) {
  return !is_blocked(dtype) || (!shape.empty() && shape.back() % block_size(dtype).elements == 0);
}

}  // namespace

Tensor::Tensor(DType dtype, Shape shape, bool uninitialized)
    : dtype_(dtype), present_(true), shape_(std::move(shape)), elements_(element_count(shape_)) {
  NIBBLE_INVARIANT(elements_ >= 0 && has_whole_blocks(dtype, shape_));
  size_ = static_cast<size_t>(packed_bytes(dtype, elements_));
  auto memory = allocate(size_);
  if (!uninitialized) std::memset(memory.get(), 0, size_);
  data_ = memory.get();
  owner_ = std::move(memory);
}

Tensor::Tensor(DType dtype, Shape shape, base::Bytes bytes, std::shared_ptr<const void> owner)
    : dtype_(dtype),
      present_(true),
      shape_(std::move(shape)),
      elements_(element_count(shape_)),
      data_(bytes.data()),
      size_(bytes.size()),
      owner_(std::move(owner)) {
  NIBBLE_INVARIANT(elements_ >= 0 && has_whole_blocks(dtype, shape_) &&
                   static_cast<int64_t>(size_) == packed_bytes(dtype, elements_));
  // A mapped file may place a tensor at any byte; typed access needs its alignment.
  // Blocks are read byte by byte.
  const size_t alignment = bits_of(dtype) >= 8 ? static_cast<size_t>(bits_of(dtype) / 8) : 1;
  if (reinterpret_cast<uintptr_t>(data_) % alignment != 0) {
    auto memory = allocate(size_);
    std::memcpy(memory.get(), data_, size_);
    data_ = memory.get();
    owner_ = std::move(memory);
  }
}

Tensor Tensor::reshaped(Shape shape) const {
  NIBBLE_INVARIANT(element_count(shape) == elements_ && has_whole_blocks(dtype_, shape));
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::with_quantization(std::shared_ptr<const Quantization> quantization) const {
  Tensor t = *this;
  t.quantization_ = std::move(quantization);
  return t;
}

void Tensor::require_type(DType wanted, size_t size) const {
  const bool same = wanted == dtype_;
  const bool half_as_bits = wanted == DType::u16 && (dtype_ == DType::f16 || dtype_ == DType::bf16);
  const bool byte_as_bits = wanted == DType::u8 && size == 1 && bits_of(dtype_) <= 8;  // blocks too
  NIBBLE_INVARIANT(same || half_as_bits || byte_as_bits);
}

}  // namespace nibble::tensor
