#pragma once
#include "kernels/block_search/block_search.h"
#include "kernels/block_search/k_blocks.h"
#include "kernels/block_search/listed_scales.h"
#include "kernels/block_search/one_scale.h"
#include "kernels/block_search/scale_and_min.h"
#include "kernels/block_search/scaled_groups.h"

namespace nibble::kernels {

/// All searches for one instruction set.
template <typename Isa>
constexpr BlockSearch make_block_search(const char* name, bool (*available)()) {
  return {
      name,
      available,
#define NIBBLE_BLOCK(format, elements, bytes, number, what) search_##format<Isa>,
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK
  };
}

}  // namespace nibble::kernels
