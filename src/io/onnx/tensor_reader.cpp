#include "io/onnx/tensor_reader.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "io/onnx/dtypes.h"
#include "io/onnx/onnx_schema.pb.h"

namespace nibble::io::onnx {
namespace schema = ::nibble::onnx;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;

namespace {

constexpr const char* kReexport = "the file is damaged or was written by a faulty tool, export it again";

/// Copies typed elements that must fit the element type; `Wide` is how the field holds them.
template <typename Narrow, typename Wide>
void narrow(const Wide& data, Tensor& out, int64_t low, int64_t high, const std::string& place) {
  auto* to = reinterpret_cast<Narrow*>(out.mutable_bytes().data());
  for (int i = 0; i < data.size(); ++i) {
    const auto value = data.Get(i);
    if (std::cmp_less(value, low) || std::cmp_greater(value, high))
      base::fail_malformed(place,
                           "element " + std::to_string(i) + " is " + std::to_string(value) + ", its type holds " +
                               std::to_string(low) + " to " + std::to_string(high),
                           kReexport);
    to[i] = static_cast<Narrow>(value);
  }
}

template <typename Field>
void copy_all(const Field& data, Tensor& out) {
  std::memcpy(out.mutable_bytes().data(), data.data(), out.bytes().size());
}

void copy_int32_data(const schema::TensorProto& proto, Tensor& out, const std::string& place) {
  const auto& data = proto.int32_data();
  switch (out.dtype()) {
    case DType::i32:
      copy_all(data, out);
      return;
    case DType::i8:
      narrow<int8_t>(data, out, -128, 127, place);
      return;
    case DType::i16:
      narrow<int16_t>(data, out, -32768, 32767, place);
      return;
    case DType::boolean:
      narrow<uint8_t>(data, out, 0, 1, place);
      return;
    default:
      break;  // bit patterns: unsigned, 8 or 16 bits; packed types hold a byte (several elements) an entry
  }
  if (tensor::bits_of(out.dtype()) == 16)
    narrow<uint16_t>(data, out, 0, 65535, place);
  else
    narrow<uint8_t>(data, out, 0, 255, place);
}

Tensor typed(const schema::TensorProto& proto, const DTypeRow& row, const Shape& shape, int64_t elements,
             const std::string& place) {
  const int64_t counts[] = {proto.float_data_size(), proto.int32_data_size(), proto.int64_data_size(),
                            proto.double_data_size(), proto.uint64_data_size()};
  const int64_t have = counts[static_cast<size_t>(row.typed_field)];
  int64_t others = 0;
  for (const int64_t count : counts) others += count;
  if (others != have)
    base::fail_malformed(place, std::string("its data are in a field that does not belong to its type ") + row.name,
                         kReexport);
  const int64_t wanted = tensor::is_packed(row.dtype) ? tensor::packed_bytes(row.dtype, elements) : elements;
  if (have != wanted)
    base::fail_malformed(place,
                         "holds " + std::to_string(have) + " values, its shape " + tensor::to_string(shape) +
                             " needs " + std::to_string(wanted),
                         kReexport);
  Tensor out(row.dtype, shape, true);
  if (have == 0) return out;
  switch (row.typed_field) {
    case TypedField::kFloat:
      copy_all(proto.float_data(), out);
      break;
    case TypedField::kInt64:
      copy_all(proto.int64_data(), out);
      break;
    case TypedField::kDouble:
      copy_all(proto.double_data(), out);
      break;
    case TypedField::kInt32:
      copy_int32_data(proto, out, place);
      break;
    case TypedField::kUint64:
      if (row.dtype == DType::u64)
        copy_all(proto.uint64_data(), out);
      else
        narrow<uint32_t>(proto.uint64_data(), out, 0, UINT32_MAX, place);
      break;
  }
  return out;
}

uint64_t decimal(const std::string& text, const std::string& key, const std::string& place) {
  uint64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || status != std::errc{} || end != text.data() + text.size() || value > uint64_t{INT64_MAX})
    base::fail_malformed(
        place, "the " + key + " of its external data is " + base::in_quotes(text) + ", a decimal number was expected",
        kReexport);
  return value;
}

/// Elements are 0 or 1, and the bits after the last packed element are zero, as tensor::DType promises.
Tensor canonical(Tensor t, const std::string& place) {
  if (t.dtype() == DType::boolean) {
    const auto bytes = t.bytes();
    const auto bad = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
    if (bad != bytes.end())
      base::fail_malformed(
          place, "element " + std::to_string(bad - bytes.begin()) + " is neither 0 nor 1 but of type BOOL", kReexport);
  }
  const int used_bits = static_cast<int>(t.elements() * tensor::bits_of(t.dtype()) % 8);
  if (!tensor::is_packed(t.dtype()) || used_bits == 0) return t;
  const auto mask = static_cast<std::byte>((1 << used_bits) - 1);
  if ((t.bytes().back() & ~mask) == std::byte{0}) return t;
  Tensor copy(t.dtype(), t.shape(), true);
  std::memcpy(copy.mutable_bytes().data(), t.bytes().data(), t.bytes().size());
  copy.mutable_bytes().back() &= mask;
  return copy;
}

}  // namespace

void Unsupported::fail_if_any(const std::string& place) const {
  if (counts_.empty()) return;
  std::string text;
  size_t named = 0;
  for (const auto& [what, count] : counts_) {
    if (named == 12) {
      text += ", ...";
      break;
    }
    text += (named++ ? ", " : "") + what + " x" + std::to_string(count);
  }
  base::fail_unsupported(place,
                         "uses " + std::to_string(counts_.size()) + (counts_.size() == 1 ? " thing" : " things") +
                             " that nibble does not support: " + text,
                         "export the network without them");
}

Tensor TensorReader::read(const schema::TensorProto& proto, const std::string& place, Unsupported& unsupported) {
  const DTypeRow* row = find_dtype(proto.data_type());
  if (!row) {
    if (proto.data_type() == 0) base::fail_malformed(place, "has no data type", kReexport);
    unsupported.add(onnx_type_name(proto.data_type()) + " tensor");
    return {};
  }
  if (proto.has_segment()) {
    unsupported.add("tensor in segments");
    return {};
  }
  // The wire pass leaves no unknown fields, so this is an enumeration value that the schema does not know.
  if (!proto.unknown_fields().empty()) base::fail_malformed(place, "its data_location is unknown", kReexport);
  base::check_limit(proto.dims_size(), limits_.rank, "rank", place, "the number of its dimensions");
  const Shape shape(proto.dims().begin(), proto.dims().end());
  const int64_t elements = base::checked_product(shape, place, INT64_MAX / 64);
  base::check_limit(elements, limits_.tensor_elements, "tensor-elements", place, "the number of its elements");
  const auto size = static_cast<size_t>(tensor::packed_bytes(row->dtype, elements));

  const bool is_external = proto.data_location() == schema::TensorProto::EXTERNAL;
  const bool has_typed = proto.float_data_size() || proto.int32_data_size() || proto.int64_data_size() ||
                         proto.double_data_size() || proto.uint64_data_size();
  const base::Bytes raw = proto.has_raw_data() ? spans_.at(raw_index(proto.raw_data())) : base::Bytes{};
  if ((is_external ? 1 : 0) + (has_typed ? 1 : 0) + (raw.empty() ? 0 : 1) > 1)
    base::fail_malformed(place, "has its data in more than one place (raw, typed, external)", kReexport);
  if (is_external) return canonical(external(proto, row->dtype, shape, size, place), place);
  if (!proto.has_raw_data() || has_typed) return canonical(typed(proto, *row, shape, elements, place), place);
  if (raw.size() != size)
    base::fail_malformed(place,
                         "has " + std::to_string(raw.size()) + " bytes of data, " + row->name + " of shape " +
                             tensor::to_string(shape) + " needs " + std::to_string(size),
                         kReexport);
  if (size == 0) return Tensor(row->dtype, shape);
  Tensor tensor(row->dtype, shape, raw, owner_);
  // Protobuf aligns nothing: a tensor at an odd place was copied, and need not be in memory twice.
  if (mapping_ && tensor.bytes().data() != raw.data()) base::forget_pages(raw);
  return canonical(std::move(tensor), place);
}

Tensor TensorReader::external(const schema::TensorProto& proto, DType dtype, Shape shape, size_t size,
                              const std::string& place) {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location")
      location = entry.value();
    else if (entry.key() == "offset")
      offset = decimal(entry.value(), "offset", place);
    else if (entry.key() == "length")
      length = decimal(entry.value(), "length", place);
    else if (entry.key() != "checksum")
      notes_.push_back(place + ": the key " + base::in_quotes(entry.key()) +
                       " of its external data is not known and ignored");
  }
  if (!directory_)
    base::fail_malformed(place,
                         "its data are in the file " + base::in_quotes(location) + ", which cannot be found from here",
                         "open the network by its file name");
  if (length && *length != size)
    base::fail_malformed(place,
                         "its external data have " + std::to_string(*length) + " bytes, its shape " +
                             tensor::to_string(shape) + " needs " + std::to_string(size),
                         kReexport);
  const std::string key = std::filesystem::path(location).lexically_normal().string();
  auto& file = files_[key];
  if (!file) file = base::MappedFile::open_beneath(*directory_, location, place);
  const size_t available = file->bytes().size();
  if (offset > available || size > available - offset)
    base::fail_malformed(place,
                         "its external data end at byte " + std::to_string(offset + size) + ", the file " +
                             base::in_quotes(location) + " has " + std::to_string(available),
                         "the file is truncated or belongs to another network");
  if (size == 0) return Tensor(dtype, std::move(shape));
  external_spans_[key].push_back({offset, offset + size, place});
  return Tensor(dtype, std::move(shape), file->bytes().subspan(offset, size), file);
}

void TensorReader::check_external_overlap() const {
  for (const auto& [location, spans] : external_spans_) {
    std::vector<Span> sorted = spans;
    std::sort(sorted.begin(), sorted.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < sorted.size(); ++i)
      if (sorted[i].begin < sorted[i - 1].end)
        base::fail_malformed(sorted[i].tensor, "its external data overlap those of another tensor", kReexport);
  }
}

}  // namespace nibble::io::onnx
