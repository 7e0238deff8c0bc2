#include "tensor/dtype.h"

namespace nibble::tensor {

int bits_of(DType dtype) {
  switch (dtype) {
#define NIBBLE_DTYPE(name, bits, number, what) \
  case DType::name:                            \
    return bits;
#include "tensor/dtype.def"
#undef NIBBLE_DTYPE
  }
  return 0;
}

std::string_view name_of(DType dtype) {
  switch (dtype) {
#define NIBBLE_DTYPE(name, bits, number, what) \
  case DType::name:                            \
    return #name;
#include "tensor/dtype.def"
#undef NIBBLE_DTYPE
  }
  return "?";
}

std::optional<DType> dtype_of_number(int64_t onnx_number) {
#define NIBBLE_DTYPE(name, bits, number, what) \
  if (onnx_number == number) return DType::name;
#include "tensor/dtype.def"
#undef NIBBLE_DTYPE
  return std::nullopt;
}

int64_t packed_bytes(DType dtype, int64_t elements) {
  const int bits = bits_of(dtype);
  return bits >= 8 ? elements * (bits / 8) : (elements * bits + 7) / 8;
}

}  // namespace nibble::tensor
