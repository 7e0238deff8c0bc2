// Products of language models whose weights stay as their file stores them (f32, f16, bf16 or blocks of
// tensor/blocks.def): bands of rows are decoded on the way, so that memory never holds a weight in float.
//   nibble.Linear: Y [T, rows] = X [T, columns] W^T (+ bias), W [rows, columns]; with `transposed`, W [columns, rows]
//   as GPT-2's folders have it. `activations` "q8" rounds X as ggml does (codec/activations.h). nibble.Embedding: Y [T,
//   width] = rows of a table [entries, width] by number.
#include <algorithm>
#include <numeric>
#include <vector>

#include "codec/activations.h"
#include "kernels/decode_rows/decode_rows.h"
#include "ops/element_types.h"
#include "ops/gemm.h"
#include "ops/onednn.h"

namespace nibble::ops {
namespace {

constexpr int64_t kFewTokens = 4;          // up to so many are multiplied row by row
constexpr int64_t kBandBytes = 256 << 10;  // of decoded weights: they stay in the second-level cache

bool is_real(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || tensor::is_blocked(dtype);
}

void require_weight(const InferContext& c, size_t i) {
  c.require(is_real(c.dtype(i)), "its weight has elements of type " + std::string(name_of(c.dtype(i))));
  if (!c.shape_known(i)) return;
  c.require(c.shape(i).size() == 2, "its weight has shape " + to_string(c.shape(i)) + ", a matrix was expected");
  c.require(c.shape(i)[1] == kUnknown || c.shape(i)[1] % tensor::block_size(c.dtype(i)).elements == 0,
            "the rows of its weight are not whole blocks");
}

bool rounds_activations(const Node& node) {
  const std::string text = node.text("activations", "f32");
  if (text != "f32" && text != "q8")
    base::fail_malformed(node.describe(), "its activations are " + base::in_quotes(text) + ", f32 or q8 was expected");
  return text == "q8";
}

void infer_linear(InferContext& c) {
  require_weight(c, 1);
  rounds_activations(c.node());
  c.require(c.dtype(0) == DType::f32, "its input must hold 32-bit floats");
  const bool transposed = c.node().integer("transposed", 0) != 0;
  c.require(!transposed || !tensor::is_blocked(c.dtype(1)), "a transposed weight cannot be stored in blocks");
  if (!c.shape_known(1)) return c.output_of_unknown_rank(0, DType::f32);
  const int64_t rows = c.shape(1)[transposed ? 1 : 0], columns = c.shape(1)[transposed ? 0 : 1];
  if (c.has(2)) {
    c.require(c.dtype(2) == DType::f32, "its bias must hold 32-bit floats");
    c.require(!c.shape_known(2) || c.shape(2) == Shape{rows},
              "its bias has shape " + to_string(c.shape(2)) + " for " + std::to_string(rows) + " rows");
  }
  if (!c.shape_known(0)) return c.output_of_unknown_rank(0, DType::f32);
  const Shape& x = c.shape(0);
  c.require(x.size() == 2 && (x[1] == columns || x[1] == kUnknown),
            "its input " + to_string(x) + " does not end in " + std::to_string(columns));
  c.output(0, DType::f32, {x[0], rows});
}

/// The inputs as they are multiplied: rounded copies where the node asks for it. `sum_errors` as round_activations
/// says.
const float* inputs_of(const RunContext& c, int64_t columns, std::vector<float>& copy, std::vector<float>& sum_errors) {
  const float* x = data_of<float>(c.input(0));
  const DType dtype = c.input(1).dtype();
  if (!rounds_activations(c.node()) || dtype == DType::f32) return x;
  copy.assign(x, x + c.input(0).elements());
  if (codec::has_block_minimum(dtype)) sum_errors.resize(copy.size() / 32);
  for_ranges(c.pool(), c.input(0).shape()[0], 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      codec::round_activations(dtype, columns, copy.data() + r * columns,
                               sum_errors.empty() ? nullptr : sum_errors.data() + r * columns / 32);
  });
  return copy.data();
}

/// y[band of rows] of every input row = x W[band]^T, W [band, columns] in float.
void multiply_band(const float* x, int64_t count, int64_t columns, const float* w, int64_t band, float* y,
                   int64_t ldy) {
  const SingleThreadedOnednn guard;
  dnnl::sgemm('N', 'T', count, band, columns, 1.0f, x, columns, w, columns, 1.0f, y, ldy);
}

/// The same for few tokens, row by row: a decoded row stays in the first-level cache until all tokens have met it.
void multiply_rows(const float* x, int64_t count, int64_t columns, const Tensor& w, int64_t first, int64_t size,
                   std::vector<float>& scratch, float* y, int64_t ldy) {
  const kernels::DecodeRows& kernel = kernels::decode_rows();
  scratch.resize(static_cast<size_t>(columns));
  for (int64_t r = first; r < first + size; ++r) {
    const float* row = data_of<float>(w) + r * columns;
    if (w.dtype() != DType::f32) {
      kernels::decode_values(w, r * columns, columns, scratch.data());
      row = scratch.data();
    }
    for (int64_t t = 0; t < count; ++t) y[t * ldy + r] += kernel.dot(row, x + t * columns, columns);
  }
}

/// y [count, rows] += minima of W's blocks times the errors of the blocks' sums.
void add_sum_errors(const RunContext& c, const Tensor& w, const std::vector<float>& errors, float* y) {
  const int64_t rows = w.shape()[0], blocks = w.shape()[1] / 32, count = c.input(0).shape()[0];
  const int64_t bytes = tensor::block_size(w.dtype()).bytes;
  for_ranges(c.pool(), rows, 64, [&](int64_t begin, int64_t end) {
    std::vector<float> minima(static_cast<size_t>(blocks));
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t b = 0; b < blocks; ++b)
        minima[static_cast<size_t>(b)] = codec::block_minimum(data_of<uint8_t>(w) + (r * blocks + b) * bytes);
      for (int64_t t = 0; t < count; ++t)
        y[t * rows + r] += kernels::decode_rows().dot(minima.data(), errors.data() + t * blocks, blocks);
    }
  });
}

void run_linear(RunContext& c) {
  const Tensor& w = c.input(1);
  const bool transposed = c.node().integer("transposed", 0) != 0;
  const int64_t rows = w.shape()[transposed ? 1 : 0], columns = w.shape()[transposed ? 0 : 1];
  const int64_t count = c.input(0).shape()[0];
  if (count == 0 || rows == 0) return;
  std::vector<float> copy, sum_errors;
  const float* x = inputs_of(c, columns, copy, sum_errors);
  float* y = mutable_data_of<float>(c.output(0));
  for (int64_t t = 0; t < count; ++t)
    if (c.has(2))
      std::copy_n(data_of<float>(c.input(2)), rows, y + t * rows);
    else
      std::fill_n(y + t * rows, rows, 0.0f);
  if (columns == 0) return;
  if (transposed) {
    std::vector<float> decoded;
    const float* values = data_of<float>(w);
    if (w.dtype() != DType::f32) {
      decoded.resize(static_cast<size_t>(w.elements()));
      kernels::decode_values(w, 0, w.elements(), decoded.data());
      values = decoded.data();
    }
    return gemm(false, false, count, rows, columns, 1.0f, x, columns, values, rows, 1.0f, y, rows, c.pool());
  }
  const int64_t band = std::clamp<int64_t>(kBandBytes / 4 / columns, 1, rows);
  const int64_t bands = (rows + band - 1) / band;
  std::vector<std::vector<float>> scratch(static_cast<size_t>(c.pool().threads()));
  c.pool().for_each(bands, [&](int64_t i, int worker) {
    const int64_t first = i * band, size = std::min(band, rows - first);
    if (count <= kFewTokens)
      return multiply_rows(x, count, columns, w, first, size, scratch[static_cast<size_t>(worker)], y, rows);
    const float* values = data_of<float>(w) + first * columns;
    if (w.dtype() != DType::f32) {
      auto& mine = scratch[static_cast<size_t>(worker)];
      mine.resize(static_cast<size_t>(band * columns));
      kernels::decode_values(w, first * columns, size * columns, mine.data());
      values = mine.data();
    }
    multiply_band(x, count, columns, values, size, y + first, rows);
  });
  if (!sum_errors.empty()) add_sum_errors(c, w, sum_errors, y);
}

void infer_embedding(InferContext& c) {
  require_weight(c, 0);
  require_integers(c, 1);
  if (!c.shape_known(0) || !c.shape_known(1)) return c.output_of_unknown_rank(0, DType::f32);
  c.require(c.shape(1).size() == 1, "its numbers have shape " + to_string(c.shape(1)) + ", a list was expected");
  c.output(0, DType::f32, {c.shape(1)[0], c.shape(0)[1]});
}

void run_embedding(RunContext& c) {
  const Tensor& table = c.input(0);
  const int64_t entries = table.shape()[0], width = table.shape()[1];
  const std::vector<int64_t> numbers = integers_of(c.input(1));
  for (const int64_t n : numbers)
    if (n < 0 || n >= entries)
      c.malformed("entry " + std::to_string(n) + " was asked for, the table has " + std::to_string(entries));
  float* y = mutable_data_of<float>(c.output(0));
  for_ranges(c.pool(), static_cast<int64_t>(numbers.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      kernels::decode_values(table, numbers[static_cast<size_t>(t)] * width, width, y + t * width);
  });
}

}  // namespace

const Operator& linear() {
  static const Operator op{"Linear", "nibble", 2, 3, 1, infer_linear, run_linear, Layout::kFixed, false};
  return op;
}
const Operator& embedding() {
  static const Operator op{"Embedding", "nibble", 2, 2, 1, infer_embedding, run_embedding, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
