// com.microsoft MatMulNBits: Y = A W^T (+ bias), W [N, K] in 4-bit (or 2-, 8-bit) codes, blocked along K.
// Layout (onnxruntime contrib operators): B uint8 [N, blocks, block_size * bits / 8], adjacent codes of a row in one
// byte, the first in the low bits; scales [N * blocks]; zero points packed the same way, each row starting on a byte,
// or unpacked in the type of A; without zero points 2^(bits-1). A is taken as it is (accuracy level 1).
#include "ops/matmul_nbits.h"

#include <algorithm>

#include "ops/element_types.h"
#include "ops/gemm.h"
#include "ops/numbers.h"

namespace nibble::ops {
namespace {

struct NBits {
  int64_t k, n, bits, block, blocks;
};

NBits read_nbits(const Node& node) {
  NBits m{node.integer("K", 0), node.integer("N", 0), node.integer("bits", 4), node.integer("block_size", 0), 0};
  const auto require = [&](bool ok, const std::string& sentence) {
    if (!ok) base::fail_malformed(node.describe(), sentence);
  };
  require(m.k > 0 && m.n > 0 && m.k < (int64_t{1} << 31) && m.n < (int64_t{1} << 31), "K or N is out of range");
  require(m.k <= (int64_t{1} << 40) / m.n, "K times N is out of range");
  require(m.bits == 2 || m.bits == 4 || m.bits == 8, "bits is " + std::to_string(m.bits));
  require(m.block >= 16 && m.block <= 65536 && (m.block & (m.block - 1)) == 0,
          "block_size is " + std::to_string(m.block));
  m.blocks = (m.k + m.block - 1) / m.block;
  return m;
}

void infer_nbits(InferContext& c) {
  const NBits m = read_nbits(c.node());
  if (c.has(4)) c.unsupported("has a group index input");
  if (c.shape_known(1))
    c.require(c.dtype(1) == DType::u8 && element_count(c.shape(1)) == m.n * m.blocks * m.block * m.bits / 8,
              "its weight " + to_string(c.shape(1)) + " does not hold N x K codes");
  if (c.shape_known(2)) c.require(element_count(c.shape(2)) == m.n * m.blocks, "its scales do not fit N x blocks");
  if (c.has(3) && c.shape_known(3)) {
    const bool packed = c.dtype(3) == DType::u8;
    c.require(element_count(c.shape(3)) == (packed ? m.n * ((m.blocks * m.bits + 7) / 8) : m.n * m.blocks),
              "its zero points do not fit N x blocks");
  }
  if (c.has(5)) c.require(c.dtype(5) == c.dtype(0), "its bias and its input have different element types");
  if (c.has(5) && c.shape_known(5)) c.require(element_count(c.shape(5)) == m.n, "its bias does not fit N");
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, c.dtype(0));
  Shape shape = c.shape(0);
  c.require(!shape.empty() && (shape.back() == m.k || shape.back() == kUnknown),
            "its input " + to_string(shape) + " does not end in K");
  shape.back() = m.n;
  c.output(0, c.dtype(0), shape);
}

}  // namespace

std::vector<float> nbits_weight(const Node& node, const Tensor& codes, const Tensor& scale, const Tensor& zeros) {
  const NBits m = read_nbits(node);
  const auto scales = decode_numbers(scale);
  const int64_t per_byte = 8 / m.bits, row_bytes = m.blocks * m.block / per_byte;
  const int mask = (1 << m.bits) - 1;
  const bool unpacked = zeros && zeros.dtype() != DType::u8;
  const auto real_zeros = unpacked ? decode_numbers(zeros) : std::vector<double>{};
  const int64_t zero_row = (m.blocks * m.bits + 7) / 8;
  const auto code_at = [&](const uint8_t* row, int64_t i) {
    return (row[i / per_byte] >> (i % per_byte * m.bits)) & mask;
  };
  std::vector<float> w(static_cast<size_t>(m.n * m.k));
  for (int64_t n = 0; n < m.n; ++n)
    for (int64_t k = 0; k < m.k; ++k) {
      const int64_t b = k / m.block;
      float zero = static_cast<float>(1 << (m.bits - 1));
      if (unpacked)
        zero = static_cast<float>(real_zeros[static_cast<size_t>(n * m.blocks + b)]);
      else if (zeros)
        zero = static_cast<float>(code_at(data_of<uint8_t>(zeros) + n * zero_row, b));
      const auto code = static_cast<float>(code_at(data_of<uint8_t>(codes) + n * row_bytes, k));
      w[static_cast<size_t>(n * m.k + k)] =
          (code - zero) * static_cast<float>(scales[static_cast<size_t>(n * m.blocks + b)]);
    }
  return w;
}

namespace {

struct NBitsState {
  Tensor codes;  // what `weight` was decoded from; held, so that its place in memory is not used again
  std::vector<float> weight;
};

void run_nbits(RunContext& c) {
  if (c.input(0).dtype() != DType::f32) c.unsupported("takes only 32-bit floats");
  const NBits m = read_nbits(c.node());
  auto& state = c.state<NBitsState>();
  if (state.codes.bytes().data() != c.input(1).bytes().data()) {
    state.weight = nbits_weight(c.node(), c.input(1), c.input(2), c.has(3) ? c.input(3) : Tensor());
    state.codes = c.input(1);
  }
  const int64_t rows = c.input(0).elements() / m.k;
  float* y = mutable_data_of<float>(c.output(0));
  if (c.has(5))
    for (int64_t r = 0; r < rows; ++r) std::copy_n(data_of<float>(c.input(5)), m.n, y + r * m.n);
  gemm(false, true, rows, m.n, m.k, 1.0f, data_of<float>(c.input(0)), m.k, state.weight.data(), m.k,
       c.has(5) ? 1.0f : 0.0f, y, m.n, c.pool());
}

}  // namespace

const Operator& matmul_nbits() {
  static const Operator op{"MatMulNBits", "com.microsoft", 3, 6, 1, infer_nbits, run_nbits, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
