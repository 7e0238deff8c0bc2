#pragma once
#include <cstdint>
#include <span>

namespace nibble::kernels {

/// Pooling of float32 activations whose channels lie side by side: rows of channels are combined element by element.
/// Every implementation gives the same bits: the order over the rows is fixed, channels do not mix.
struct PoolRows {
  const char* name;  ///< the instruction set: "generic", "avx2", "avx512"
  bool (*available)();
  /// y[k] = the largest of rows[0][k], ..., rows[count - 1][k]; minus infinity and NaN give way to any number.
  void (*max)(const float* const* rows, int64_t count, int64_t channels, float* y);
  /// y[k] = (rows[0][k] + ... + rows[count - 1][k]) / divisor, in float, first row first.
  void (*mean)(const float* const* rows, int64_t count, int64_t channels, float divisor, float* y);
  /// y[k] = the mean of x[r * stride + k] over r in [0, count), summed in double, first row first.
  void (*mean_in_double)(const float* x, int64_t count, int64_t stride, int64_t channels, float* y);
};

/// Every implementation that was built, the plain one last; some may not be available() here.
std::span<const PoolRows* const> all_pool_rows();
/// The first available one.
const PoolRows& pool_rows();

}  // namespace nibble::kernels
