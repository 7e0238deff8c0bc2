/// Plain loops; decoding is the codecs' own.
#include "kernels/decode_rows/decode_rows.h"

namespace nibble::kernels {
namespace {

bool available() { return true; }

bool decode(tensor::DType, const uint8_t*, int64_t, float*) { return false; }

float dot(const float* a, const float* b, int64_t count) {
  float sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int64_t k = 0; k < 8; ++k) sums[k] += a[i + k] * b[i + k];
  for (; i < count; ++i) sums[0] += a[i] * b[i];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

}  // namespace

const DecodeRows& decode_rows_generic() {
  static constexpr DecodeRows kKernel{"generic", available, decode, dot};
  return kKernel;
}

}  // namespace nibble::kernels
