#include "io/onnx/dtypes.h"

#include "base/error.h"

namespace nibble::io::onnx {
namespace {

constexpr DTypeRow kRows[] = {
#define NIBBLE_ONNX_DTYPE(name, dtype, storage, min_opset) {name, tensor::DType::dtype, TypedField::storage, min_opset},
#include "io/onnx/dtypes.def"
#undef NIBBLE_ONNX_DTYPE
};

/// Types of the format that nibble does not hold; only for messages.
constexpr struct {
  int32_t number;
  const char* name;
} kOthers[] = {{8, "STRING"},          {14, "COMPLEX64"},  {15, "COMPLEX128"}, {18, "FLOAT8E4M3FNUZ"},
               {20, "FLOAT8E5M2FNUZ"}, {27, "FLOAT6E2M3"}, {28, "FLOAT6E3M2"}};

}  // namespace

const DTypeRow* find_dtype(int32_t number) {
  const auto dtype = tensor::dtype_of_number(number);
  return dtype ? &row_of(*dtype) : nullptr;
}

const DTypeRow& row_of(tensor::DType dtype) {
  for (const DTypeRow& row : kRows)
    if (row.dtype == dtype) return row;
  base::broken_invariant("every DType has a row in dtypes.def", __FILE__, __LINE__);
}

int32_t number_of(tensor::DType dtype) {
  switch (dtype) {
#define NIBBLE_DTYPE(name, bits, number, what) \
  case tensor::DType::name:                    \
    return number;
#include "tensor/dtype.def"
#undef NIBBLE_DTYPE
    default:
      return 0;  // blocks: ONNX has none
  }
}

std::string onnx_type_name(int32_t number) {
  if (const DTypeRow* row = find_dtype(number)) return row->name;
  for (const auto& other : kOthers)
    if (other.number == number) return other.name;
  return "type " + std::to_string(number);
}

}  // namespace nibble::io::onnx
