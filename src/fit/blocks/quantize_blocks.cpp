#include "fit/blocks/quantize_blocks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/block_search/block_search.h"

namespace nibble::fit {
namespace {

using codec::BlockFormat;

/// Values of one piece of work, whole batches of every format; whatever the number of threads.
constexpr int64_t kPieceValues = 16384;

kernels::SearchBlocks best_search(DType dtype) {
  const kernels::BlockSearch& search = kernels::block_search();
  switch (dtype) {
#define NIBBLE_BLOCK(name, elements, bytes, number, what) \
  case DType::name:                                       \
    return search.name;
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK
    default:
      return nullptr;
  }
}

bool has_reference(DType dtype) {
  return dtype == DType::q4_0 || dtype == DType::q4_1 || dtype == DType::q5_0 || dtype == DType::q5_1 ||
         dtype == DType::q8_0;
}

/// Weights as the searches want them: of mean 1, between 1e-6 and 1e6.
std::vector<float> scaled_weights(std::span<const float> weights) {
  double sum = 0.0;
  for (size_t c = 0; c < weights.size(); ++c) {
    if (!std::isfinite(weights[c]) || weights[c] < 0.0f)
      base::fail_malformed("importance of column " + std::to_string(c), "is negative, NaN or infinite",
                           "measure the importance again");
    sum += double{weights[c]};
  }
  if (!weights.empty() && sum == 0.0)
    base::fail_malformed("importance", "is 0 for every column", "measure it on more data, or leave it out");
  std::vector<float> scaled(weights.size());
  const double mean = sum / static_cast<double>(weights.size());
  for (size_t c = 0; c < weights.size(); ++c)
    scaled[c] = static_cast<float>(std::clamp(double{weights[c]} / mean, 1e-6, 1e6));
  return scaled;
}

/// A matrix cut into pieces of consecutive blocks.
class Pieces {
 public:
  Pieces(const MatrixView& matrix, const BlockFormat& format) : matrix_(matrix), format_(format) {
    if (matrix.columns % format.elements != 0)
      base::fail_unsupported("rows of " + std::to_string(matrix.columns) + " values",
                             "are not whole blocks of " + std::string(format.name) + ", which has " +
                                 std::to_string(format.elements) + " values a block",
                             "choose a format with smaller blocks, or keep this tensor wide");
    blocks_ = matrix.rows * (matrix.columns / format.elements);
    in_piece_ = kPieceValues / format.elements;
    contiguous_ = matrix.column_stride == 1 && (matrix.row_stride == matrix.columns || matrix.rows <= 1);
  }

  int64_t count() const { return (blocks_ + in_piece_ - 1) / in_piece_; }
  int64_t blocks() const { return blocks_; }
  int64_t first(int64_t piece) const { return piece * in_piece_; }
  int64_t size(int64_t piece) const { return std::min(in_piece_, blocks_ - first(piece)); }

  /// The values of a piece side by side: the matrix's own where they are, else a copy in `scratch`.
  const float* values(int64_t piece, std::vector<float>& scratch) const {
    const int64_t start = first(piece) * format_.elements, count = size(piece) * format_.elements;
    if (contiguous_) return matrix_.data + start;
    scratch.resize(static_cast<size_t>(kPieceValues));
    for (int64_t i = 0; i < count; ++i)
      scratch[static_cast<size_t>(i)] = matrix_((start + i) / matrix_.columns, (start + i) % matrix_.columns);
    return scratch.data();
  }

 private:
  const MatrixView& matrix_;
  const BlockFormat& format_;
  int64_t blocks_ = 0, in_piece_ = 1;
  bool contiguous_ = false;
};

/// Index of the first value that is NaN, infinite or larger than `largest`, or -1.
int64_t first_unfit(const float* values, int64_t count, float largest) {
  // The bits of finite magnitudes grow with them, and those of NaN are above all. Whole blocks: multiples of 16.
  uint32_t most_of[16] = {};
  for (int64_t i = 0; i < count; i += 16)
    for (int64_t k = 0; k < 16; ++k) {
      uint32_t bits;
      std::memcpy(&bits, values + i + k, sizeof bits);
      most_of[k] = std::max(most_of[k], bits & 0x7fffffffu);
    }
  const uint32_t most = *std::max_element(most_of, most_of + 16);
  uint32_t limit;
  std::memcpy(&limit, &largest, sizeof limit);
  if (most <= limit) return -1;
  for (int64_t i = 0; i < count; ++i)
    if (!(std::fabs(values[i]) <= largest)) return i;
  return -1;
}

[[noreturn]] void fail_unfit(const MatrixView& m, int64_t element, const BlockFormat& format) {
  const int64_t row = element / m.columns, column = element % m.columns;
  const std::string place = "row " + std::to_string(row) + ", column " + std::to_string(column);
  if (!std::isfinite(m(row, column))) base::fail_malformed(place, "holds NaN or infinity", "repair the weights");
  base::fail_unsupported(place,
                         "holds " + std::to_string(m(row, column)) + ", and " + std::string(format.name) +
                             " holds values up to " + std::to_string(format.largest),
                         "keep this tensor wide");
}

const BlockFormat& format_of(DType dtype) {
  const BlockFormat* format = codec::find_block_format(dtype);
  NIBBLE_INVARIANT(format != nullptr);
  return *format;
}

}  // namespace

std::optional<BlockSearch> find_block_search(std::string_view name) {
  for (const BlockSearch search : {BlockSearch::kBest, BlockSearch::kReference})
    if (name == name_of(search)) return search;
  return std::nullopt;
}

std::string_view name_of(BlockSearch search) { return search == BlockSearch::kBest ? "best" : "reference"; }

void quantize_blocks(DType dtype, BlockSearch search, const MatrixView& values, std::span<const float> column_weights,
                     base::ThreadPool& pool, std::span<uint8_t> bytes) {
  const BlockFormat& format = format_of(dtype);
  if (search == BlockSearch::kReference && !has_reference(dtype))
    base::fail_unsupported("block search \"reference\"",
                           "has Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0, not " + std::string(format.name),
                           "use the search \"best\"");
  NIBBLE_INVARIANT(column_weights.empty() || static_cast<int64_t>(column_weights.size()) == values.columns);
  const Pieces pieces(values, format);
  NIBBLE_INVARIANT(static_cast<int64_t>(bytes.size()) == pieces.blocks() * format.bytes);
  const std::vector<float> weights = scaled_weights(column_weights);
  const kernels::SearchBlocks best = best_search(dtype);

  std::vector<std::vector<float>> scratch(static_cast<size_t>(pool.threads()));
  std::vector<int64_t> unfit(static_cast<size_t>(pieces.count()), -1);
  pool.for_each(pieces.count(), [&](int64_t piece, int worker) {
    const float* x = pieces.values(piece, scratch[static_cast<size_t>(worker)]);
    const int64_t first = pieces.first(piece), count = pieces.size(piece);
    const int64_t at = first_unfit(x, count * format.elements, format.largest);
    if (at >= 0) {
      unfit[static_cast<size_t>(piece)] = first * format.elements + at;
      return;
    }
    uint8_t* out = bytes.data() + first * format.bytes;
    if (search == BlockSearch::kReference)
      format.encode(x, count, out);
    else
      best(x, weights.empty() ? nullptr : weights.data(), values.columns, first, count, out);
  });
  for (const int64_t element : unfit)
    if (element >= 0) fail_unfit(values, element, format);
}

BlockError measure_blocks(DType dtype, std::span<const uint8_t> bytes, const MatrixView& values,
                          std::span<const float> column_weights, base::ThreadPool& pool) {
  const BlockFormat& format = format_of(dtype);
  NIBBLE_INVARIANT(column_weights.empty() || static_cast<int64_t>(column_weights.size()) == values.columns);
  const Pieces pieces(values, format);
  NIBBLE_INVARIANT(static_cast<int64_t>(bytes.size()) == pieces.blocks() * format.bytes);
  std::vector<BlockError> sums(static_cast<size_t>(pieces.count()));
  std::array<float, 16> ones;
  ones.fill(1.0f);
  std::vector<std::vector<float>> scratch(static_cast<size_t>(pool.threads())), buffers(scratch.size());
  pool.for_each(pieces.count(), [&](int64_t piece, int worker) {
    std::vector<float>& decoded = buffers[static_cast<size_t>(worker)];
    decoded.resize(static_cast<size_t>(kPieceValues));
    const float* x = pieces.values(piece, scratch[static_cast<size_t>(worker)]);
    const int64_t first = pieces.first(piece), count = pieces.size(piece);
    format.decode(bytes.data() + first * format.bytes, count, decoded.data());
    // Sixteen running sums; a piece is whole blocks, multiples of 16.
    double error[16] = {}, signal[16] = {};
    for (int64_t i = 0; i < count * format.elements; i += 16) {
      const float* w = ones.data();
      if (!column_weights.empty()) w = column_weights.data() + (first * format.elements + i) % values.columns;
      for (int64_t k = 0; k < 16; ++k) {
        const double value = x[i + k], rest = value - double{decoded[static_cast<size_t>(i + k)]};
        error[k] += double{w[k]} * rest * rest;
        signal[k] += double{w[k]} * value * value;
      }
    }
    BlockError sum;
    for (int k = 0; k < 16; ++k) {
      sum.error += error[k];
      sum.signal += signal[k];
    }
    sums[static_cast<size_t>(piece)] = sum;
  });
  BlockError total;
  for (const BlockError& sum : sums) {
    total.error += sum.error;
    total.signal += sum.signal;
  }
  return total;
}

}  // namespace nibble::fit
