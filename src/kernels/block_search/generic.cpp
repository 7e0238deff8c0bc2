/// Registers of four floats: the compiler's vector types on any machine, without tables.
#include <cmath>

#include "kernels/block_search/searches.h"

namespace nibble::kernels {
namespace {

struct Generic {
  using Reg [[gnu::vector_size(16)]] = float;
  using Ints [[gnu::vector_size(16)]] = int32_t;
  static constexpr int kWidth = 4, kTrials = 2;
  NIBBLE_LANES_INLINE static Reg min(Reg a, Reg b) { return a < b ? a : b; }
  NIBBLE_LANES_INLINE static Reg max(Reg a, Reg b) { return a > b ? a : b; }
  /// Adding and taking away 1.5 * 2^23 leaves an integer; all values are below 2^22.
  NIBBLE_LANES_INLINE static Reg round(Reg v) { return (v + 12582912.0f) - 12582912.0f; }
  NIBBLE_LANES_INLINE static Reg where_less(Reg a, Reg b, Reg x, Reg y) { return a < b ? x : y; }
  NIBBLE_LANES_INLINE static Reg iq4_level(Reg v) { return plain_iq4_level<Generic>(v); }
  template <int kValues>
  NIBBLE_LANES_INLINE static void transpose(const float* const* source, float* out) {
    plain_transpose<kValues>(source, out);
  }
};

bool available() { return true; }

}  // namespace

const BlockSearch& block_search_generic() {
  static constexpr BlockSearch kSearch = make_block_search<Generic>("generic", available);
  return kSearch;
}

}  // namespace nibble::kernels
