#pragma once
#include <array>
#include <bit>
#include <cstddef>

#include "codec/format.h"

namespace nibble::codec {

/// Evenly spaced levels: lowest, lowest + 1, ...
template <size_t kCount>
constexpr std::array<float, kCount> integer_levels(int lowest) {
  std::array<float, kCount> levels{};
  for (size_t i = 0; i < kCount; ++i) levels[i] = static_cast<float>(lowest + static_cast<int>(i));
  return levels;
}

/// The smallest float above `x`.
constexpr float next_above(float x) {
  if (x == 0.0f) return std::bit_cast<float>(1u);
  const auto bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>(x > 0.0f ? bits + 1 : bits - 1);
}

/// Sorts the levels of codes 0..15 and finds the decision points between neighbours. A level that occurs twice (E2M1's
/// two zeros) keeps its first code.
constexpr Codebook make_codebook(const std::array<float, 16>& levels) {
  Codebook book;
  for (int code = 0; code < 16; ++code) {
    const float level = levels[static_cast<size_t>(code)];
    int at = 0;
    while (at < book.count && book.level[at] < level) ++at;
    if (at < book.count && book.level[at] == level) continue;
    for (int i = book.count; i > at; --i) {
      book.level[i] = book.level[i - 1];
      book.code[i] = book.code[i - 1];
    }
    book.level[at] = level;
    book.code[at] = static_cast<int8_t>(code);
    ++book.count;
  }
  for (int i = 0; i + 1 < book.count; ++i) {
    const float middle = (book.level[i] + book.level[i + 1]) / 2;
    const bool tie_stays_below = book.code[i] % 2 == 0;
    book.decision[i] = tie_stays_below ? next_above(middle) : middle;
  }
  return book;
}

}  // namespace nibble::codec
