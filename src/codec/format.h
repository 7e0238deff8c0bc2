#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tensor/quantization.h"
#include "tensor/tensor.h"

namespace nibble::codec {

using tensor::DType;
using tensor::Tensor;

/// How a format stores the factor of a group.
enum class ScaleType : uint8_t { kF16, kF32, kE8M0, kE4M3 };

/// Parameters of one group: real = scale * (level(code) - zero) + offset.
struct GroupParams {
  float scale = 1.0f;
  int zero = 0;
  float offset = 0.0f;
};

/// A 4-bit (or 8-bit) number format: the definition of what codes mean. Kernels and writers are opinions about it.
struct NumberFormat {
  std::string_view name;     ///< "int4", as on the command line
  std::string_view summary;  ///< one line for help and docs
  DType code;                ///< type of the stored codes: int4, uint4, i8 or u8
  int bits;                  ///< bits of a code
  ScaleType scale;           ///< how a scale is stored
  int block;                 ///< the only group size it allows, or 0 for any granularity
  bool integer_zero;         ///< the `affine` map: an integer zero point can be stored
  bool real_offset;          ///< the `minmax` map: a real offset can be stored
  bool tensor_scale;         ///< has a second-level f32 factor a tensor (NVFP4)
  /// levels[i] is the value of code `lowest_code + i` at scale 1; not sorted for E2M1 (sign and magnitude).
  std::span<const float> levels;
  int lowest_code;  ///< -8 for int4, 0 for uint4

  float level(int code_value) const { return levels[static_cast<size_t>(code_value - lowest_code)]; }

  /// The parameters nearest to `wanted` that the format's bytes can hold: the scale rounded to its type (E8M0: to the
  /// nearest power of two; E4M3: after division by `tensor_scale`), the zero point clamped to the codes. A scale that
  /// rounds to zero becomes the zero group: scale 1 with every code at zero.
  GroupParams storable(GroupParams wanted, float tensor_scale_factor = 1.0f) const;

  /// Code of the level nearest to (x - offset) / scale + zero, ties to even code (E2M1: even mantissa), saturating.
  /// Uniform formats round x / scale to even first and add the zero point after, as ONNX QuantizeLinear does.
  int quantize(float x, const GroupParams& params) const;
  /// scale * (level(code) - zero) + offset, in float32, in this order.
  float decode(int code_value, const GroupParams& params) const;

  /// Bits a weight with one scale (and zero point, where `with_zero`) for every `group` weights.
  double bits_per_weight(int64_t group, bool with_zero, bool with_offset) const;
};

/// The format of that name, or nullptr.
const NumberFormat* find_format(std::string_view name);
/// All formats in the order of formats.def.
std::span<const NumberFormat* const> all_formats();

/// Codes (one an int8) -> the packed bytes of a Tensor of `dtype` and `shape`; and back.
Tensor pack(DType dtype, tensor::Shape shape, std::span<const int8_t> codes);
std::vector<int8_t> unpack(const Tensor& codes);

/// The real values of a quantized tensor as f32; also converts f16, bf16 and f64 tensors without Quantization.
Tensor dequantize(const Tensor& t);

/// What the parameters of element group (`channel`, `group`) of a quantized tensor are, read back from its stored scale.
GroupParams params_at(const tensor::Quantization& q, int64_t index);

/// Bytes of codes, scales, zero points and offsets.
int64_t stored_bytes(const Tensor& t);

}  // namespace nibble::codec
