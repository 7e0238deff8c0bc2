// RotaryEmbedding (Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", arXiv 2104.09864): pairs
// of a head's first `rotary_embedding_dim` elements are turned by the angle of their token's position,
//     (a, b) -> (a cos - b sin, a sin + b cos),
// where the pairs are (x[i], x[i + half]), or neighbours when `interleaved`; what is left of the head stays as it is.
// Cosines and sines are [positions, half], picked by position_ids, or [batch, tokens, half].
#include <algorithm>

#include "ops/element_types.h"
#include "ops/numbers.h"

namespace nibble::ops {
namespace {

/// Sizes of the input [batch, heads, tokens, head] or [batch, tokens, heads * head].
struct Heads {
  int64_t batch, heads, tokens, size, rotated;
  bool tokens_first;
};

Heads heads_of(const InferContext& c) {
  const Shape& x = c.shape(0);
  const int64_t heads = c.node().integer("num_heads", 0);
  Heads h{x[0], 0, 0, 0, 0, x.size() == 3};
  if (h.tokens_first) {
    c.require(heads > 0 && (x[2] == kUnknown || x[2] % heads == 0),
              "num_heads is " + std::to_string(heads) + ", which does not divide " + to_string(x));
    h.heads = heads;
    h.tokens = x[1];
    h.size = x[2] == kUnknown ? kUnknown : x[2] / heads;
  } else {
    h.heads = x[1];
    h.tokens = x[2];
    h.size = x[3];
  }
  const int64_t asked = c.node().integer("rotary_embedding_dim", 0);
  h.rotated = asked == 0 ? h.size : asked;
  c.require(
      h.rotated == kUnknown || (h.rotated >= 0 && h.rotated % 2 == 0 && (h.size == kUnknown || h.rotated <= h.size)),
      "cannot turn " + std::to_string(h.rotated) + " elements of a head of " + std::to_string(h.size));
  return h;
}

void infer_rotary(InferContext& c) {
  for (size_t i = 1; i < 3; ++i) c.require(c.dtype(i) == c.dtype(0), "its inputs have different element types");
  if (c.has(3)) require_integers(c, 3);
  if (c.shape_known(0)) {
    const size_t rank = c.shape(0).size();
    c.require(rank == 3 || rank == 4,
              "its input has shape " + to_string(c.shape(0)) + ", 3 or 4 dimensions were expected");
    const Heads h = heads_of(c);
    const auto fits = [](int64_t a, int64_t b) { return a == kUnknown || b == kUnknown || a == b; };
    for (size_t i = 1; i < 3; ++i) {
      if (!c.shape_known(i)) continue;
      const Shape& s = c.shape(i);
      const bool good = c.has(3) ? s.size() == 2 : s.size() == 3 && fits(s[0], h.batch) && fits(s[1], h.tokens);
      c.require(good && fits(s.back(), h.rotated == kUnknown ? kUnknown : h.rotated / 2),
                "its input " + std::to_string(i) + " has shape " + to_string(s) + ", which does not fit " +
                    to_string(c.shape(0)));
    }
    if (c.has(3) && c.shape_known(3))
      c.require(c.shape(3).size() == 2 && fits(c.shape(3)[0], h.batch) && fits(c.shape(3)[1], h.tokens),
                "its positions have shape " + to_string(c.shape(3)));
  }
  infer_same(c);
}

void run_rotary(RunContext& c) {
  const auto facts = facts_of(c);
  OutputFacts ignored;
  const InferContext shapes(c.node(), facts, {&ignored, 1});
  const Heads h = heads_of(shapes);
  const auto cosines = decode_numbers(c.input(1)), sines = decode_numbers(c.input(2));
  const std::vector<int64_t> positions = c.has(3) ? integers_of(c.input(3)) : std::vector<int64_t>();
  const int64_t half = h.rotated / 2, known = c.has(3) ? c.input(1).shape()[0] : 0;
  for (const int64_t p : positions)
    if (p < 0 || p >= known)
      c.malformed("position " + std::to_string(p) + " is outside of the table of " + std::to_string(known));
  const bool interleaved = c.node().integer("interleaved", 0) != 0;
  const int64_t rows = h.batch * h.heads * h.tokens;
  const bool done = visit_float(c.input(0).dtype(), [&](auto t) {
    using T = decltype(t);
    using C = ComputeOf<T>;
    for_ranges(c.pool(), rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, h.size)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t row = begin; row < end; ++row) {
                   const int64_t b = row / (h.heads * h.tokens);
                   const int64_t token = h.tokens_first ? row / h.heads % h.tokens : row % h.tokens;
                   const int64_t place = b * h.tokens + token;
                   const auto angle =
                       static_cast<size_t>((positions.empty() ? place : positions[static_cast<size_t>(place)]) * half);
                   const T* x = data_of<T>(c.input(0)) + row * h.size;
                   T* y = mutable_data_of<T>(c.output(0)) + row * h.size;
                   for (int64_t i = 0; i < half; ++i) {
                     const int64_t first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + half;
                     const auto cosine = static_cast<C>(cosines[angle + static_cast<size_t>(i)]);
                     const auto sine = static_cast<C>(sines[angle + static_cast<size_t>(i)]);
                     const C a = static_cast<C>(x[first]), d = static_cast<C>(x[second]);
                     y[first] = static_cast<T>(cosine * a - sine * d);
                     y[second] = static_cast<T>(sine * a + cosine * d);
                   }
                   std::copy(x + h.rotated, x + h.size, y + h.rotated);
                 }
               });
  });
  if (!done) c.unsupported_type();
}

}  // namespace

const Operator& rotary_embedding() {
  static const Operator op{"RotaryEmbedding", "", 3, 4, 1, infer_rotary, run_rotary, Layout::kFixed, false};
  return op;
}

}  // namespace nibble::ops
