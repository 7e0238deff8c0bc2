#include "kernels/gemm_u8s8/gemm_u8s8.h"

namespace nibble::kernels {

#define NIBBLE_KERNEL(family, isa) const GemmU8S8& family##_##isa();
#include "kernels/kernels.def"
#undef NIBBLE_KERNEL

std::span<const GemmU8S8* const> all_gemm_u8s8() {
  static const GemmU8S8* const table[] = {
#define NIBBLE_KERNEL(family, isa) &family##_##isa(),
#include "kernels/kernels.def"
#undef NIBBLE_KERNEL
  };
  return table;
}

const GemmU8S8& gemm_u8s8() {
  static const GemmU8S8* const chosen = [] {
    for (const GemmU8S8* kernel : all_gemm_u8s8())
      if (kernel->available()) return kernel;
    return all_gemm_u8s8().back();
  }();
  return *chosen;
}

}  // namespace nibble::kernels
