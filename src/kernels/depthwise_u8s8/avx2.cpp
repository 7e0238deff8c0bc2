/// AVX2, 16 channels at a time: a product u8 * s8 is at most 255 * 128 = 32640 and fits an int16 exactly (`vpmullw`);
/// sums are int32.
#include "kernels/depthwise_u8s8/channel_tail.h"
#include "kernels/depthwise_u8s8/depthwise_u8s8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define NIBBLE_TARGET __attribute__((target("avx2")))

namespace nibble::kernels {
namespace {

bool available() { return __builtin_cpu_supports("avx2"); }

NIBBLE_TARGET void multiply(const uint8_t* const* taps, int64_t tap_count, int64_t pixel_stride, int64_t pixels,
                            const int8_t* w, int64_t channels, int32_t* c) {
  for (int64_t p = 0; p < pixels; ++p, c += channels) {
    const int64_t offset = p * pixel_stride;
    int64_t ch = 0;
    for (; ch + 16 <= channels; ch += 16) {
      __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
      for (int64_t t = 0; t < tap_count; ++t) {
        const auto* x = reinterpret_cast<const __m128i*>(taps[t] + offset + ch);
        const auto* y = reinterpret_cast<const __m128i*>(w + t * channels + ch);
        const __m256i product =
            _mm256_mullo_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128(x)), _mm256_cvtepi8_epi16(_mm_loadu_si128(y)));
        low = _mm256_add_epi32(low, _mm256_cvtepi16_epi32(_mm256_castsi256_si128(product)));
        high = _mm256_add_epi32(high, _mm256_cvtepi16_epi32(_mm256_extracti128_si256(product, 1)));
      }
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(c + ch), low);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(c + ch + 8), high);
    }
    if (ch < channels) depthwise_channels(taps, tap_count, offset, w, ch, channels, c);
  }
}

}  // namespace

const DepthwiseU8S8& depthwise_u8s8_avx2() {
  static constexpr DepthwiseU8S8 kKernel{"avx2", available, multiply};
  return kKernel;
}

}  // namespace nibble::kernels

#endif
