#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "tensor/tensor.h"

namespace nibble::codec {

using tensor::DType;

/// What the bytes of a blocked dtype (tensor/blocks.def) mean: scales and codes of `elements` consecutive values of a
/// row, interleaved as GGUF files have them. Plain code, the definition; the values are float32 arithmetic in the order
/// that each format's comment gives, bit for bit those of ggml's dequantize_row_*.
struct BlockFormat {
  DType dtype;
  std::string_view name;     ///< as GGUF spells it: "Q4_0"
  std::string_view summary;  ///< one line for help and docs
  int elements, bytes;       ///< of a block
  /// The values of `blocks` consecutive blocks.
  void (*decode)(const uint8_t* bytes, int64_t blocks, float* values);
  /// The format's plain encoder, byte for byte that of ggml's reference (quantize_row_*_ref) where it has one: no
  /// search, no weights. Values are finite.
  void (*encode)(const float* values, int64_t blocks, uint8_t* bytes);
  float largest;  ///< magnitude up to which any values can be stored: scales and minima stay finite, nothing is cut off
};

/// `largest` of the formats whose scales and minima are f16: half of what f16 holds, since a search may set a minimum
/// below the least value.
inline constexpr float kMostByF16Scale = 32752.0f;

/// The format of that dtype, or nullptr when the dtype has no blocks.
const BlockFormat* find_block_format(DType dtype);
/// The format that GGUF calls so ("Q4_K", upper or lower case), or nullptr.
const BlockFormat* find_block_format(std::string_view name);
/// All formats in the order of tensor/blocks.def.
std::span<const BlockFormat* const> all_block_formats();

/// Elements [start, start + count) of a tensor of real numbers, row-major, as f32: f32, f16, bf16, f64, the 8-bit float
/// types and blocks (start and count whole blocks then). For weights that are too large to be decoded as a whole.
void decode_range(const tensor::Tensor& t, int64_t start, int64_t count, float* values);

/// Throws Error(kMalformed) naming `place` and the element when a tensor's float values or the scales of its blocks are
/// NaN or infinite. Reads every byte once.
void require_finite_values(const tensor::Tensor& t, const std::string& place);

}  // namespace nibble::codec
