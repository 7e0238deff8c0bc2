#include "codec/activations.h"

#include <algorithm>
#include <cmath>

#include "base/small_float.h"

namespace nibble::codec {
namespace {

void round_block_of_32(float* x, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float d = largest / 127.0f, inverse = d != 0 ? 1.0f / d : 0.0f;
  const float stored = base::f16_to_f32(base::f32_to_f16(d));
  for (int64_t i = 0; i < count; ++i) x[i] = std::round(x[i] * inverse) * stored;
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

void round_activations(tensor::DType weights, int64_t count, float* row) {
  if (weights == tensor::DType::f16) {
    for (int64_t i = 0; i < count; ++i) row[i] = base::f16_to_f32(base::f32_to_f16(row[i]));
  } else if (weights == tensor::DType::bf16) {
    for (int64_t i = 0; i < count; ++i) row[i] = base::bf16_to_f32(base::f32_to_bf16(row[i]));
  } else if (tensor::is_blocked(weights)) {
    const bool wide = tensor::block_size(weights).elements == 256;
    const int64_t block = wide ? 256 : 32;
    for (int64_t i = 0; i < count; i += block)
      (wide ? round_block_of_256 : round_block_of_32)(row + i, std::min(block, count - i));
  }
}

}  // namespace nibble::codec
