// GGUF container, versions 2 and 3 (ggml, docs/gguf.md): header, key-value pairs, tensor infos, padding, data.
#include "io/gguf/read.h"

#include <algorithm>
#include <cstdio>
#include <regex>
#include <unordered_set>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"

namespace nibble::io::gguf {
namespace {

using base::Cursor;
using tensor::DType;
using tensor::Shape;

constexpr uint64_t kMostKeys = 65536;
constexpr int64_t kMostElements = int64_t{1} << 26;    // of one array
constexpr int64_t kMostMetadata = int64_t{512} << 20;  // bytes of all keys
constexpr int64_t kMostAlignment = 1 << 20;
constexpr size_t kMostNameBytes = 63;  // ggml's name field
constexpr size_t kStep = size_t{1} << 20;

std::string read_string(Cursor& in, const char* what, const base::Limits& limits) {
  const auto length = in.read<uint64_t>(what);
  in.need(length, what);
  base::check_limit(static_cast<int64_t>(length), limits.string_bytes, "string-bytes", in.place(), what);
  return std::string(base::as_text(in.take(length, what)));
}

/// Valid UTF-8 without NUL.
void require_text(const std::string& text, const Cursor& in, const char* what) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = text[at] == '\0' ? 0 : base::utf8_length(std::string_view(text).substr(at));
    if (length == 0)
      base::fail_malformed(in.place(), std::string(what) + " " + base::in_quotes(text) + " is not valid UTF-8 text");
    at += length;
  }
}

template <typename T>
T read_scalar(Cursor& in, const base::Limits& limits) {
  if constexpr (std::is_same_v<T, std::string>) {
    return read_string(in, "a string", limits);
  } else if constexpr (std::is_same_v<T, bool>) {
    const auto byte = in.read<uint8_t>("a truth value");
    if (byte > 1) base::fail_malformed(in.place(), "a truth value is " + std::to_string(byte));
    return byte == 1;
  } else {
    return in.read<T>("a value");
  }
}

template <typename T>
Array read_list(Cursor& in, uint64_t count, const base::Limits& limits) {
  constexpr uint64_t kLeast = std::is_same_v<T, std::string> ? 8 : sizeof(T);
  const auto bytes = base::checked_mul(static_cast<int64_t>(count), static_cast<int64_t>(kLeast));
  in.need(bytes ? static_cast<uint64_t>(*bytes) : UINT64_MAX, "a list");
  std::vector<T> list;
  for (uint64_t i = 0; i < count; ++i) {
    if (list.size() == list.capacity())
      list.reserve(list.size() + std::max<size_t>(16, std::min(count - i, kStep / kLeast)));
    list.push_back(read_scalar<T>(in, limits));
  }
  return list;
}

/// Calls `f` with a value of the C++ type of that number; false for a number that is none.
template <typename F>
bool visit_type(uint32_t type, F&& f) {
  switch (type) {
    case 0:
      return f(uint8_t{}), true;
    case 1:
      return f(int8_t{}), true;
    case 2:
      return f(uint16_t{}), true;
    case 3:
      return f(int16_t{}), true;
    case 4:
      return f(uint32_t{}), true;
    case 5:
      return f(int32_t{}), true;
    case 6:
      return f(float{}), true;
    case 7:
      return f(bool{}), true;
    case 8:
      return f(std::string{}), true;
    case 10:
      return f(uint64_t{}), true;
    case 11:
      return f(int64_t{}), true;
    case 12:
      return f(double{}), true;
    default:
      return false;
  }
}

Value read_value(Cursor& in, const std::string& key, const base::Limits& limits) {
  const auto type = in.read<uint32_t>("the type of a value");
  Value value;
  if (visit_type(type, [&](auto t) { value = read_scalar<decltype(t)>(in, limits); })) return value;
  const std::string place = in.place() + ": key " + base::in_quotes(key);
  if (type != 9)
    base::fail_malformed(place, "has a value of type " + std::to_string(type) + ", which GGUF does not have");
  const auto element = in.read<uint32_t>("the type of a list");
  const auto count = in.read<uint64_t>("the length of a list");
  if (element == 9) base::fail_malformed(place, "is a list of lists, which no reader of GGUF takes");
  if (count > static_cast<uint64_t>(kMostElements))
    base::fail_limit(place, "is a list of " + std::to_string(count) + " elements, " + std::to_string(kMostElements) +
                                " are the most that nibble reads");
  if (!visit_type(element, [&](auto t) { value = read_list<decltype(t)>(in, count, limits); }))
    base::fail_malformed(place, "is a list of type " + std::to_string(element) + ", which GGUF does not have");
  return value;
}

void read_metadata(Cursor& in, uint64_t count, Metadata& metadata, const base::Limits& limits) {
  const size_t start = in.offset();
  for (uint64_t i = 0; i < count; ++i) {
    std::string key = read_string(in, "a key", limits);
    if (key.empty() || key.size() > 65535)
      base::fail_malformed(in.place(), "has a key of " + std::to_string(key.size()) + " bytes");
    require_text(key, in, "the key");
    if (metadata.has(key)) base::fail_malformed(in.place(), "has the key " + base::in_quotes(key) + " twice");
    Value value = read_value(in, key, limits);
    metadata.set(std::move(key), std::move(value));
    base::check_limit(static_cast<int64_t>(in.offset() - start), kMostMetadata, "metadata-bytes", in.place(),
                      "bytes of metadata");
  }
}

int64_t alignment_of(const Metadata& metadata, const std::string& place) {
  const Value* value = metadata.find("general.alignment");
  if (!value) return 32;
  const auto* alignment = std::get_if<uint32_t>(value);
  if (!alignment || *alignment == 0 || (*alignment & (*alignment - 1)) != 0 || *alignment > kMostAlignment)
    base::fail_malformed(place, "general.alignment is not a power of two up to 1 MiB, stored as a 32-bit number");
  return *alignment;
}

struct Info {
  std::string name;
  Shape shape;
  DType dtype;
  uint64_t offset = 0;
  int64_t bytes = 0;
};

Info read_info(Cursor& in, const base::Limits& limits) {
  Info info;
  info.name = read_string(in, "a tensor's name", limits);
  require_text(info.name, in, "the tensor name");
  const std::string place = in.place() + ": tensor " + base::in_quotes(info.name);
  if (info.name.size() > kMostNameBytes)
    base::fail_malformed(place, "has a name of more than 63 bytes, which llama.cpp refuses");
  const auto rank = in.read<uint32_t>("a tensor's number of dimensions");
  if (rank > 4) base::fail_malformed(place, "has " + std::to_string(rank) + " dimensions, GGUF allows 4");
  for (uint32_t d = 0; d < rank; ++d) info.shape.push_back(in.read<int64_t>("a tensor's size"));
  std::reverse(info.shape.begin(), info.shape.end());
  const int64_t elements = base::checked_product(info.shape, place, limits.tensor_elements);
  const auto type = in.read<uint32_t>("a tensor's type");
  const auto dtype = dtype_of_type(type);
  if (!dtype)
    base::fail_unsupported(place, "is stored in GGUF type " + std::to_string(type) + ", which nibble does not read",
                           "nibble check FILE lists what is missing");
  info.dtype = *dtype;
  if (const auto block = tensor::block_size(info.dtype);
      block.bytes != 0 && (info.shape.empty() || info.shape.back() % block.elements != 0))
    base::fail_malformed(place, "has rows of " + std::to_string(info.shape.empty() ? 1 : info.shape.back()) +
                                    " elements, its type " + type_name(info.dtype) + " needs multiples of " +
                                    std::to_string(block.elements));
  info.bytes = tensor::packed_bytes(info.dtype, elements);
  info.offset = in.read<uint64_t>("a tensor's offset");
  return info;
}

int64_t padded(int64_t bytes, int64_t alignment) { return (bytes + alignment - 1) / alignment * alignment; }

/// One part: its metadata into `metadata`, its tensors appended.
void read_part(base::Bytes bytes, const std::shared_ptr<const void>& owner, const std::string& place,
               const base::Limits& limits, Metadata& metadata, File& file, std::unordered_set<std::string>& names) {
  Cursor in(bytes, place);
  if (!is_gguf(bytes)) base::fail_malformed(place, "is not a GGUF file: it does not begin with GGUF");
  in.seek(4, "the version");
  const auto version = in.read<uint32_t>("the version");
  if ((version & 0xffff) == 0)
    base::fail_unsupported(place, "is a big-endian GGUF file", "convert it on the machine that it was made for");
  if (version != 2 && version != 3)
    base::fail_unsupported(place, "is GGUF version " + std::to_string(version) + "; nibble reads 2 and 3",
                           "convert it again with a current llama.cpp");
  const auto tensor_count = in.read<uint64_t>("the number of tensors");
  const auto key_count = in.read<uint64_t>("the number of keys");
  if (key_count > kMostKeys) base::fail_malformed(place, "declares " + std::to_string(key_count) + " keys");
  if (tensor_count > in.remaining() / 24)
    base::fail_malformed(place, "declares " + std::to_string(tensor_count) + " tensors, more than it has bytes for");
  base::check_limit(static_cast<int64_t>(tensor_count), limits.tensors, "tensors", place, "tensors");
  read_metadata(in, key_count, metadata, limits);
  const int64_t alignment = alignment_of(metadata, place);
  std::vector<Info> infos;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    infos.push_back(read_info(in, limits));
    if (!names.insert(infos.back().name).second)
      base::fail_malformed(place, "has the tensor " + base::in_quotes(infos.back().name) + " twice");
  }
  const int64_t start = padded(static_cast<int64_t>(in.offset()), alignment);
  const auto size = static_cast<int64_t>(bytes.size());
  int64_t expected = 0;
  for (const Info& info : infos) {
    const std::string at = place + ": tensor " + base::in_quotes(info.name);
    if (info.offset != static_cast<uint64_t>(expected))
      base::fail_malformed(at, "lies at offset " + std::to_string(info.offset) + ", the tensors before it end at " +
                                   std::to_string(expected));
    const int64_t room = size - start - expected;
    if (info.bytes > room)
      base::fail_malformed(at, "needs " + std::to_string(info.bytes) + " bytes, " +
                                   std::to_string(std::max<int64_t>(0, room)) + " remain; the file is truncated");
    file.tensors.push_back(
        {info.name,
         tensor::Tensor(info.dtype, info.shape,
                        bytes.subspan(static_cast<size_t>(start + expected), static_cast<size_t>(info.bytes)), owner)});
    expected += padded(info.bytes, alignment);
  }
  file.file_bytes += size;
}

void read_part(const std::filesystem::path& path, const base::Limits& limits, Metadata& metadata, File& file,
               std::unordered_set<std::string>& names) {
  const auto mapping = base::MappedFile::open(path);
  read_part(mapping->bytes(), mapping, base::printable(path.string(), 400), limits, metadata, file, names);
  file.paths.push_back(path);
}

/// What readers of single keys threw does not say the file yet.
template <typename Read>
void placed(const std::string& place, const Read& read) {
  try {
    read();
  } catch (const base::Error& e) {
    throw e.place().substr(0, 4) == "key " ? e.within(place) : e;
  }
}

void forget_split(Metadata& metadata) {
  for (const char* key : {"split.no", "split.count", "split.tensors.count"}) metadata.erase(key);
}

}  // namespace

bool is_gguf(base::Bytes bytes) { return base::as_text(bytes).substr(0, 4) == "GGUF"; }

File read_bytes(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                const base::Limits& limits) {
  File file;
  std::unordered_set<std::string> names;
  read_part(bytes, owner, place, limits, file.metadata, file, names);
  forget_split(file.metadata);
  return file;
}

File read(const std::filesystem::path& path, const base::Limits& limits) {
  File file;
  std::unordered_set<std::string> names;
  const std::string place = base::printable(path.string(), 400);
  read_part(path, limits, file.metadata, file, names);
  placed(place, [&] {
    const int64_t parts = file.metadata.integer("split.count").value_or(1);
    if (parts > 1) {
      const std::string name = path.filename().string();
      std::smatch match;
      static const std::regex kPart("^(.*)-([0-9]{5})-of-([0-9]{5})\\.gguf$");
      if (!std::regex_match(name, match, kPart) || std::stoll(match[3]) != parts)
        base::fail_malformed(place, "is one of " + std::to_string(parts) +
                                        " parts, but its name does not say so: *-00001-of-0000N.gguf");
      if (std::stoll(match[2]) != 1)
        base::fail_usage(place, "is not the first part of this model",
                         "name the part that ends in -00001-of-" + match[3].str() + ".gguf");
      for (int64_t part = 2; part <= parts; ++part) {
        char suffix[40];
        std::snprintf(suffix, sizeof suffix, "-%05d-of-%05d.gguf", static_cast<int>(part), static_cast<int>(parts));
        Metadata own;
        read_part(path.parent_path() / (match[1].str() + suffix), limits, own, file, names);
      }
    }
    const auto total = file.metadata.integer("split.tensors.count");
    if (total && *total != static_cast<int64_t>(file.tensors.size()))
      base::fail_malformed(place, "announces " + std::to_string(*total) + " tensors in all parts, " +
                                      std::to_string(file.tensors.size()) + " are there");
  });
  forget_split(file.metadata);
  return file;
}

}  // namespace nibble::io::gguf
