#pragma once
#include <cstring>

#include "kernels/block_search/lanes.h"

namespace nibble::kernels {

/// Sixteen blocks of `kValues` values, transposed: value i of lane k is x[16 i + k]. What a batch lacks at the end is
/// filled with its last block, computed and not written.
template <typename Isa, int kValues>
struct Batch {
  alignas(64) float x[16 * kValues];
  alignas(64) float w[16 * kValues];
  alignas(64) float codes[16 * kValues];
  int count = 0;  ///< real blocks

  using L = Lanes<Isa>;

  NIBBLE_LANES_INLINE void load(const float* values, const float* weights, int64_t row, int64_t first, int64_t blocks) {
    count = static_cast<int>(blocks < 16 ? blocks : 16);
    const float* source[16];
    for (int k = 0; k < 16; ++k) source[k] = values + (k < count ? k : count - 1) * kValues;
    Isa::template transpose<kValues>(source, x);
    if (!weights) return;
    for (int k = 0; k < 16; ++k) source[k] = weights + (first + (k < count ? k : count - 1)) * kValues % row;
    Isa::template transpose<kValues>(source, w);
  }

  NIBBLE_LANES_INLINE L value(int i) const { return L::load(x + 16 * i); }
  NIBBLE_LANES_INLINE L weight(int i) const { return L::load(w + 16 * i); }
  NIBBLE_LANES_INLINE L code(int i) const { return L::load(codes + 16 * i); }
};

/// A batch is transposed by plain loops where an Isa has nothing better.
template <int kValues>
NIBBLE_LANES_INLINE void plain_transpose(const float* const* source, float* out) {
  for (int k = 0; k < 16; ++k)
    for (int i = 0; i < kValues; ++i) out[16 * i + k] = source[k][i];
}

/// Where the bytes of a batch go: block k's at `bytes + k * stride`.
struct Output {
  uint8_t* bytes;
  int stride, count;

  /// Four bytes of every block at `offset`, each 0..255 held as a float.
  template <typename Isa>
  NIBBLE_LANES_INLINE void put(int offset, const Lanes<Isa>& b0, const Lanes<Isa>& b1, const Lanes<Isa>& b2,
                               const Lanes<Isa>& b3) const {
    using L = Lanes<Isa>;
    const L low = b0 + L::all(256.0f) * b1, high = b2 + L::all(256.0f) * b3;
    alignas(64) uint32_t word[16];
    IntLanes<Isa> o;
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < L::kRegs; ++k)
      o.r[k] = __builtin_convertvector(low.r[k], typename Isa::Ints) |
               __builtin_convertvector(high.r[k], typename Isa::Ints) << 16;
    o.store(word);
    for (int k = 0; k < count; ++k) std::memcpy(bytes + k * stride + offset, &word[k], 4);
  }

  /// An f16 at `offset` from values that f16 holds exactly.
  template <typename Isa>
  NIBBLE_LANES_INLINE void put_f16(int offset, const Lanes<Isa>& v) const {
    using L = Lanes<Isa>;
    using Ints = typename Isa::Ints;
    alignas(64) uint32_t word[16];
    IntLanes<Isa> o;
    const L scaled = abs(v) * L::all(0x1p24f);
    NIBBLE_LANES_UNROLL
    for (int k = 0; k < L::kRegs; ++k) {
      const Ints bits = (Ints)v.r[k], magnitude = bits & 0x7fffffff;
      const Ints normal = (magnitude >> 13) - (112 << 10);
      const Ints subnormal = __builtin_convertvector(scaled.r[k], Ints);
      const Ints is_normal = magnitude >= (113 << 23);
      o.r[k] = (is_normal & normal) | (~is_normal & subnormal) | ((bits >> 16) & 0x8000);
    }
    o.store(word);
    for (int k = 0; k < count; ++k) {
      const auto half = static_cast<uint16_t>(word[k]);
      std::memcpy(bytes + k * stride + offset, &half, 2);
    }
  }
};

/// `count` bytes, byte j of which has the low four bits of code `from + j` below and of code `from + j + count` above.
template <typename Isa, int kValues>
NIBBLE_LANES_INLINE void put_halves(const Output& out, int offset, const Batch<Isa, kValues>& b, int from, int count) {
  using L = Lanes<Isa>;
  const auto byte = [&](int j) { return b.code(from + j) + L::all(16.0f) * b.code(from + j + count); };
  for (int j = 0; j < count; j += 4) out.put(offset + j, byte(j), byte(j + 1), byte(j + 2), byte(j + 3));
}

/// Takes the bit worth 16 out of the codes from..from + 31 and writes it as bit i % 8 of byte i / 8.
template <typename Isa, int kValues>
NIBBLE_LANES_INLINE void put_fifth_bits(const Output& out, int offset, Batch<Isa, kValues>& b, int from) {
  using L = Lanes<Isa>;
  L byte[4];
  for (int k = 0; k < 4; ++k) {
    byte[k] = L::all(0.0f);
    for (int i = 7; i >= 0; --i) {
      const int at = from + 8 * k + i;
      const L bit = where_less(L::all(15.5f), b.code(at), L::all(1.0f), L::all(0.0f));
      (b.code(at) - L::all(16.0f) * bit).store(b.codes + 16 * at);
      byte[k] = byte[k] + byte[k] + bit;
    }
  }
  out.put(offset, byte[0], byte[1], byte[2], byte[3]);
}

}  // namespace nibble::kernels
