#pragma once
#include <cstdint>

namespace nibble::kernels {

/// Channels [first, channels) of one output, plainly.
inline void depthwise_channels(const uint8_t* const* taps, int64_t tap_count, int64_t offset, const int8_t* w,
                               int64_t first, int64_t channels, int32_t* c) {
  for (int64_t ch = first; ch < channels; ++ch) {
    int32_t sum = 0;
    for (int64_t t = 0; t < tap_count; ++t) sum += int32_t{taps[t][offset + ch]} * int32_t{w[t * channels + ch]};
    c[ch] = sum;
  }
}

}  // namespace nibble::kernels
