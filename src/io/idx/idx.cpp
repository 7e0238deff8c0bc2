#include "io/idx/idx.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "io/zip/gunzip.h"

namespace nibble::io {
namespace {

using tensor::DType;

struct TypeRow {
  uint8_t code;
  DType dtype;
};
constexpr TypeRow kTypes[] = {{0x08, DType::u8},  {0x09, DType::i8},  {0x0B, DType::i16},
                              {0x0C, DType::i32}, {0x0D, DType::f32}, {0x0E, DType::f64}};
constexpr uint8_t kMostDimensions = 4;

const TypeRow* find_type(std::byte code) {
  for (const TypeRow& row : kTypes)
    if (std::byte{row.code} == code) return &row;
  return nullptr;
}

}  // namespace

bool is_idx(base::Bytes bytes) {
  return bytes.size() >= 4 && bytes[0] == std::byte{0} && bytes[1] == std::byte{0} && find_type(bytes[2]) &&
         bytes[3] >= std::byte{1} && bytes[3] <= std::byte{kMostDimensions};
}

tensor::Tensor read_idx(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                        const base::Limits& limits) {
  if (is_gzip(bytes)) {
    const auto expanded = std::make_shared<const std::vector<std::byte>>(gunzip(bytes, place, limits));
    if (is_gzip(*expanded)) base::fail_malformed(place, "is gzipped twice");
    return read_idx(*expanded, expanded, place, limits);
  }
  if (!is_idx(bytes)) base::fail_malformed(place, "is no idx file: its first four bytes are no idx header");
  const DType dtype = find_type(bytes[2])->dtype;
  const auto rank = std::to_integer<size_t>(bytes[3]);
  base::Cursor cursor(bytes, place);
  cursor.take(4, "the idx header");
  tensor::Shape shape;
  for (size_t d = 0; d < rank; ++d) shape.push_back(int64_t{__builtin_bswap32(cursor.read<uint32_t>("the idx sizes"))});

  const int64_t elements = base::checked_product(shape, place, limits.tensor_elements);
  const auto size = static_cast<uint64_t>(tensor::packed_bytes(dtype, elements));
  if (cursor.remaining() != size)
    base::fail_malformed(place,
                         "an idx array of shape " + tensor::to_string(shape) + " has " + std::to_string(size) +
                             " bytes, but " + std::to_string(cursor.remaining()) + " follow the header",
                         cursor.remaining() < size ? "the file is truncated" : "");
  const base::Bytes data = cursor.take(size, "the idx array");
  const auto element_bytes = static_cast<size_t>(tensor::bits_of(dtype) / 8);
  if (element_bytes == 1) return tensor::Tensor(dtype, shape, data, std::move(owner));
  tensor::Tensor out(dtype, shape, true);
  const auto to = out.mutable_bytes();
  for (size_t i = 0; i < to.size(); i += element_bytes)
    std::reverse_copy(data.begin() + static_cast<std::ptrdiff_t>(i),
                      data.begin() + static_cast<std::ptrdiff_t>(i + element_bytes),
                      to.begin() + static_cast<std::ptrdiff_t>(i));
  return out;
}

}  // namespace nibble::io
