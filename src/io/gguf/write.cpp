#include "io/gguf/write.h"

#include <algorithm>
#include <type_traits>

#include "base/error.h"
#include "io/gguf/read.h"

namespace nibble::io::gguf {
namespace {

constexpr uint64_t kAlignment = 32;

uint64_t padded(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_string(std::string& out, const std::string& text) {
  put<uint64_t>(out, text.size());
  out += text;
}

void put_array(std::string& out, const Array& array) {
  put<uint32_t>(out, static_cast<uint32_t>(array.index()));
  std::visit(
      [&](const auto& list) {
        using List = std::decay_t<decltype(list)>;
        if constexpr (std::is_same_v<List, std::monostate>) {
          NIBBLE_INVARIANT(false);
        } else {
          put<uint64_t>(out, list.size());
          for (const auto& element : list) {
            using T = typename List::value_type;
            if constexpr (std::is_same_v<T, std::string>)
              put_string(out, element);
            else if constexpr (std::is_same_v<T, bool>)
              put<uint8_t>(out, element ? 1 : 0);
            else
              put<T>(out, element);
          }
        }
      },
      array);
}

void put_value(std::string& out, const Value& value) {
  put<uint32_t>(out, static_cast<uint32_t>(value.index()));
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>)
          put_string(out, v);
        else if constexpr (std::is_same_v<T, Array>)
          put_array(out, v);
        else if constexpr (std::is_same_v<T, bool>)
          put<uint8_t>(out, v ? 1 : 0);
        else
          put<T>(out, v);
      },
      value);
}

uint64_t bytes_of(const TensorInfo& t) {
  return static_cast<uint64_t>(tensor::packed_bytes(t.dtype, tensor::element_count(t.shape)));
}

/// Everything before the data, padded.
std::string header(const Metadata& metadata, const std::vector<TensorInfo>& tensors) {
  std::string out = "GGUF";
  put<uint32_t>(out, 3);
  put<uint64_t>(out, tensors.size());
  put<uint64_t>(out, metadata.size());
  for (const auto& [key, value] : metadata.pairs()) {
    put_string(out, key);
    put_value(out, value);
  }
  uint64_t offset = 0;
  for (const TensorInfo& t : tensors) {
    const std::string place = "tensor " + base::in_quotes(t.name);
    const auto type = type_of_dtype(t.dtype);
    if (t.name.size() > 63) base::fail_unsupported(place, "has a name of more than 63 bytes, which GGUF cannot hold");
    if (!type || t.shape.size() > 4)
      base::fail_unsupported(
          place, "has no form in GGUF: " + std::string(tensor::name_of(t.dtype)) + " " + tensor::to_string(t.shape));
    const int block = tensor::block_size(t.dtype).elements;
    if (!t.shape.empty() && t.shape.back() % block != 0)
      base::fail_unsupported(place, "has rows of " + std::to_string(t.shape.back()) + " elements, " +
                                        type_name(t.dtype) + " needs multiples of " + std::to_string(block));
    put_string(out, t.name);
    put<uint32_t>(out, static_cast<uint32_t>(t.shape.size()));
    for (auto size = t.shape.rbegin(); size != t.shape.rend(); ++size) put<int64_t>(out, *size);
    put<uint32_t>(out, static_cast<uint32_t>(*type));
    put<uint64_t>(out, offset);
    offset += padded(bytes_of(t));
  }
  out.resize(padded(out.size()), '\0');
  return out;
}

}  // namespace

Writer::Writer(base::AtomicFile& file, const Metadata& metadata, std::vector<TensorInfo> tensors)
    : file_(file), tensors_(std::move(tensors)) {
  file_.write(header(metadata, tensors_));
}

void Writer::append(base::Bytes bytes) {
  NIBBLE_INVARIANT(at_ < tensors_.size() && written_ + bytes.size() <= bytes_of(tensors_[at_]));
  file_.write(bytes);
  written_ += bytes.size();
}

void Writer::end_tensor() {
  NIBBLE_INVARIANT(at_ < tensors_.size() && written_ == bytes_of(tensors_[at_]));
  file_.write(std::string(padded(written_) - written_, '\0'));
  written_ = 0;
  ++at_;
}

uint64_t file_size(const Metadata& metadata, const std::vector<TensorInfo>& tensors) {
  uint64_t size = header(metadata, tensors).size();
  for (const TensorInfo& t : tensors) size += padded(bytes_of(t));
  return size;
}

}  // namespace nibble::io::gguf
