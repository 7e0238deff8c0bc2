#include <algorithm>
#include <array>

#include "fit/round/method.h"

namespace nibble::fit {
namespace {

constexpr size_t kChunk = 256;

/// Round half to even for |y| < 2^22: in [2^23, 2^24) the unit in the last place is 1. Plain additions, which every
/// compiler vectorises and none may reorder.
constexpr float kMagic = 12582912.0f;

/// The formulas of NumberFormat::quantize, over many values.
void round_uniform(std::span<const float> values, const GroupParams& p, const Grid& grid, int8_t* codes) {
  const float low = static_cast<float>(grid.lowest_code() - p.zero);
  const float high = static_cast<float>(grid.highest_code() - p.zero);
  const float scale = p.scale, offset = p.offset;
  const float steps = static_cast<float>(grid.steps()), range = scale * steps;
  const bool literal = grid.map == Map::kMinmax;
  std::array<float, kChunk> y;
  for (size_t start = 0; start < values.size(); start += kChunk) {
    const size_t count = std::min(kChunk, values.size() - start);
    const float* x = values.data() + start;
    if (literal) {
      for (size_t i = 0; i < count; ++i) y[i] = (x[i] - offset) / range * steps;
    } else {
      for (size_t i = 0; i < count; ++i) y[i] = x[i] / scale;
    }
    for (size_t i = 0; i < count; ++i) {
      const float clamped = std::min(std::max(y[i], low), high);
      codes[start + i] = static_cast<int8_t>(static_cast<int>((clamped + kMagic) - kMagic) + p.zero);
    }
  }
}

void round_codebook(std::span<const float> values, const GroupParams& p, const codec::Codebook& book, int8_t* codes) {
  std::array<float, kChunk> y;
  std::array<int32_t, kChunk> rank;
  for (size_t start = 0; start < values.size(); start += kChunk) {
    const size_t count = std::min(kChunk, values.size() - start);
    const float* x = values.data() + start;
    for (size_t i = 0; i < count; ++i) {
      y[i] = x[i] / p.scale;
      rank[i] = 0;
    }
    for (int level = 0; level + 1 < book.count; ++level) {
      const float decision = book.decision[level];
      for (size_t i = 0; i < count; ++i) rank[i] += y[i] >= decision ? 1 : 0;
    }
    for (size_t i = 0; i < count; ++i) codes[start + i] = book.code[rank[i]];
  }
}

void round_nearest(std::span<const float> values, const GroupParams& params, const Grid& grid, int8_t* codes) {
  if (grid.format->uniform()) {
    round_uniform(values, params, grid, codes);
  } else {
    round_codebook(values, params, *grid.format->codebook, codes);
  }
}

}  // namespace

const RoundMethod& nearest_method() {
  static constexpr RoundMethod kMethod{
      .name = "nearest",
      .summary = "the nearest level; ties go to the even code",
      .round = &round_nearest,
  };
  return kMethod;
}

}  // namespace nibble::fit
