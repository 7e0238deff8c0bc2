/// AVX2: two registers are 16 lanes.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstdint>
#include <cstring>

// Everything below, templates and lambdas too, is compiled for this instruction set; no inline function of another
// header is, so that none can end up in code for other machines.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif

#include "kernels/block_search/searches.h"

namespace nibble::kernels {
namespace {

struct Avx2 {
  using Reg = __m256;
  using Ints [[gnu::vector_size(32)]] = int32_t;
  static constexpr int kWidth = 8, kTrials = 2;
  NIBBLE_LANES_INLINE static Reg min(Reg a, Reg b) { return _mm256_min_ps(a, b); }
  NIBBLE_LANES_INLINE static Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
  NIBBLE_LANES_INLINE static Reg round(Reg v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  NIBBLE_LANES_INLINE static Reg where_less(Reg a, Reg b, Reg x, Reg y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }
  NIBBLE_LANES_INLINE static Reg iq4_level(Reg v) { return plain_iq4_level<Avx2>(v); }
  template <int kValues>
  NIBBLE_LANES_INLINE static void transpose(const float* const* source, float* out) {
    plain_transpose<kValues>(source, out);
  }
};

bool available() { return __builtin_cpu_supports("avx2"); }

}  // namespace

const BlockSearch& block_search_avx2() {
  static constexpr BlockSearch kSearch = make_block_search<Avx2>("avx2", available);
  return kSearch;
}

}  // namespace nibble::kernels

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
