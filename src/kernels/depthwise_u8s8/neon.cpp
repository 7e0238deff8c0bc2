/// AArch64, 16 channels at a time: widen to int16, multiply and add in int32 (`smlal`).
#include "kernels/depthwise_u8s8/channel_tail.h"
#include "kernels/depthwise_u8s8/depthwise_u8s8.h"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace nibble::kernels {
namespace {

bool available() { return true; }

void multiply(const uint8_t* const* taps, int64_t tap_count, int64_t pixel_stride, int64_t pixels, const int8_t* w,
              int64_t channels, int32_t* c) {
  for (int64_t p = 0; p < pixels; ++p, c += channels) {
    const int64_t offset = p * pixel_stride;
    int64_t ch = 0;
    for (; ch + 16 <= channels; ch += 16) {
      int32x4_t sum[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
      for (int64_t t = 0; t < tap_count; ++t) {
        const uint8x16_t x = vld1q_u8(taps[t] + offset + ch);
        const int8x16_t y = vld1q_s8(w + t * channels + ch);
        const int16x8_t x0 = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x)));
        const int16x8_t x1 = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(x)));
        const int16x8_t y0 = vmovl_s8(vget_low_s8(y)), y1 = vmovl_s8(vget_high_s8(y));
        sum[0] = vmlal_s16(sum[0], vget_low_s16(x0), vget_low_s16(y0));
        sum[1] = vmlal_s16(sum[1], vget_high_s16(x0), vget_high_s16(y0));
        sum[2] = vmlal_s16(sum[2], vget_low_s16(x1), vget_low_s16(y1));
        sum[3] = vmlal_s16(sum[3], vget_high_s16(x1), vget_high_s16(y1));
      }
      for (int i = 0; i < 4; ++i) vst1q_s32(c + ch + 4 * i, sum[i]);
    }
    if (ch < channels) depthwise_channels(taps, tap_count, offset, w, ch, channels, c);
  }
}

}  // namespace

const DepthwiseU8S8& depthwise_u8s8_neon() {
  static constexpr DepthwiseU8S8 kKernel{"neon", available, multiply};
  return kKernel;
}

}  // namespace nibble::kernels

#endif
