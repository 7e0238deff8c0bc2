#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "io/gguf/metadata.h"
#include "io/named_tensor.h"

namespace nibble::io::gguf {

/// A GGUF file, or all parts of a split one.
struct File {
  Metadata metadata;                 ///< of the first part, without the keys `split.*`
  std::vector<NamedTensor> tensors;  ///< in file order
  std::vector<std::filesystem::path> paths;
  int64_t file_bytes = 0;  ///< of all parts
};

/// Reads version 2 or 3, little-endian. A name `*-00001-of-0000N.gguf` brings the other parts. Tensors stay views of
/// the mapping; their values are not looked at.
///
/// Throws Error naming the file and the byte: kMalformed for anything that ggml's own reader refuses too (gaps,
/// overlaps, nested arrays, duplicate names), kUnsupported for types that nibble does not know (named by number),
/// kLimit.
File read(const std::filesystem::path& path, const base::Limits& limits);

/// The same from bytes that `owner` keeps alive, of a model that is not split.
File read_bytes(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                const base::Limits& limits);

/// Whether the file begins with GGUF's magic bytes.
bool is_gguf(base::Bytes bytes);

/// The tensor type of that number, or std::nullopt; and back. F32, F16, BF16, F64, I8..I64 and the blocked types.
std::optional<tensor::DType> dtype_of_type(int64_t ggml_type);
std::optional<int64_t> type_of_dtype(tensor::DType dtype);
/// "Q4_K" of q4_k, "F16" of f16: as llama.cpp writes types.
std::string type_name(tensor::DType dtype);
/// The dtype of such a name in any case, or std::nullopt.
std::optional<tensor::DType> find_type(std::string_view name);

}  // namespace nibble::io::gguf
