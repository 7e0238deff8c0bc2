#include "codec/activations.h"

#include <algorithm>
#include <cmath>

#include "base/small_float.h"
#include "codec/blocks/bytes.h"

namespace nibble::codec {
namespace {

/// Returns ggml's sum of the block less that of the values.
float round_block_of_32(float* x, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float inverse = largest != 0 ? 127.0f / largest : 0.0f;
  const float stored = base::f16_to_f32(base::f32_to_f16(largest / 127.0f));
  float sum = 0;  // of codes: a whole number below 2^24
  for (int64_t i = 0; i < count; ++i) {
    const float code = std::nearbyint(x[i] * inverse);
    sum += code;
    x[i] = code * stored;
  }
  return base::f16_to_f32(base::f32_to_f16(largest / 127.0f * sum)) - stored * sum;
}

void round_block_of_256(float* x, int64_t count) {
  float extreme = 0;
  for (int64_t i = 0; i < count; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  if (extreme == 0) return;
  const float inverse = -127.0f / extreme, d = 1.0f / inverse;
  for (int64_t i = 0; i < count; ++i) x[i] = std::min(127.0f, std::nearbyint(inverse * x[i])) * d;
}

}  // namespace

bool has_block_minimum(tensor::DType weights) {
  return weights == tensor::DType::q4_1 || weights == tensor::DType::q5_1;
}
float block_minimum(const uint8_t* block) { return read_f16(block + 2); }

void round_activations(tensor::DType weights, int64_t count, float* row, float* sum_errors) {
  if (weights == tensor::DType::f16) {
    for (int64_t i = 0; i < count; ++i) row[i] = base::f16_to_f32(base::f32_to_f16(row[i]));
  } else if (weights == tensor::DType::bf16) {
    for (int64_t i = 0; i < count; ++i) row[i] = base::bf16_to_f32(base::f32_to_bf16(row[i]));
  } else if (tensor::is_blocked(weights)) {
    const bool wide = tensor::block_size(weights).elements == 256;
    const int64_t block = wide ? 256 : 32;
    for (int64_t i = 0; i < count; i += block) {
      const int64_t size = std::min(block, count - i);
      if (wide) {
        round_block_of_256(row + i, size);
        continue;
      }
      const float error = round_block_of_32(row + i, size);
      if (sum_errors) sum_errors[i / 32] = error;
    }
  }
}

}  // namespace nibble::codec
