#include "kernels/depthwise_u8s8/depthwise_u8s8.h"

namespace nibble::kernels {

#define NIBBLE_DEPTHWISE_U8S8(isa) const DepthwiseU8S8& depthwise_u8s8_##isa();
#include "kernels/kernels.def"

std::span<const DepthwiseU8S8* const> all_depthwise_u8s8() {
  static const DepthwiseU8S8* const table[] = {
#define NIBBLE_DEPTHWISE_U8S8(isa) &depthwise_u8s8_##isa(),
#include "kernels/kernels.def"
  };
  return table;
}

const DepthwiseU8S8& depthwise_u8s8() {
  static const DepthwiseU8S8* const chosen = [] {
    for (const DepthwiseU8S8* kernel : all_depthwise_u8s8())
      if (kernel->available()) return kernel;
    return all_depthwise_u8s8().back();
  }();
  return *chosen;
}

}  // namespace nibble::kernels
