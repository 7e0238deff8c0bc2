#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "tensor/quantization.h"
#include "tensor/tensor.h"

namespace nibble::codec {

using tensor::DType;
using tensor::Tensor;

/// How the factor of a group is stored.
enum class ScaleType : uint8_t { kF16, kF32, kE8M0, kE4M3 };

int bits_of(ScaleType type);
/// The dtype of the tensor that holds such scales.
DType dtype_of(ScaleType type);

/// Parameters of one group: real = scale * (level(code) - zero) + offset. For a format with a second-level factor
/// (NVFP4) `scale` is the whole factor, stored scale times tensor scale.
struct GroupParams {
  float scale = 1.0f;
  int zero = 0;
  float offset = 0.0f;

  bool operator==(const GroupParams&) const = default;
};

/// The levels of a format that are not evenly spaced, in ascending order, and where one ends and the next begins.
struct Codebook {
  int count = 0;            ///< distinct levels (15 for E2M1, whose -0 is never written)
  float level[16] = {};     ///< ascending
  int8_t code[16] = {};     ///< the code of each
  float decision[16] = {};  ///< y >= decision[i] belongs above level i; a tie goes to the level with the even code
};

/// A 4-bit (or 8-bit) number format: the definition of what codes mean. Kernels and writers are opinions about it.
struct NumberFormat {
  std::string_view name;     ///< "int4", as on the command line
  std::string_view summary;  ///< one line for help and docs
  DType code;                ///< type of the stored codes: int4, uint4, f4e2m1, i8 or u8
  int bits;                  ///< bits of a code
  ScaleType scale;           ///< how a scale is stored unless said otherwise
  int block;                 ///< the only group size it allows, or 0 for any granularity
  bool integer_zero;         ///< the `affine` map: an integer zero point can be stored
  bool real_offset;          ///< the `minmax` map: a real offset can be stored (unsigned formats: code 0 is it)
  bool tensor_scale;         ///< has a second-level f32 factor a tensor (NVFP4)
  /// levels[i] is the value of code `lowest_code + i` at scale 1; not sorted for E2M1 (sign and magnitude).
  std::span<const float> levels;
  int lowest_code;           ///< -8 for int4, 0 for uint4
  const Codebook* codebook;  ///< nullptr when the level of a code is the code itself

  bool uniform() const { return codebook == nullptr; }
  int highest_code() const { return lowest_code + static_cast<int>(levels.size()) - 1; }
  float level(int code_value) const { return levels[static_cast<size_t>(code_value - lowest_code)]; }
  /// Smallest and largest level.
  float lowest_level() const { return uniform() ? levels.front() : codebook->level[0]; }
  float highest_level() const { return uniform() ? levels.back() : codebook->level[codebook->count - 1]; }

  /// The parameters nearest to `wanted` that the bytes can hold: the scale rounded to its type (E8M0: the nearer power
  /// of two, an exact middle goes down; E4M3: after division by `tensor_scale_factor`), the zero point clamped to the
  /// codes, -0 offsets made +0. A scale that rounds to zero (f32: is below the normal numbers) becomes 1 (E4M3: stored
  /// 1), under which every value of such a group gets the code of zero. `stored_as` overrides the format's scale type
  /// where that is f16.
  ///
  /// Throws Error(kUnsupported) when the scale is larger than its type can hold.
  GroupParams storable(GroupParams wanted, float tensor_scale_factor = 1.0f,
                       std::optional<ScaleType> stored_as = std::nullopt) const;

  /// The code, saturated, of the level nearest to x under `params`; ties go to the even value of the rounded quotient
  /// (E2M1, NF4: to the even code).
  ///   without offset: round(x / scale) + zero, as ONNX QuantizeLinear does;
  ///   with offset:    round((x - offset) / (n * scale) * n), n = number of levels - 1, so that n * scale is the stored
  ///                   max - min of the formula round((x - min) / (max - min) * 15).
  int quantize(float x, const GroupParams& params) const;
  /// scale * (level(code) - zero) + offset, in float32, in this order. Never -0.
  float decode(int code_value, const GroupParams& params) const;

  /// Bits a weight with one scale (and zero point, offset, where so) for every `group` weights.
  double bits_per_weight(int64_t group, bool with_zero, bool with_offset,
                         std::optional<ScaleType> stored_as = std::nullopt) const;
};

/// The format of that name, or nullptr.
const NumberFormat* find_format(std::string_view name);
/// All formats in the order of formats.def.
std::span<const NumberFormat* const> all_formats();

/// Codes -> the packed bytes of a Tensor of `dtype` and `shape`; and back. One code an int8_t: -8..7 for int4, 0..15
/// for uint4 and f4e2m1, -2..1 and 0..3 for int2 and uint2; the 8-bit types travel as their bit patterns (u8 200 is
/// int8_t -56). The last byte is filled with zero bits.
Tensor pack(DType dtype, tensor::Shape shape, std::span<const int8_t> codes);
std::vector<int8_t> unpack(const Tensor& codes);

/// The real values of a quantized tensor as f32, shape `t.shape()`; also converts f16, bf16, f64 and the 8-bit float
/// types without Quantization; f32 returns `t` itself. A pool makes it faster, never different.
Tensor dequantize(const Tensor& t, base::ThreadPool* pool = nullptr);

/// Throws Error(kMalformed) naming `place` when a tensor's Quantization does not fit its codes: granularity, shapes or
/// dtypes of scale, zero point and offset, or scales that are NaN or infinite. Whatever a reader builds from a file
/// passes here before anything else sees it.
void check_quantization(const Tensor& t, const std::string& place);

/// Parameters of the group whose scale has flat index `index`, read back from what is stored.
GroupParams params_at(const tensor::Quantization& q, int64_t index);

/// Bytes of codes, scales, zero points, offsets and the second-level factor.
int64_t stored_bytes(const Tensor& t);

}  // namespace nibble::codec
