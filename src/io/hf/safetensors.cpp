// safetensors: u64 length of a JSON header; the header, {"name": {"dtype", "shape", "data_offsets": [begin, end]}}; the
// data.
#include "io/hf/safetensors.h"

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "base/error.h"
#include "io/json/json.h"

namespace nibble::io::hf {
namespace {

using tensor::DType;

constexpr uint64_t kLongestHeader = 100'000'000;  // safetensors' own cap

struct Row {
  const char* name;
  DType dtype;
};
constexpr auto kTypes = std::to_array<Row>({{"F32", DType::f32},
                                            {"F16", DType::f16},
                                            {"BF16", DType::bf16},
                                            {"F64", DType::f64},
                                            {"I8", DType::i8},
                                            {"U8", DType::u8},
                                            {"I16", DType::i16},
                                            {"U16", DType::u16},
                                            {"I32", DType::i32},
                                            {"U32", DType::u32},
                                            {"I64", DType::i64},
                                            {"U64", DType::u64},
                                            {"BOOL", DType::boolean},
                                            {"F8_E4M3", DType::f8e4m3},
                                            {"F8_E5M2", DType::f8e5m2}});

struct Entry {
  std::string name;
  DType dtype;
  tensor::Shape shape;
  int64_t begin = 0, end = 0;
};

Entry entry_of(const std::string& name, const Json& value, const std::string& place, const base::Limits& limits) {
  Entry e{name, DType::f32, {}, 0, 0};
  const auto member = [&](const char* key) -> const Json& {
    const Json* found = value.find(key);
    if (!found) base::fail_malformed(place, std::string("has no \"") + key + "\" in the header");
    return *found;
  };
  base::check_limit(static_cast<int64_t>(name.size()), limits.name_bytes, "name-bytes", place, "bytes of a name");
  const std::string& type = member("dtype").string(place);
  const auto row = std::find_if(kTypes.begin(), kTypes.end(), [&](const Row& r) { return type == r.name; });
  if (row == kTypes.end()) base::fail_unsupported(place, "has elements of type " + base::in_quotes(type));
  e.dtype = row->dtype;
  for (const Json& size : member("shape").array(place)) e.shape.push_back(size.integer(place));
  base::check_limit(static_cast<int64_t>(e.shape.size()), limits.rank, "rank", place, "dimensions");
  const auto& offsets = member("data_offsets").array(place);
  if (offsets.size() != 2) base::fail_malformed(place, "has data_offsets that are not a begin and an end");
  e.begin = offsets[0].integer(place);
  e.end = offsets[1].integer(place);
  const int64_t elements = base::checked_product(e.shape, place, limits.tensor_elements);
  if (e.begin < 0 || e.end < e.begin || e.end - e.begin != tensor::packed_bytes(e.dtype, elements))
    base::fail_malformed(place, "has data_offsets " + std::to_string(e.begin) + " to " + std::to_string(e.end) + ", " +
                                    type + " " + tensor::to_string(e.shape) + " needs " +
                                    std::to_string(tensor::packed_bytes(e.dtype, elements)) + " bytes");
  return e;
}

}  // namespace

std::vector<NamedTensor> read_safetensors(base::Bytes bytes, std::shared_ptr<const void> owner,
                                          const std::string& place, const base::Limits& limits) {
  base::Cursor in(bytes, place);
  const auto length = in.read<uint64_t>("the length of the header");
  if (length > kLongestHeader)
    base::fail_malformed(place, "declares a header of " + std::to_string(length) + " bytes; is it a safetensors file?");
  const auto header = base::as_text(in.take(length, "the header"));
  if (header.empty() || header[0] != '{') base::fail_malformed(place, "has a header that does not begin with {");
  const Json json = parse_json(header, place, limits);
  std::vector<Entry> entries;
  for (const auto& [name, value] : json.object(place)) {
    if (name == "__metadata__") continue;
    entries.push_back(entry_of(name, value, place + ": tensor " + base::in_quotes(name), limits));
  }
  base::check_limit(static_cast<int64_t>(entries.size()), limits.tensors, "tensors", place, "tensors");
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  const base::Bytes data = bytes.subspan(in.offset());
  const auto size = static_cast<int64_t>(data.size());
  std::vector<NamedTensor> tensors;
  int64_t at = 0;
  for (Entry& e : entries) {
    const std::string where = place + ": tensor " + base::in_quotes(e.name);
    if (e.begin != at)
      base::fail_malformed(where, "begins at byte " + std::to_string(e.begin) +
                                      " of the data, the tensor before it ends at " + std::to_string(at));
    if (e.end > size)
      base::fail_malformed(where,
                           "ends " + std::to_string(e.end - size) + " bytes past the file; the download is incomplete");
    at = e.end;
    const auto part = data.subspan(static_cast<size_t>(e.begin), static_cast<size_t>(e.end - e.begin));
    tensors.push_back({std::move(e.name), tensor::Tensor(e.dtype, std::move(e.shape), part, owner)});
  }
  if (at != size) base::fail_malformed(place, "has " + std::to_string(size - at) + " bytes after its last tensor");
  return tensors;
}

void write_safetensors(const std::vector<NamedTensor>& tensors, const std::function<void(base::Bytes)>& write) {
  Json::Object header;
  int64_t at = 0;
  for (const NamedTensor& t : tensors) {
    const auto row =
        std::find_if(kTypes.begin(), kTypes.end(), [&](const Row& r) { return t.tensor.dtype() == r.dtype; });
    if (row == kTypes.end() || t.tensor.quantization())
      base::fail_unsupported("tensor " + base::in_quotes(t.name), "has elements that safetensors does not know");
    Json::Array shape;
    for (const int64_t size : t.tensor.shape()) shape.emplace_back(size);
    const auto bytes = static_cast<int64_t>(t.tensor.bytes().size());
    header.emplace_back(t.name, Json::Object{{"dtype", row->name},
                                             {"shape", std::move(shape)},
                                             {"data_offsets", Json::Array{Json(at), Json(at + bytes)}}});
    at += bytes;
  }
  std::string text = to_text(Json(std::move(header)), 0);
  text.append((8 - text.size() % 8) % 8, ' ');  // the data begin aligned
  uint8_t length[8];
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<uint8_t>(static_cast<uint64_t>(text.size()) >> (8 * i));
  write(base::Bytes(reinterpret_cast<const std::byte*>(length), 8));
  write(base::as_bytes(text));
  for (const NamedTensor& t : tensors) write(t.tensor.bytes());
}

}  // namespace nibble::io::hf
