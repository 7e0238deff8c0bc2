#include "kernels/pool_rows/pool_rows.h"

namespace nibble::kernels {

#define NIBBLE_POOL_ROWS(isa) const PoolRows& pool_rows_##isa();
#include "kernels/kernels.def"

std::span<const PoolRows* const> all_pool_rows() {
  static const PoolRows* const table[] = {
#define NIBBLE_POOL_ROWS(isa) &pool_rows_##isa(),
#include "kernels/kernels.def"
  };
  return table;
}

const PoolRows& pool_rows() {
  static const PoolRows* const chosen = [] {
    for (const PoolRows* kernel : all_pool_rows())
      if (kernel->available()) return kernel;
    return all_pool_rows().back();
  }();
  return *chosen;
}

}  // namespace nibble::kernels
