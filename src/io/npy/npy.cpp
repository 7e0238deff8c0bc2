#include "io/npy/npy.h"

#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "io/npy/header.h"
#include "io/zip/zip.h"

namespace nibble::io {
namespace {

using tensor::DType;
using tensor::Tensor;

constexpr std::string_view kMagic("\x93NUMPY", 6);

/// `bytes` hold `shape` with the first dimension running fastest; the result has the last one running fastest.
Tensor from_fortran_order(base::Bytes bytes, DType dtype, const tensor::Shape& shape) {
  Tensor out(dtype, shape, true);
  const auto size = static_cast<size_t>(tensor::bits_of(dtype) / 8);
  const size_t rank = shape.size();
  std::vector<int64_t> stride(rank), index(rank, 0);
  int64_t step = 1;
  for (size_t d = 0; d < rank; ++d) {
    stride[d] = step;
    step *= shape[d];
  }
  std::byte* to = out.mutable_bytes().data();
  int64_t from = 0;
  for (int64_t i = 0; i < out.elements(); ++i) {
    std::memcpy(to + static_cast<size_t>(i) * size, bytes.data() + static_cast<size_t>(from) * size, size);
    for (size_t d = rank; d-- > 0;) {
      from += stride[d];
      if (++index[d] < shape[d]) break;
      from -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
  return out;
}

std::string_view descr_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "<f4";
    case DType::f64:
      return "<f8";
    case DType::f16:
      return "<f2";
    case DType::i8:
      return "|i1";
    case DType::u8:
      return "|u1";
    case DType::i16:
      return "<i2";
    case DType::u16:
      return "<u2";
    case DType::i32:
      return "<i4";
    case DType::u32:
      return "<u4";
    case DType::i64:
      return "<i8";
    case DType::u64:
      return "<u8";
    case DType::boolean:
      return "|b1";
    default:
      base::fail_unsupported("", "NumPy has no type for " + std::string(tensor::name_of(dtype)) + " elements");
  }
}

}  // namespace

bool is_npy(base::Bytes bytes) {
  return bytes.size() >= kMagic.size() && base::as_text(bytes.first(kMagic.size())) == kMagic;
}

Tensor read_npy(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                const base::Limits& limits) {
  if (!is_npy(bytes)) base::fail_malformed(place, "is no .npy file: it does not begin with \\x93NUMPY");
  base::Cursor cursor(bytes, place);
  cursor.take(kMagic.size(), "the .npy magic");
  const auto major = cursor.read<uint8_t>("the .npy version");
  cursor.read<uint8_t>("the .npy version");
  if (major < 1 || major > 3)
    base::fail_unsupported(place, "has .npy version " + std::to_string(major) + "; 1 to 3 are known");
  const uint32_t length = major == 1 ? cursor.read<uint16_t>("the .npy header's length")
                                     : cursor.read<uint32_t>("the .npy header's length");
  const npy::Header header = npy::parse_header(base::as_text(cursor.take(length, "the .npy header")), place, limits);

  const int64_t elements = base::checked_product(header.shape, place, limits.tensor_elements);
  const auto size = static_cast<uint64_t>(tensor::packed_bytes(header.dtype, elements));
  if (cursor.remaining() != size)
    base::fail_malformed(place,
                         "an array of shape " + tensor::to_string(header.shape) + " and type " +
                             std::string(tensor::name_of(header.dtype)) + " has " + std::to_string(size) +
                             " bytes, but " + std::to_string(cursor.remaining()) + " follow the header",
                         cursor.remaining() < size ? "the file is truncated" : "");
  const base::Bytes data = cursor.take(size, "the array");
  if (header.dtype == DType::boolean)
    for (size_t i = 0; i < data.size(); ++i)
      if (data[i] > std::byte{1})
        base::fail_malformed(place, "element " + std::to_string(i) + " of a boolean array is neither 0 nor 1");
  if (header.fortran_order && header.shape.size() > 1 && elements > 0)
    return from_fortran_order(data, header.dtype, header.shape);
  return Tensor(header.dtype, header.shape, data, std::move(owner));
}

std::string npy_header(const Tensor& tensor) {
  std::string text = "{'descr': '" + std::string(descr_of(tensor.dtype())) + "', 'fortran_order': False, 'shape': (";
  for (size_t d = 0; d < tensor.shape().size(); ++d) text += (d ? ", " : "") + std::to_string(tensor.shape()[d]);
  text += tensor.rank() == 1 ? ",), }" : "), }";
  // magic (6), version (2), length (2), text and its newline end at a multiple of 64.
  const size_t unpadded = kMagic.size() + 4 + text.size() + 1;
  text.append((64 - unpadded % 64) % 64, ' ');
  text += '\n';
  std::string header(kMagic);
  header += std::string("\1\0", 2);
  header += static_cast<char>(text.size() & 0xFF);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

std::string npy_file(const Tensor& tensor) { return npy_header(tensor).append(base::as_text(tensor.bytes())); }

std::vector<std::pair<std::string, Tensor>> read_npz(base::Bytes bytes, const std::string& place,
                                                     const base::Limits& limits) {
  const ZipFile zip(bytes, nullptr, place, limits);
  std::vector<std::pair<std::string, Tensor>> arrays;
  for (size_t i = 0; i < zip.entries().size(); ++i) {
    std::string_view name = zip.entries()[i].name;
    if (!name.ends_with(".npy"))
      base::fail_unsupported(zip.place_of(i), "is no .npy array, as all of an .npz file are");
    name.remove_suffix(4);
    const auto data = std::make_shared<const std::vector<std::byte>>(zip.read(i));
    arrays.emplace_back(name, read_npy(*data, data, zip.place_of(i), limits));
  }
  return arrays;
}

}  // namespace nibble::io
