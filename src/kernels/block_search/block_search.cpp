#include "kernels/block_search/block_search.h"

namespace nibble::kernels {

#define NIBBLE_BLOCK_SEARCH(isa) const BlockSearch& block_search_##isa();
#include "kernels/kernels.def"

BlockSearches all_block_searches() {
  static const BlockSearch* const table[] = {
#define NIBBLE_BLOCK_SEARCH(isa) &block_search_##isa(),
#include "kernels/kernels.def"
  };
  return {table, static_cast<int>(sizeof table / sizeof table[0])};
}

const BlockSearch& block_search() {
  static const BlockSearch* const chosen = [] {
    const BlockSearches all = all_block_searches();
    for (int i = 0; i < all.count; ++i)
      if (all.first[i]->available()) return all.first[i];
    return all.first[all.count - 1];
  }();
  return *chosen;
}

}  // namespace nibble::kernels
