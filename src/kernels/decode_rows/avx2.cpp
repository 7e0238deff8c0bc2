/// AVX2 with F16C and FMA. Codes become floats eight at a time; a product and a sum are rounded one after the other, as
/// in the codecs, so that the values are the same bits (only `dot` fuses).
#include "kernels/decode_rows/decode_rows.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "codec/blocks/bytes.h"
#include "codec/blocks/k_scales.h"

#define NIBBLE_TARGET __attribute__((target("avx2,fma,f16c")))

namespace nibble::kernels {
namespace {

using tensor::DType;

// F16C is older than AVX2, and every processor that has AVX2 has it; clang 14 cannot ask for it.
bool available() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

NIBBLE_TARGET inline __m128i load16(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }
NIBBLE_TARGET inline __m128i low_halves(__m128i b) { return _mm_and_si128(b, _mm_set1_epi8(15)); }
NIBBLE_TARGET inline __m128i high_halves(__m128i b) { return _mm_and_si128(_mm_srli_epi16(b, 4), _mm_set1_epi8(15)); }

/// 16 signed bytes as floats times `scale`, plus `offset` where there is one.
template <bool kOffset>
NIBBLE_TARGET inline void store16(__m128i codes, __m256 scale, __m256 offset, float* values) {
  __m256 a = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)), scale);
  __m256 b = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(codes, 8))), scale);
  if constexpr (kOffset) {
    a = _mm256_add_ps(a, offset);
    b = _mm256_add_ps(b, offset);
  }
  _mm256_storeu_ps(values, a);
  _mm256_storeu_ps(values + 8, b);
}
NIBBLE_TARGET inline void store16(__m128i codes, float scale, float* values) {
  store16<false>(codes, _mm256_set1_ps(scale), _mm256_setzero_ps(), values);
}

NIBBLE_TARGET void f16(const uint8_t* bytes, int64_t count, float* values) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) _mm256_storeu_ps(values + i, _mm256_cvtph_ps(load16(bytes + 2 * i)));
  for (; i < count; ++i) values[i] = codec::read_f16(bytes + 2 * i);
}

NIBBLE_TARGET void bf16(const uint8_t* bytes, int64_t count, float* values) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(values + i,
                     _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(bytes + 2 * i)), 16)));
  for (; i < count; ++i) {
    const uint32_t bits = static_cast<uint32_t>(bytes[2 * i] | bytes[2 * i + 1] << 8) << 16;
    std::memcpy(values + i, &bits, 4);
  }
}

NIBBLE_TARGET void q8_0(const uint8_t* bytes, int64_t count, float* values) {
  for (int64_t b = 0; b < count / 32; ++b, bytes += 34, values += 32) {
    const float d = codec::read_f16(bytes);
    store16(load16(bytes + 2), d, values);
    store16(load16(bytes + 18), d, values + 16);
  }
}

NIBBLE_TARGET void q4_0(const uint8_t* bytes, int64_t count, float* values) {
  const __m128i middle = _mm_set1_epi8(8);
  for (int64_t b = 0; b < count / 32; ++b, bytes += 18, values += 32) {
    const float d = codec::read_f16(bytes);
    const __m128i codes = load16(bytes + 2);
    store16(_mm_sub_epi8(low_halves(codes), middle), d, values);
    store16(_mm_sub_epi8(high_halves(codes), middle), d, values + 16);
  }
}

NIBBLE_TARGET void q4_1(const uint8_t* bytes, int64_t count, float* values) {
  for (int64_t b = 0; b < count / 32; ++b, bytes += 20, values += 32) {
    const __m256 d = _mm256_set1_ps(codec::read_f16(bytes)), m = _mm256_set1_ps(codec::read_f16(bytes + 2));
    const __m128i codes = load16(bytes + 4);
    store16<true>(low_halves(codes), d, m, values);
    store16<true>(high_halves(codes), d, m, values + 16);
  }
}

NIBBLE_TARGET void q4_k(const uint8_t* bytes, int64_t count, float* values) {
  for (int64_t b = 0; b < count / 256; ++b, bytes += 144) {
    const float d = codec::read_f16(bytes), dmin = codec::read_f16(bytes + 2);
    const codec::KScales s = codec::read_k_scales(bytes + 4);
    for (int g = 0; g < 8; g += 2, values += 64) {
      const __m256 scale = _mm256_set1_ps(d * static_cast<float>(s.scale[g]));
      const __m256 offset = _mm256_set1_ps(-(dmin * static_cast<float>(s.min[g])));
      const __m256 next_scale = _mm256_set1_ps(d * static_cast<float>(s.scale[g + 1]));
      const __m256 next_offset = _mm256_set1_ps(-(dmin * static_cast<float>(s.min[g + 1])));
      const __m128i first = load16(bytes + 16 + 16 * g), second = load16(bytes + 32 + 16 * g);
      store16<true>(low_halves(first), scale, offset, values);
      store16<true>(low_halves(second), scale, offset, values + 16);
      store16<true>(high_halves(first), next_scale, next_offset, values + 32);
      store16<true>(high_halves(second), next_scale, next_offset, values + 48);
    }
  }
}

NIBBLE_TARGET void q6_k(const uint8_t* bytes, int64_t count, float* values) {
  const __m128i two = _mm_set1_epi8(0x30), middle = _mm_set1_epi8(32);
  for (int64_t b = 0; b < count / 256; ++b, bytes += 210, values += 256) {
    const float d = codec::read_f16(bytes + 208);
    for (int i = 0; i < 256; i += 16) {
      const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
      const __m128i low = load16(bytes + 64 * half + 32 * (quarter & 1) + l),
                    high = load16(bytes + 128 + 32 * half + l);
      const __m128i top = quarter < 2 ? _mm_slli_epi16(high, 4 - 2 * quarter) : _mm_srli_epi16(high, 2 * quarter - 4);
      const __m128i codes = _mm_or_si128(quarter < 2 ? low_halves(low) : high_halves(low), _mm_and_si128(top, two));
      store16(_mm_sub_epi8(codes, middle), d * static_cast<float>(static_cast<int8_t>(bytes[192 + i / 16])),
              values + i);
    }
  }
}

NIBBLE_TARGET inline __m128i iq4_levels() {
  return _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}

NIBBLE_TARGET void iq4_nl(const uint8_t* bytes, int64_t count, float* values) {
  for (int64_t b = 0; b < count / 32; ++b, bytes += 18, values += 32) {
    const float d = codec::read_f16(bytes);
    const __m128i codes = load16(bytes + 2);
    store16(_mm_shuffle_epi8(iq4_levels(), low_halves(codes)), d, values);
    store16(_mm_shuffle_epi8(iq4_levels(), high_halves(codes)), d, values + 16);
  }
}

NIBBLE_TARGET void iq4_xs(const uint8_t* bytes, int64_t count, float* values) {
  for (int64_t b = 0; b < count / 256; ++b, bytes += 136, values += 256) {
    const float d = codec::read_f16(bytes);
    const int upper = bytes[2] | bytes[3] << 8;
    for (int g = 0; g < 8; ++g) {
      const int steps = (bytes[4 + g / 2] >> (g % 2 * 4) & 15) | (upper >> (2 * g) & 3) << 4;
      const float scale = d * static_cast<float>(steps - 32);
      const __m128i codes = load16(bytes + 8 + 16 * g);
      store16(_mm_shuffle_epi8(iq4_levels(), low_halves(codes)), scale, values + 32 * g);
      store16(_mm_shuffle_epi8(iq4_levels(), high_halves(codes)), scale, values + 32 * g + 16);
    }
  }
}

bool decode(DType dtype, const uint8_t* bytes, int64_t count, float* values) {
  const auto run = [&](void (*f)(const uint8_t*, int64_t, float*)) {
    f(bytes, count, values);
    return true;
  };
  if (dtype == DType::f16) return run(f16);
  if (dtype == DType::bf16) return run(bf16);
  if (dtype == DType::q8_0) return run(q8_0);
  if (dtype == DType::q4_0) return run(q4_0);
  if (dtype == DType::q4_1) return run(q4_1);
  if (dtype == DType::q4_k) return run(q4_k);
  if (dtype == DType::q6_k) return run(q6_k);
  if (dtype == DType::iq4_nl) return run(iq4_nl);
  if (dtype == DType::iq4_xs) return run(iq4_xs);
  return false;
}

NIBBLE_TARGET float dot(const float* a, const float* b, int64_t count) {
  __m256 sums[4] = {};
  int64_t i = 0;
  for (; i + 32 <= count; i += 32)
    for (int k = 0; k < 4; ++k)
      sums[k] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8 * k), _mm256_loadu_ps(b + i + 8 * k), sums[k]);
  const __m256 sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  float total = _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
  for (; i < count; ++i) total += a[i] * b[i];
  return total;
}

}  // namespace

const DecodeRows& decode_rows_avx2() {
  static constexpr DecodeRows kKernel{"avx2", available, decode, dot};
  return kKernel;
}

}  // namespace nibble::kernels

#endif
