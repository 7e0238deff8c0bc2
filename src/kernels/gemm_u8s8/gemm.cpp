#include "kernels/gemm_u8s8/gemm.h"

#include <vector>

namespace nibble::kernels {

#define NIBBLE_KERNEL(family, isa) const GemmU8S8& family##_##isa();
#include "kernels/kernels.def"
#undef NIBBLE_KERNEL

std::span<const GemmU8S8* const> gemm_u8s8_kernels() {
  static const std::vector<const GemmU8S8*> kernels = [] {
    std::vector<const GemmU8S8*> able;
    for (const GemmU8S8* kernel : {
#define NIBBLE_KERNEL(family, isa) &family##_##isa(),
#include "kernels/kernels.def"
#undef NIBBLE_KERNEL
         })
      if (kernel->available()) able.push_back(kernel);
    return able;
  }();
  return kernels;
}

const GemmU8S8& gemm_u8s8() { return *gemm_u8s8_kernels().front(); }

}  // namespace nibble::kernels
