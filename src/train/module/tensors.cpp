#include "train/module/tensors.h"

#include <cstring>

#include "base/error.h"

namespace nibble::train {
namespace {

using tensor::DType;

DType type_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return DType::f32;
    case at::kDouble:
      return DType::f64;
    case at::kLong:
      return DType::i64;
    case at::kInt:
      return DType::i32;
    case at::kShort:
      return DType::i16;
    case at::kChar:
      return DType::i8;
    case at::kByte:
      return DType::u8;
    default:
      return DType::boolean;
  }
}

}  // namespace

at::ScalarType torch_type(DType dtype, const std::string& place) {
  switch (dtype) {
    case DType::f32:
      return at::kFloat;
    case DType::f64:
      return at::kDouble;
    case DType::i64:
      return at::kLong;
    case DType::i32:
      return at::kInt;
    case DType::i16:
      return at::kShort;
    case DType::i8:
      return at::kChar;
    case DType::u8:
      return at::kByte;
    case DType::boolean:
      return at::kBool;
    default:
      base::fail_unsupported(place, "training does not follow values of type " + std::string(tensor::name_of(dtype)));
  }
}

at::Tensor to_torch(const tensor::Tensor& t) {
  NIBBLE_INVARIANT(!t.quantization());
  auto* data = const_cast<std::byte*>(t.bytes().data());  // torch has no view of constant bytes
  return at::from_blob(
      data, t.shape(), [t](void*) {}, at::TensorOptions(torch_type(t.dtype())));
}

tensor::Tensor from_torch(const at::Tensor& t) {
  const at::Tensor plain = t.detach().contiguous();
  tensor::Tensor out(type_of(plain.scalar_type()), {plain.sizes().begin(), plain.sizes().end()}, true);
  if (out.bytes().size() > 0) std::memcpy(out.mutable_bytes().data(), plain.data_ptr(), out.bytes().size());
  return out;
}

}  // namespace nibble::train
