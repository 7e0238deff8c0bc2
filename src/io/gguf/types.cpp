#include <algorithm>
#include <array>
#include <cctype>

#include "io/gguf/read.h"

namespace nibble::io::gguf {
namespace {

using tensor::DType;

struct Row {
  int64_t number;
  DType dtype;
  const char* name;
};

constexpr auto kTypes = std::to_array<Row>({
    {0, DType::f32, "F32"},
    {1, DType::f16, "F16"},
    {30, DType::bf16, "BF16"},
    {24, DType::i8, "I8"},
    {25, DType::i16, "I16"},
    {26, DType::i32, "I32"},
    {27, DType::i64, "I64"},
    {28, DType::f64, "F64"},
#define NIBBLE_BLOCK(dtype, elements, bytes, number, what) {number, DType::dtype, #dtype},
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK
});

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

std::optional<DType> dtype_of_type(int64_t ggml_type) {
  for (const Row& row : kTypes)
    if (row.number == ggml_type) return row.dtype;
  return std::nullopt;
}

std::optional<int64_t> type_of_dtype(DType dtype) {
  for (const Row& row : kTypes)
    if (row.dtype == dtype) return row.number;
  return std::nullopt;
}

std::string type_name(DType dtype) { return upper(tensor::name_of(dtype)); }

std::optional<DType> find_type(std::string_view name) {
  const std::string wanted = upper(name);
  for (const Row& row : kTypes)
    if (upper(row.name) == wanted) return row.dtype;
  return std::nullopt;
}

}  // namespace nibble::io::gguf
