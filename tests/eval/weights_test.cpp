#include "eval/weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "codec/format.h"
#include "eval/html/escape.h"
#include "tensor/quantization.h"

namespace nibble::eval {
namespace {

using tensor::DType;
using tensor::Tensor;

/// int4 codes of a [2, 4] weight with one scale a row.
Tensor int4_rows(const std::vector<int8_t>& codes, float first_scale, float second_scale) {
  auto q = std::make_shared<tensor::Quantization>();
  q->format = codec::find_format("int4");
  q->code_shape = {2, 4};
  q->axis = 0;
  const float scales[] = {first_scale, second_scale};
  q->scale = Tensor::of<float>({2}, scales);
  return codec::pack(DType::int4, {2, 4}, codes).with_quantization(q);
}

graph::Graph product(const Tensor& weight, const char* node_name, const char* weight_name) {
  graph::Graph g;
  graph::Value x, y;
  x.name = "x";
  y.name = "y";
  const auto x_id = g.add_value(x), w_id = g.add_constant(weight_name, weight), y_id = g.add_value(y);
  graph::Node node;
  node.op = "Gemm";
  node.name = node_name;
  node.attributes["transB"] = int64_t{1};
  node.inputs = {x_id, w_id};
  node.outputs = {y_id};
  g.add_node(node);
  g.inputs = {x_id};
  g.outputs = {y_id};
  return g;
}

TEST(CompareWeights, MatchesByOutputAndMeasuresTheError) {
  const std::vector<float> real{0.5f, 1, 1.5f, 2, 10, 20, 30, 40};
  const Tensor w = Tensor::of<float>({2, 4}, std::span<const float>(real));
  // Decoded: 0.5 1 1.5 2 and 10 20 30 70: an error of 30 in the last value alone.
  const Tensor q = int4_rows({1, 2, 3, 4, 1, 2, 3, 7}, 0.5f, 10);
  const auto errors = compare_weights(product(w, "before", "w"), product(q, "after", "w_4bit"));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].name, "after");
  EXPECT_EQ(errors[0].weight_name, "w_4bit");
  EXPECT_EQ(errors[0].bits, 4);
  EXPECT_EQ(errors[0].bytes, 4 + 2 * 4);
  EXPECT_EQ(format_text(errors[0].stored), "int4, per channel");
  const double signal = 0.25 + 1 + 2.25 + 4 + 100 + 400 + 900 + 1600;
  EXPECT_NEAR(errors[0].sqnr_db, 10 * std::log10(signal / 900), 1e-12);
}

TEST(CompareWeights, SaysWhereThereIsNothingToCompareWith) {
  const Tensor q = int4_rows({1, 2, 3, 4, 1, 2, 3, 7}, 0.5f, 10);
  const Tensor wide(DType::f32, {4, 4});
  EXPECT_FALSE(compare_weights(product(wide, "n", "w"), product(q, "n", "w"))[0].real);
  EXPECT_FALSE(compare_weights(graph::Graph(), product(q, "n", "w"))[0].real);
}

TEST(WeightHistogram, BringsEveryGroupToTheUnitsOfItsLevels) {
  WeightError e;
  e.stored = int4_rows({-8, 0, 3, 7, -8, 0, 3, 7}, 0.5f, 10);
  // Row one: -8, 0, 3.25 and 7.4 levels; row two: -8.6 (clipped), 0, 3.25, 700 (clipped, outside of the picture).
  const std::vector<float> real{-4, 0, 1.625f, 3.7f, -86, 0, 32.5f, 7000};
  e.real = Tensor::of<float>({2, 4}, std::span<const float>(real));
  const WeightHistogram h = weight_histogram(e);
  ASSERT_EQ(h.levels.size(), 16u);
  EXPECT_EQ(h.levels.front(), -8);
  EXPECT_EQ(h.levels.back(), 7);
  EXPECT_EQ(h.low, -9.5);
  EXPECT_EQ(h.high, 8.5);
  EXPECT_EQ(h.elements, 8);
  EXPECT_EQ(h.clipped, 2);
  EXPECT_EQ(std::accumulate(h.counts.begin(), h.counts.end(), int64_t{0}), 7);
  ASSERT_EQ(h.counts.size(), 144u);  // eight a level
  EXPECT_EQ(h.counts[(9.5 - 8) * 8], 1);
  EXPECT_EQ(h.counts[9.5 * 8], 2);
  EXPECT_EQ(h.counts[(9.5 + 3.25) * 8], 2);
  ASSERT_EQ(h.channels.size(), 2u);
  EXPECT_EQ(h.channels[0].low, -4);
  EXPECT_EQ(h.channels[1].high, 7000);
  e.channel_axis = 1;
  EXPECT_EQ(weight_histogram(e).channels.size(), 4u);
  EXPECT_EQ(weight_histogram(e).channels[0].low, -86);
}

TEST(Escaped, LeavesNoMarkup) {
  using html::escaped;
  EXPECT_EQ(escaped("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escaped(std::string("\x01\x7f\xff\xc2\x85z\0", 7)), "\uFFFD\uFFFD\uFFFD\uFFFDz\uFFFD");
  EXPECT_EQ(escaped("\xC3\xBC\n\t\u2603"), "\xC3\xBC\n\t\u2603");
  EXPECT_EQ(html::script_safe("{\"a\":\"</script><!--\"}"), "{\"a\":\"\\u003c/script>\\u003c!--\"}");
}

}  // namespace
}  // namespace nibble::eval
