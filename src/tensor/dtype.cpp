#include "tensor/dtype.h"

#include "base/error.h"

namespace nibble::tensor {

int bits_of(DType dtype) {
  switch (dtype) {
#define NIBBLE_DTYPE(name, bits, number, what) \
  case DType::name:                            \
    return bits;
#include "tensor/dtype.def"
#undef NIBBLE_DTYPE
    default:
      return 0;
  }
}

BlockSize block_size(DType dtype) {
  switch (dtype) {
#define NIBBLE_BLOCK(name, elements, bytes, number, what) \
  case DType::name:                                       \
    return {elements, bytes};
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK
    default:
      return {};
  }
}

double stored_bits(DType dtype) {
  const BlockSize block = block_size(dtype);
  return block.bytes ? 8.0 * block.bytes / block.elements : bits_of(dtype);
}

std::string_view name_of(DType dtype) {
  switch (dtype) {
#define NIBBLE_DTYPE(name, bits, number, what) \
  case DType::name:                            \
    return #name;
#include "tensor/dtype.def"
#undef NIBBLE_DTYPE
#define NIBBLE_BLOCK(name, elements, bytes, number, what) \
  case DType::name:                                       \
    return #name;
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK
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

std::optional<DType> find_dtype(std::string_view name) {
#define NIBBLE_DTYPE(dtype, bits, number, what) \
  if (name == #dtype) return DType::dtype;
#include "tensor/dtype.def"
#undef NIBBLE_DTYPE
#define NIBBLE_BLOCK(dtype, elements, bytes, number, what) \
  if (name == #dtype) return DType::dtype;
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK
  return std::nullopt;
}

int64_t packed_bytes(DType dtype, int64_t elements) {
  if (const BlockSize block = block_size(dtype); block.bytes != 0) {
    NIBBLE_INVARIANT(elements % block.elements == 0);
    return elements / block.elements * block.bytes;
  }
  const int bits = bits_of(dtype);
  return bits >= 8 ? elements * (bits / 8) : (elements * bits + 7) / 8;
}

}  // namespace nibble::tensor
