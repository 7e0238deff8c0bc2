#pragma once
#include <memory>
#include <vector>

#include "kernels/gemm_u8s8/gemm_u8s8.h"
#include "ops/convolution.h"
#include "ops/operator.h"

namespace nibble::ops {

/// Whether a constant weight can be multiplied as int8: an evenly spaced format of 4 or 8 bits whose codes less their
/// zero point fit int8, one scale for all or one an output. `outputs_last`: the outputs are the last axis ([K, N]),
/// else the first.
bool is_integer_weight(const Tensor& weight, bool outputs_last);

/// A weight ready for integer products: codes less their zero points, packed for this machine's kernel, one scale an
/// output. With groups, outputs are cut into `groups` equal parts that see their own inputs.
class IntegerWeight {
 public:
  /// `order[i]` is the place (within a row of `weight`, output axis first) of the i-th reduction element. With `packed`
  /// off there are only the codes, and `multiply` must not be called.
  IntegerWeight(const Tensor& weight, bool outputs_last, int64_t groups, const std::vector<int64_t>& order,
                bool packed = true);

  int64_t outputs() const { return outputs_; }
  int64_t inner() const { return inner_; }
  int64_t groups() const { return groups_; }
  /// Codes [output, inner] in the given order, for loops that do without the kernel (depthwise).
  const std::vector<int8_t>& codes() const { return codes_; }

  /// acc [m, outputs / groups] = sum over inner of a * (code - zero), exact.
  void multiply(int64_t group, const uint8_t* a, int64_t lda, int64_t m, int32_t* acc, int64_t ldc) const;

  std::vector<float> scales;  ///< one an output
  std::vector<int32_t> sums;  ///< sum of an output's codes, for the activation's zero point

 private:
  int64_t outputs_, inner_, groups_;
  std::vector<int8_t> codes_;
  const kernels::GemmU8S8* kernel_;
  std::vector<std::shared_ptr<int8_t[]>> packed_;  // one a group
};

/// What follows the integer sums: real = activation((sum - zero * sums) * scale_x * scale_w + bias), then, where the
/// output is quantized, q = saturate(round_half_even(real / scale_y) + zero_y). Float32; the sum itself is exact.
struct Requantizer {
  std::vector<float> multipliers;    ///< scale_x * scale_w, one an output
  std::vector<int32_t> corrections;  ///< zero_x * sums
  std::vector<float> bias;           ///< empty: none
  FusedActivation activation;
  bool quantized = false;
  float scale = 1;
  int32_t zero = 0, low = 0, high = 255;

  /// `count` outputs beginning at `first`, of one row of sums.
  void finish(const int32_t* acc, int64_t first, int64_t count, float* out) const;
  void finish(const int32_t* acc, int64_t first, int64_t count, uint8_t* out) const;
};

/// Reads scale_x, zero_x (inputs 1, 2), bias (4), scale_y, zero_y (5, 6) and the attributes of a fused integer node.
/// Signed activations are handled as unsigned ones moved by 128: `zero_x` has moved already.
Requantizer read_requantizer(RunContext& c, const IntegerWeight& weight, int32_t& zero_x);

/// Type of a fused integer node's output: f32, or that of its zero_y.
DType integer_output_type(InferContext& c);

}  // namespace nibble::ops
