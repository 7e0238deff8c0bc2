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
/// Blocks of 32: d = max |x| / 127, q = round(127 / max |x| * x) to even (ggml on x86; its plain code rounds halves
/// away from zero), value q * f16(d). Blocks of 256: d = -m / 127 with m the value of the largest magnitude, q =
/// round(x / d) to even, at most 127, value q * d.
///
/// Beside weights with a minimum a block (Q4_1, Q5_1) ggml keeps the sum of a block's activations as an f16 of its own,
/// and multiplies the minimum with that. Where `sum_errors` is given (has_block_minimum), it receives for each block of
/// 32 that sum less the sum of the values: what is to be multiplied with block_minimum and added.
void round_activations(tensor::DType weights, int64_t count, float* row, float* sum_errors = nullptr);

bool has_block_minimum(tensor::DType weights);
/// The minimum of one block of such weights.
float block_minimum(const uint8_t* block);

}  // namespace nibble::codec
