#pragma once
#include <cstdint>
#include <span>

namespace nibble::kernels {

/// The depthwise product of quantized convolutions on NHWC activations, for a run of `pixels` outputs of one row:
///     C [pixels, channels] (int32, dense): C[p, ch] = sum over t of taps[t][p * pixel_stride + ch] * W[t, ch],
/// taps[t] the address of the first output's input pixel under tap t (its channels side by side), pixel_stride the
/// bytes from one output's to the next's (stride * channels), W [tap_count, channels] int8. Exact up to 65793 taps. A
/// tap that lies in the padding points at a pixel of zero points; where only some outputs of the run are padded, cut
/// the run.
///
/// Reads exactly `channels` bytes a tap and pixel. Zero points and scales are the caller's, as for gemm_u8s8.
struct DepthwiseU8S8 {
  const char* name;  ///< the instruction set: "generic", "avx2", "neon"
  bool (*available)();
  void (*multiply)(const uint8_t* const* taps, int64_t tap_count, int64_t pixel_stride, int64_t pixels, const int8_t* w,
                   int64_t channels, int32_t* c);
};

/// Every implementation that was built, the plain reference last; some may not be available() here.
std::span<const DepthwiseU8S8* const> all_depthwise_u8s8();
/// The first available one.
const DepthwiseU8S8& depthwise_u8s8();

}  // namespace nibble::kernels
