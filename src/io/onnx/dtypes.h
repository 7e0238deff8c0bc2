#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "tensor/dtype.h"

namespace nibble::io::onnx {

/// The typed field of a TensorProto that can hold elements of a type instead of raw_data.
enum class TypedField : uint8_t { kFloat, kInt32, kInt64, kDouble, kUint64 };

struct DTypeRow {
  const char* name;  ///< as the ONNX schema spells it
  tensor::DType dtype;
  TypedField typed_field;
  int64_t min_opset;  ///< first opset of the default domain whose operators take it
};

/// The row of a TensorProto.DataType number, or nullptr for one that nibble cannot hold (strings, complex numbers, the
/// FNUZ types, 6-bit floats) or that does not exist.
const DTypeRow* find_dtype(int32_t number);
/// The row of a dtype; every tensor::DType has one.
const DTypeRow& row_of(tensor::DType dtype);
/// The TensorProto.DataType number of a dtype.
int32_t number_of(tensor::DType dtype);
/// How messages name a number: "STRING", "INT4", "type 99".
std::string onnx_type_name(int32_t number);

}  // namespace nibble::io::onnx
