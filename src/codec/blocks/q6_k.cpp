#include <algorithm>

#include "codec/blocks/bytes.h"

namespace nibble::codec {
namespace {

void decode(const uint8_t* bytes, int64_t blocks, float* values) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 210, values += 256) {
    const float d = read_f16(bytes + 208);
    for (int i = 0; i < 256; ++i) {
      const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
      const int low = bytes[64 * half + 32 * (quarter & 1) + l] >> (4 * (quarter >> 1)) & 15;
      const int high = bytes[128 + 32 * half + l] >> (2 * quarter) & 3;
      const float scale = d * static_cast<float>(static_cast<int8_t>(bytes[192 + i / 16]));
      values[i] = scale * static_cast<float>((low | high << 4) - 32);
    }
  }
}

void encode(const float* values, int64_t blocks, uint8_t* bytes) {
  for (int64_t b = 0; b < blocks; ++b, bytes += 210, values += 256) {
    float scale[16];
    for (int g = 0; g < 16; ++g) scale[g] = largest_of(values + 16 * g, 16) / -32.0f;
    write_f16(bytes + 208, largest_of(scale, 16) / -128.0f);
    const float d = read_f16(bytes + 208);
    std::fill(bytes, bytes + 192, uint8_t{0});
    for (int g = 0; g < 16; ++g) {
      const float steps = d != 0.0f ? std::clamp(std::nearbyint(scale[g] / d), -128.0f, 127.0f) : 0.0f;
      bytes[192 + g] = static_cast<uint8_t>(static_cast<int8_t>(steps));
      const float unit = d * steps;
      for (int i = 16 * g; i < 16 * g + 16; ++i) {
        const float code = unit != 0.0f ? std::clamp(std::nearbyint(values[i] / unit), -32.0f, 31.0f) : 0.0f;
        const int q = static_cast<int>(code) + 32, half = i / 128, quarter = i % 128 / 32, l = i % 32;
        bytes[64 * half + 32 * (quarter & 1) + l] |= static_cast<uint8_t>((q & 15) << (4 * (quarter >> 1)));
        bytes[128 + 32 * half + l] |= static_cast<uint8_t>((q >> 4) << (2 * quarter));
      }
    }
  }
}

}  // namespace

/// ggml Q6_K: 256 values in 210 bytes, sixteen groups of 16: 128 bytes with the low four bits of the codes, 64 with the
/// upper two, 16 signed scales, f16 d last. Of value i, with h = i / 128, k = i % 128 / 32, l = i % 32: the low bits
/// are half k / 2 of byte 64 h + 32 (k % 2) + l, the upper bits 2k and 2k + 1 of byte 32 h + l. value = (d * scale) *
/// (code - 32).
///
/// The plain encoder puts each group's value of largest magnitude at code 0, d at scale -128 for the largest group.
/// ggml's own encoder searches, with weights; a search is fit/blocks'.
const BlockFormat& q6_k_blocks() {
  static constexpr BlockFormat kFormat{DType::q6_k,
                                       "Q6_K",
                                       "6-bit codes around 32 in blocks of 256, sixteen groups of 16 with 8-bit scales",
                                       256,
                                       210,
                                       decode,
                                       encode,
                                       kMostByF16Scale};
  return kFormat;
}

}  // namespace nibble::codec
