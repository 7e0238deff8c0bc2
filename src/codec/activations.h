#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace nibble::codec {

/// What a product does to its inputs before it multiplies: nothing, or what ggml's kernels do, so that a file can be
/// judged as its usual runtimes compute it.
enum class Activations : uint8_t { kFloat, kQ8 };

/// Rounds a row of `count` activations in place to the values that ggml multiplies with weights stored as `weights`
/// (vec_dot_type of its type table): 8-bit codes with one scale for each block of 32 (of 256 for the K types and
/// IQ4_XS), f16 or bf16 beside weights of that type, nothing beside f32. `count` is whole blocks of the weights.
///
/// Blocks of 32: d = max |x| / 127, q = round(x / d) half away from zero, value q * f16(d). Blocks of 256: d = -m / 127
/// with m the value of the largest magnitude, q = round(x / d) to even, at most 127, value q * d.
void round_activations(tensor::DType weights, int64_t count, float* row);

}  // namespace nibble::codec
