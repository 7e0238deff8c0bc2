#include "model/matmul_nbits_form.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/quantized_networks.h"
#include "model/save.h"
#include "model/stored_weights.h"
#include "runtime/infer_shapes.h"
#include "support/graph_builder.h"

namespace nibble {
namespace {

using graph::Graph;
using graph::Node;
using namespace test;

/// A MatMul weight [70, 3] in groups of 32, the last one short.
QuantizedParts product_parts() {
  QuantizedParts p;
  p.format = "uint4";
  p.shape = {70, 3};
  p.block = 32;
  p.scale_shape = {3, 3};
  p.zero = true;
  return p;
}

QuantizedParts table_parts(const std::string& format, bool zero) {
  QuantizedParts p;
  p.format = format;
  p.shape = {9, 40};
  p.axis = 1;
  p.block = 32;
  p.scale_shape = {9, 2};
  p.zero = zero;
  return p;
}

Graph gathering(const Tensor& table) {
  GraphBuilder b;
  auto g = b.finish({b.node("Gather", {b.constant("w", table), b.input("i", {2}, DType::i64)}, "y")});
  runtime::infer_shapes(g);
  return g;
}

const Tensor& constant_of(const Graph& g, const Node& node, size_t i) { return g.value(node.input(i)).constant; }

/// The standard's own decoding of the packed form, element by element.
float nbits_value(const Graph& g, const Node& node, int64_t n, int64_t k) {
  const int64_t block = node.integer("block_size", 0), blocks = (node.integer("K", 0) + block - 1) / block;
  const auto half = [](const Tensor& t, int64_t row_bytes, int64_t row, int64_t i) {
    const uint8_t byte = t.values<uint8_t>()[static_cast<size_t>(row * row_bytes + i / 2)];
    return i % 2 ? byte >> 4 : byte & 15;
  };
  const int code = half(constant_of(g, node, 1), blocks * block / 2, n, k);
  const auto at = static_cast<size_t>(n * blocks + k / block);
  const float scale = base::f16_to_f32(constant_of(g, node, 2).values<uint16_t>()[at]);
  const Tensor& zeros = constant_of(g, node, 3);
  const float zero = zeros.dtype() == DType::f32 ? zeros.values<float>()[at]
                                                 : static_cast<float>(half(zeros, (blocks + 1) / 2, n, k / block));
  return (static_cast<float>(code) - zero) * scale;
}

void expect_same_values(const Tensor& weight, bool transposed) {
  Graph g = quantized_network(weight);
  if (!transposed) {
    g.node(0).op = "Gemm";
    g.node(0).attributes["transB"] = int64_t{1};
    g.value(g.inputs[0]).shape[1] = weight.shape()[1];
  }
  model::use_matmul_nbits(g);
  const Node& node = g.node(0);
  ASSERT_EQ(node.op, "MatMulNBits");
  ASSERT_EQ(node.domain, "com.microsoft");
  const Tensor real = codec::dequantize(weight);
  const int64_t n_count = node.integer("N", 0), k_count = node.integer("K", 0);
  ASSERT_EQ(n_count * k_count, weight.elements());
  for (int64_t n = 0; n < n_count; ++n)
    for (int64_t k = 0; k < k_count; ++k)
      ASSERT_EQ(nbits_value(g, node, n, k),
                real.values<float>()[static_cast<size_t>(transposed ? k * n_count + n : n * k_count + k)]);
}

TEST(MatMulNBits, HoldsTheSameValues) {
  for (const char* format : {"int4", "uint4"})
    for (const bool zero : {true, false}) {
      QuantizedParts p = product_parts();
      p.format = format;
      p.zero = zero;
      expect_same_values(quantized_tensor(p), true);
      p.shape = {3, 70};
      p.axis = 1;
      expect_same_values(quantized_tensor(p), false);
      // A scale a row: one block takes it all.
      p.shape = {40, 5};
      p.block = 0;
      p.scale_shape = {5};
      expect_same_values(quantized_tensor(p), true);
    }
}

TEST(MatMulNBits, HasRealZeroPointsForTheMinmaxMap) {
  QuantizedParts p = product_parts();
  p.zero = false;
  p.offset = true;
  const Tensor weight = quantized_tensor(p), real = codec::dequantize(weight);
  Graph g = quantized_network(weight);
  model::use_matmul_nbits(g);
  for (int64_t n = 0; n < 3; ++n)
    for (int64_t k = 0; k < 70; ++k) {
      const float wanted = real.values<float>()[static_cast<size_t>(k * 3 + n)];
      // Three roundings of numbers up to the largest term: code * scale and offset are below 20.
      EXPECT_NEAR(nbits_value(g, g.node(0), n, k), wanted, 3 * 20 * 0x1p-24);
    }
}

TEST(MatMulNBits, SharesAWeightThatSeveralNodesRead) {
  Graph g = quantized_network(quantized_tensor(product_parts()), 2);
  model::use_matmul_nbits(g);
  ASSERT_EQ(g.node_count(), 2);
  for (size_t i = 1; i <= 3; ++i) EXPECT_EQ(g.node(0).input(i), g.node(1).input(i));
}

TEST(MatMulNBits, WritesAndReadsTheSameBits) {
  // Written: scales behind a Cast. Read: the 16-bit constant is the node's own input again.
  Graph g = quantized_network(quantized_tensor(product_parts()));
  model::use_matmul_nbits(g);
  Graph written = g;
  model::add_scale_casts(written);
  EXPECT_EQ(written.node_count(), 2);
  EXPECT_EQ(written.value(written.node(1).input(2)).dtype, DType::f32);
  Graph read = written;
  model::fold_nbits(read);
  EXPECT_EQ(model::first_difference(g, read), "");
  model::add_scale_casts(read);
  EXPECT_EQ(model::first_difference(written, read), "");
}

TEST(GatherBlockQuantized, WritesAndReadsTheSameBits) {
  for (const auto& [format, zero] : {std::pair{"int4", true}, {"uint4", true}, {"int4", false}, {"uint4", false}}) {
    const Graph g = gathering(quantized_tensor(table_parts(format, zero)));
    Graph written = g;
    model::use_matmul_nbits(written);
    ASSERT_EQ(written.node(0).op, "GatherBlockQuantized");
    model::add_scale_casts(written);
    Graph read = written;
    model::fold_nbits(read);
    ASSERT_EQ(read.node(0).op, "Gather");
    const Tensor before = codec::dequantize(constant_of(g, g.node(0), 0)),
                 after = codec::dequantize(constant_of(read, read.node(0), 0));
    EXPECT_TRUE(
        std::equal(before.values<float>().begin(), before.values<float>().end(), after.values<float>().begin()));
    Graph again = read;
    model::use_matmul_nbits(again);
    model::add_scale_casts(again);
    EXPECT_EQ(model::first_difference(written, again), "");
  }
}

TEST(MatMulNBits, SaysWhyItCannotBe) {
  const auto why = [](QuantizedParts p, const char* op = "MatMul",
                      std::map<std::string, graph::Attribute> attributes = {}) {
    Graph g = quantized_network(quantized_tensor(p));
    g.node(0).op = op;
    g.node(0).attributes = std::move(attributes);
    model::WeightForm form;
    form.group = p.block;
    form.per_tensor = p.scale_shape.empty();
    return model::why_not_nbits(g, g.node(0), form);
  };
  QuantizedParts p = product_parts();
  EXPECT_EQ(why(p), "");
  EXPECT_NE(why(p, "Conv").find("no 4-bit Conv"), std::string::npos);
  EXPECT_NE(why(p, "Gemm", {{"alpha", 2.0f}}), "");
  EXPECT_NE(why(p, "Gemm", {{"transA", int64_t{1}}}), "");
  p.block = 48;
  p.scale_shape = {2, 3};
  EXPECT_NE(why(p).find("groups of 48"), std::string::npos);
  p.block = 0;
  p.scale_shape = {};
  EXPECT_NE(why(p).find("scale a row"), std::string::npos);
  p.shape = {300, 3};
  p.axis = 1;
  p.scale_shape = {3};
  EXPECT_NE(why(p).find("300 inputs"), std::string::npos);
}

/// A table as another tool might write it, with one part changed.
Graph table_node(std::map<std::string, graph::Attribute> attributes, tensor::Shape zeros = {4, 2},
                 DType zero_type = DType::uint4) {
  GraphBuilder b;
  const auto data = b.constant("d", Tensor(DType::uint4, {4, 64})), scale = b.weights("s", {4, 2});
  const auto zero = b.constant("z", Tensor(zero_type, std::move(zeros)));
  return b.finish({b.node("GatherBlockQuantized", {data, b.input("i", {2}, DType::i64), scale, zero}, "y",
                          std::move(attributes), "com.microsoft")});
}

TEST(GatherBlockQuantized, RefusesPartsThatDoNotFit) {
  const auto refused = [](Graph g) {
    try {
      model::fold_nbits(g);
    } catch (const base::Error& e) {
      return e.kind() == base::ErrorKind::kMalformed;
    }
    return false;
  };
  EXPECT_FALSE(refused(table_node({{"block_size", int64_t{32}}})));
  EXPECT_TRUE(refused(table_node({{"block_size", int64_t{16}}}))) << "four scales a row were needed";
  EXPECT_TRUE(refused(table_node({{"block_size", int64_t{0}}})));
  EXPECT_TRUE(refused(table_node({{"block_size", int64_t{48}}})));
  EXPECT_TRUE(refused(table_node({{"block_size", int64_t{32}}, {"quantize_axis", int64_t{2}}})));
  EXPECT_TRUE(refused(table_node({{"block_size", int64_t{32}}, {"gather_axis", int64_t{-3}}})));
  EXPECT_TRUE(refused(table_node({{"block_size", int64_t{32}}}, {4, 3})));
  EXPECT_TRUE(refused(table_node({{"block_size", int64_t{32}}}, {4, 2}, DType::int4)));
}

TEST(StoredWeights, CountTheFillingOfBlocks) {
  Graph g = quantized_network(quantized_tensor(product_parts()));
  EXPECT_EQ(model::stored_weights(g)[0].bytes, 70 * 3 / 2 + 9 * 2 + 5);
  model::use_matmul_nbits(g);
  const auto packed = model::stored_weights(g);
  ASSERT_EQ(packed.size(), 1u);
  EXPECT_EQ(packed[0].elements, 210);
  EXPECT_EQ(packed[0].bits, 4);
  EXPECT_EQ(packed[0].bytes, 3 * (3 * 16 + 3 * 2 + 2));
  EXPECT_EQ(packed[0].bytes, model::nbits_bytes(3, 70, 32, 16, false));
  EXPECT_EQ(model::stored_weights(gathering(quantized_tensor(table_parts("uint4", true)))).size(), 1u);
}

}  // namespace
}  // namespace nibble
