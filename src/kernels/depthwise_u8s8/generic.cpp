/// The plain loops: the definition of the product, on every machine.
#include "kernels/depthwise_u8s8/channel_tail.h"
#include "kernels/depthwise_u8s8/depthwise_u8s8.h"

namespace nibble::kernels {
namespace {

bool available() { return true; }

void multiply(const uint8_t* const* taps, int64_t tap_count, int64_t pixel_stride, int64_t pixels, const int8_t* w,
              int64_t channels, int32_t* c) {
  for (int64_t p = 0; p < pixels; ++p)
    depthwise_channels(taps, tap_count, p * pixel_stride, w, 0, channels, c + p * channels);
}

}  // namespace

const DepthwiseU8S8& depthwise_u8s8_generic() {
  static constexpr DepthwiseU8S8 kKernel{"generic", available, multiply};
  return kKernel;
}

}  // namespace nibble::kernels
