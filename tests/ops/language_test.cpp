// The operators of language models against plain loops.
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "base/small_float.h"
#include "codec/activations.h"
#include "codec/blocks.h"
#include "ops/kv_cache.h"
#include "ops/one_node.h"
#include "support/compare.h"

namespace nibble {
namespace {

using graph::Attribute;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using test::run_node;

Tensor random_floats(Shape shape, uint64_t seed) {
  Tensor t(DType::f32, std::move(shape));
  base::Random random(seed);
  for (float& v : t.mutable_values<float>()) v = static_cast<float>(random.normal());
  return t;
}
Tensor numbers(const std::vector<int64_t>& v) {
  return Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, std::span(v));
}

/// A matrix stored as that dtype.
Tensor stored_as(DType dtype, const Tensor& floats) {
  if (dtype == DType::f32) return floats;
  Tensor t(dtype, floats.shape());
  const auto x = floats.values<float>();
  if (const codec::BlockFormat* format = codec::find_block_format(dtype)) {
    format->encode(x.data(), floats.elements() / format->elements,
                   reinterpret_cast<uint8_t*>(t.mutable_bytes().data()));
    return t;
  }
  const auto y = t.mutable_values<uint16_t>();
  for (size_t i = 0; i < x.size(); ++i) y[i] = dtype == DType::f16 ? base::f32_to_f16(x[i]) : base::f32_to_bf16(x[i]);
  return t;
}

Tensor decoded(const Tensor& t) {
  Tensor floats(DType::f32, t.shape());
  codec::decode_range(t, 0, t.elements(), floats.mutable_values<float>().data());
  return floats;
}

Tensor plain_product(const Tensor& x, const Tensor& w, const Tensor& bias) {
  const int64_t count = x.shape()[0], columns = x.shape()[1], rows = w.shape()[0];
  Tensor y(DType::f32, {count, rows});
  for (int64_t t = 0; t < count; ++t)
    for (int64_t r = 0; r < rows; ++r) {
      double sum = bias ? static_cast<double>(bias.values<float>()[static_cast<size_t>(r)]) : 0;
      for (int64_t c = 0; c < columns; ++c)
        sum += static_cast<double>(x.values<float>()[static_cast<size_t>(t * columns + c)]) *
               static_cast<double>(w.values<float>()[static_cast<size_t>(r * columns + c)]);
      y.mutable_values<float>()[static_cast<size_t>(t * rows + r)] = static_cast<float>(sum);
    }
  return y;
}

void expect_close(const Tensor& a, const Tensor& b, double tolerance) {
  ASSERT_EQ(a.shape(), b.shape());
  double largest = 0, difference = 0;
  for (size_t i = 0; i < a.values<float>().size(); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(b.values<float>()[i])));
    difference = std::max(difference, std::fabs(static_cast<double>(a.values<float>()[i] - b.values<float>()[i])));
    ASSERT_FALSE(std::isnan(a.values<float>()[i]));
  }
  EXPECT_LE(difference, tolerance * largest);
}

TEST(Linear, EveryStoredTypeGivesTheProductOfItsDecodedValues) {
  std::vector<DType> types = {DType::f32, DType::f16, DType::bf16};
  for (const codec::BlockFormat* format : codec::all_block_formats()) types.push_back(format->dtype);
  const Tensor x = random_floats({3, 512}, 1), bias = random_floats({37}, 2), w = random_floats({37, 512}, 3);
  for (const DType dtype : types) {
    SCOPED_TRACE(std::string(tensor::name_of(dtype)));
    const Tensor stored = stored_as(dtype, w);
    const auto y = run_node("Linear", {x, stored, bias}, {}, false, true, "nibble");
    expect_close(y[0], plain_product(x, decoded(stored), bias), 1e-5);
    Tensor rounded = Tensor::of<float>(x.shape(), x.values<float>());
    for (int64_t t = 0; t < 3; ++t)
      codec::round_activations(dtype, 512, rounded.mutable_values<float>().data() + t * 512);
    const auto q8 = run_node("Linear", {x, stored, bias}, {{"activations", std::string("q8")}}, false, true, "nibble");
    if (!codec::has_block_minimum(dtype)) expect_close(q8[0], plain_product(rounded, decoded(stored), bias), 1e-5);
  }
}

TEST(Linear, MinimaOfBlocksMeetTheSumThatGgmlKeeps) {
  const Tensor x = random_floats({6, 64}, 1), stored = stored_as(DType::q4_1, random_floats({5, 64}, 3));
  for (const int64_t count : {2, 6}) {  // row by row, and in bands
    const Tensor part = Tensor::of<float>({count, 64}, x.values<float>().subspan(0, static_cast<size_t>(64 * count)));
    const auto y = run_node("Linear", {part, stored}, {{"activations", std::string("q8")}}, false, true, "nibble");
    const auto* bytes = reinterpret_cast<const uint8_t*>(stored.bytes().data());
    const auto half = [](const uint8_t* at) { return base::f16_to_f32(static_cast<uint16_t>(at[0] | at[1] << 8)); };
    for (int64_t t = 0; t < count; ++t)
      for (int64_t r = 0; r < 5; ++r) {
        double expected = 0;  // ggml: d_w f16(d_x) sum(q_w q_x) + m_w f16(d_x sum(q_x)), block by block
        for (int64_t b = 0; b < 2; ++b) {
          const float* v = x.values<float>().data() + t * 64 + b * 32;
          float largest = 0;
          for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(v[i]));
          const uint8_t* block = bytes + (r * 2 + b) * 20;
          double products = 0, sum = 0;
          for (int i = 0; i < 32; ++i) {
            const double q = std::nearbyint(v[i] * (127.0f / largest));
            products += q * (block[4 + i % 16] >> (i / 16 * 4) & 15);
            sum += q;
          }
          const float d = largest / 127.0f;
          const auto rounded = [](double s) {
            return static_cast<double>(base::f16_to_f32(base::f32_to_f16(static_cast<float>(s))));
          };
          expected += static_cast<double>(half(block)) * rounded(d) * products +
                      static_cast<double>(half(block + 2)) * rounded(d * sum);
        }
        EXPECT_NEAR(y[0].values<float>()[static_cast<size_t>(t * 5 + r)], expected, 1e-5);
      }
  }
}

TEST(Linear, ManyRowsAreCutIntoBandsWithTheSameResult) {
  const Tensor x = random_floats({5, 96}, 1), w = random_floats({3001, 96}, 3);
  const auto y = run_node("Linear", {x, stored_as(DType::f16, w)}, {}, false, true, "nibble", 1, 1);
  expect_close(y[0], plain_product(x, decoded(stored_as(DType::f16, w)), {}), 1e-5);
  const auto two = run_node("Linear", {x, stored_as(DType::f16, w)}, {}, false, true, "nibble", 1, 2);
  EXPECT_TRUE(std::equal(y[0].bytes().begin(), y[0].bytes().end(), two[0].bytes().begin()));
}

TEST(Linear, TransposedWeights) {
  const Tensor x = random_floats({4, 20}, 1), w = random_floats({7, 20}, 2), bias = random_floats({7}, 3);
  Tensor t(DType::f32, {20, 7});
  for (size_t r = 0; r < 7; ++r)
    for (size_t c = 0; c < 20; ++c) t.mutable_values<float>()[c * 7 + r] = w.values<float>()[r * 20 + c];
  const auto y = run_node("Linear", {x, t, bias}, {{"transposed", int64_t{1}}}, false, true, "nibble");
  expect_close(y[0], plain_product(x, w, bias), 1e-5);
}

TEST(Linear, RefusesWhatDoesNotFit) {
  test::expect_refusal(base::ErrorKind::kMalformed, "does not end in 64", [] {
    run_node("Linear", {random_floats({1, 32}, 1), random_floats({2, 64}, 1)}, {}, false, true, "nibble");
  });
  test::expect_refusal(base::ErrorKind::kMalformed, "f32 or q8", [] {
    run_node("Linear", {random_floats({1, 64}, 1), random_floats({2, 64}, 1)}, {{"activations", std::string("q4")}},
             false, true, "nibble");
  });
}

TEST(Embedding, RowsByNumber) {
  const Tensor table = stored_as(DType::q8_0, random_floats({6, 64}, 1));
  const auto y = run_node("Embedding", {table, numbers({5, 0, 5})}, {}, false, false, "nibble");
  const Tensor all = decoded(table);
  for (size_t i = 0; i < 64; ++i) {
    EXPECT_EQ(y[0].values<float>()[i], all.values<float>()[5 * 64 + i]);
    EXPECT_EQ(y[0].values<float>()[64 + i], all.values<float>()[i]);
  }
  test::expect_refusal(base::ErrorKind::kMalformed, "entry 6", [&] {
    run_node("Embedding", {table, numbers({6})}, {}, false, false, "nibble");
  });
}

TEST(RotatePairs, TurnsByTheAngleInBothLayouts) {
  const Tensor x = random_floats({2, 12}, 1);  // two heads of 6, 4 of which are turned
  const std::vector<float> frequencies = {1.0f, 0.25f};
  for (const bool interleaved : {false, true}) {
    const auto y = run_node("RotatePairs", {x, numbers({3, 7}), Tensor::of<float>({2}, std::span(frequencies))},
                            {{"head_size", int64_t{6}}, {"interleaved", int64_t{interleaved}}, {"magnitude", 1.5f}},
                            false, false, "nibble");
    const auto in = x.values<float>(), out = y[0].values<float>();
    for (size_t t = 0; t < 2; ++t)
      for (size_t head = 0; head < 2; ++head) {
        const size_t at = t * 12 + head * 6;
        for (size_t i = 0; i < 2; ++i) {
          const size_t a = at + (interleaved ? 2 * i : i), b = at + (interleaved ? 2 * i + 1 : i + 2);
          const double angle = (t == 0 ? 3.0 : 7.0) * static_cast<double>(frequencies[i]);
          EXPECT_NEAR(out[a], 1.5 * (std::cos(angle) * in[a] - std::sin(angle) * in[b]), 1e-5);
          EXPECT_NEAR(out[b], 1.5 * (std::cos(angle) * in[b] + std::sin(angle) * in[a]), 1e-5);
        }
        EXPECT_EQ(out[at + 4], in[at + 4]);
        EXPECT_EQ(out[at + 5], in[at + 5]);
      }
  }
}

/// The definition: softmax over the tokens of the same sequence at positions in (p - window, p].
Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v, const std::vector<int64_t>& positions,
                       const std::vector<int64_t>& sequences, size_t heads, size_t kv_heads, int64_t window) {
  const size_t tokens = positions.size(), width = static_cast<size_t>(q.shape()[1]), size = width / heads,
               kv_width = size * kv_heads;
  Tensor y(DType::f32, q.shape());
  for (size_t t = 0; t < tokens; ++t)
    for (size_t h = 0; h < heads; ++h) {
      const size_t kv = h / (heads / kv_heads);
      std::vector<double> weight(tokens, 0);
      double sum = 0;
      for (size_t u = 0; u < tokens; ++u) {
        if (sequences[u] != sequences[t] || positions[u] > positions[t]) continue;
        if (window > 0 && positions[t] - positions[u] >= window) continue;
        double dot = 0;
        for (size_t i = 0; i < size; ++i)
          dot += static_cast<double>(q.values<float>()[t * width + h * size + i]) *
                 static_cast<double>(k.values<float>()[u * kv_width + kv * size + i]);
        sum += weight[u] = std::exp(dot / std::sqrt(static_cast<double>(size)));
      }
      for (size_t i = 0; i < size; ++i) {
        double o = 0;
        for (size_t u = 0; u < tokens; ++u)
          o += weight[u] / sum * static_cast<double>(v.values<float>()[u * kv_width + kv * size + i]);
        y.mutable_values<float>()[t * width + h * size + i] = static_cast<float>(o);
      }
    }
  return y;
}

struct Tokens {
  std::vector<int64_t> positions, sequences;
};
Tokens two_sequences(int64_t a, int64_t b) {  // interleaved as batched generation has them
  Tokens t;
  for (int64_t i = 0; i < std::max(a, b); ++i) {
    if (i < a) t.positions.push_back(i), t.sequences.push_back(7);
    if (i < b) t.positions.push_back(i), t.sequences.push_back(3);
  }
  return t;
}

TEST(CausalAttention, GroupedHeadsSequencesAndWindows) {
  const Tokens t = two_sequences(150, 70);  // more than one tile each
  const auto count = static_cast<int64_t>(t.positions.size());
  const Tensor q = random_floats({count, 24}, 1), k = random_floats({count, 12}, 2), v = random_floats({count, 12}, 3);
  for (const int64_t window : {0, 9, 100}) {
    const auto y =
        run_node("CausalAttention", {q, k, v, numbers(t.positions), numbers(t.sequences)},
                 {{"heads", int64_t{4}}, {"kv_heads", int64_t{2}}, {"window", window}}, false, false, "nibble");
    expect_close(y[0], plain_attention(q, k, v, t.positions, t.sequences, 4, 2, window), 1e-5);
  }
}

TEST(CausalAttention, TokenByTokenWithACacheEqualsAllAtOnce) {
  const Tokens t = two_sequences(9, 5);
  const auto count = static_cast<int64_t>(t.positions.size());
  const Tensor q = random_floats({count, 16}, 1), k = random_floats({count, 8}, 2), v = random_floats({count, 8}, 3);
  const Tensor whole = plain_attention(q, k, v, t.positions, t.sequences, 4, 2, 0);
  test::GraphBuilder b;
  graph::Node node{.op = "CausalAttention",
                   .domain = "nibble",
                   .name = "n",
                   .inputs = {},
                   .outputs = {},
                   .attributes = {{"heads", int64_t{4}}, {"kv_heads", int64_t{2}}, {"layer", int64_t{5}}}};
  const int64_t any = tensor::kUnknown;
  node.inputs = {b.input("q", {any, 16}), b.input("k", {any, 8}), b.input("v", {any, 8}),
                 b.input("p", {any}, DType::i64), b.input("s", {any}, DType::i64)};
  graph::Value out;
  out.name = "y";
  node.outputs = {b.graph.add_value(out)};
  const graph::ValueId result = node.outputs[0];
  b.graph.add_node(std::move(node));
  const graph::Graph g = b.finish({result});
  base::ThreadPool pool(2);
  runtime::Session session(g, pool);
  ops::KeyValueCache cache;
  session.use_cache(&cache);
  const auto part = [&](const Tensor& x, size_t i) {
    const auto width = static_cast<size_t>(x.shape()[1]);
    return Tensor::of<float>({1, x.shape()[1]}, x.values<float>().subspan(i * width, width));
  };
  for (size_t i = 0; i < t.positions.size(); ++i) {
    const auto y = session.run(
        std::vector<Tensor>{part(q, i), part(k, i), part(v, i), numbers({t.positions[i]}), numbers({t.sequences[i]})});
    expect_close(y[0], part(whole, i), 1e-5);
  }
  EXPECT_EQ(cache.length(7), 9);
  EXPECT_EQ(cache.length(3), 5);
  cache.truncate(7, 4);
  EXPECT_EQ(cache.length(7), 4);
  EXPECT_EQ(cache.length(3), 5);
  EXPECT_THROW(session.run(std::vector<Tensor>{part(q, 0), part(k, 0), part(v, 0), numbers({9}), numbers({7})}),
               base::Error);
}

TEST(CausalAttention, RefusesPositionsWithGapsAndHeadsThatDoNotFit) {
  const Tensor x = random_floats({2, 8}, 1);
  test::expect_refusal(base::ErrorKind::kMalformed, "does not follow", [&] {
    run_node("CausalAttention", {x, x, x, numbers({0, 2}), numbers({0, 0})},
             {{"heads", int64_t{2}}, {"kv_heads", int64_t{2}}}, false, false, "nibble");
  });
  test::expect_refusal(base::ErrorKind::kMalformed, "do not fit its heads", [&] {
    run_node("CausalAttention", {x, x, x, numbers({0, 1}), numbers({0, 0})},
             {{"heads", int64_t{4}}, {"kv_heads", int64_t{2}}}, false, false, "nibble");
  });
}

}  // namespace
}  // namespace nibble
