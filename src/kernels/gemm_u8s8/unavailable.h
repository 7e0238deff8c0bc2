#pragma once
#include "kernels/gemm_u8s8/gemm.h"

namespace nibble::kernels {

/// Stands for a kernel of another architecture, so that the table is the same in every build.
constexpr GemmU8S8 unavailable_gemm_u8s8(std::string_view isa) {
  return {.isa = isa, .available = [] { return false; }, .packed_bytes = nullptr, .pack = nullptr, .run = nullptr};
}

}  // namespace nibble::kernels
