#pragma once
#include <cstdint>
#include <cstring>

namespace nibble::kernels {

/// What the kernels' layouts have in common: strips of `kOutputs` outputs; in a strip, for every four consecutive k,
/// the four bytes of each output side by side; k filled up to a multiple of four and n to one of `kOutputs` with zeros:
///     [n / kOutputs][k / 4][kOutputs][4]

constexpr int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

inline void pack_strips(const int8_t* b, int64_t n, int64_t k, int64_t outputs, int8_t* to) {
  const int64_t quads = round_up(k, 4) / 4;
  std::memset(to, 0, static_cast<size_t>(round_up(n, outputs) * quads * 4));
  for (int64_t j = 0; j < n; ++j) {
    int8_t* strip = to + j / outputs * quads * outputs * 4 + j % outputs * 4;
    const int8_t* row = b + j * k;
    for (int64_t i = 0; i < k; ++i) strip[i / 4 * outputs * 4 + i % 4] = row[i];
  }
}

/// The last 1 to 3 bytes of a row of A, zeros after them: nothing past the row is read.
inline int32_t load_tail(const uint8_t* a, int64_t count) {
  uint32_t quad = 0;
  for (int64_t i = 0; i < count; ++i) quad |= uint32_t{a[i]} << (8 * i);
  return static_cast<int32_t>(quad);
}

inline int32_t load_quad(const uint8_t* a) {
  int32_t quad;
  std::memcpy(&quad, a, 4);
  return quad;
}

}  // namespace nibble::kernels
