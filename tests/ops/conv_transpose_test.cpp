// ConvTranspose is the adjoint of Conv: <Conv(x), y> = <x, ConvTranspose(y)> for every x, y and weight. With small
// integers both sides are exact.
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "ops/one_node.h"

namespace nibble {
namespace {

using base::ErrorKind;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using test::counting;
using test::floats;
using test::Ints;
using test::list;
using test::run_node;

Tensor small_integers(Shape shape, uint64_t seed) {
  base::Random random(seed);
  Tensor t(DType::f32, std::move(shape), true);
  for (float& v : t.mutable_values<float>()) v = std::round(static_cast<float>(random.normal()) * 3);
  return t;
}
double inner(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double sum = 0;
  for (size_t i = 0; i < a.values<float>().size(); ++i)
    sum += static_cast<double>(a.values<float>()[i]) * b.values<float>()[i];
  return sum;
}

struct Geometry {
  Shape x, w;  // of the convolution: w [O, C / group, k...]
  int64_t group;
  Ints strides, pads, dilations;
};

TEST(ConvTranspose, IsTheAdjointOfConv) {
  const std::vector<Geometry> all{{{2, 3, 9}, {4, 3, 3}, 1, {1}, {0, 0}, {1}},
                                  {{1, 2, 8, 7}, {3, 2, 2, 2}, 1, {2, 2}, {0, 0, 0, 1}, {1, 1}},
                                  {{2, 4, 9, 9}, {6, 2, 3, 3}, 2, {2, 1}, {1, 2, 1, 0}, {1, 2}},
                                  {{1, 4, 6, 5}, {4, 1, 3, 2}, 4, {1, 1}, {1, 1, 1, 0}, {2, 1}},
                                  {{1, 2, 4, 4, 3}, {2, 2, 2, 2, 2}, 1, {1, 2, 1}, {0, 0, 0, 0, 0, 0}, {1, 1, 1}}};
  uint64_t seed = 1;
  for (const Geometry& g : all) {
    const std::map<std::string, graph::Attribute> attributes{
        {"group", g.group}, {"strides", g.strides}, {"pads", g.pads}, {"dilations", g.dilations}};
    const Tensor x = small_integers(g.x, seed++), w = small_integers(g.w, seed++);
    const Tensor forward = run_node("Conv", {x, w}, attributes)[0];
    const Tensor y = small_integers(forward.shape(), seed++);
    // Positions of x that no window covers need output_padding.
    auto transposed = attributes;
    Ints extra;
    for (size_t d = 0; d + 2 < g.x.size(); ++d)
      extra.push_back(g.x[d + 2] + g.pads[d] + g.pads[d + g.x.size() - 2] - (g.w[d + 2] - 1) * g.dilations[d] - 1 -
                      (forward.shape()[d + 2] - 1) * g.strides[d]);
    transposed["output_padding"] = extra;
    const Tensor back = run_node("ConvTranspose", {y, w}, transposed)[0];
    EXPECT_EQ(inner(forward, y), inner(x, back));
  }
}

TEST(ConvTranspose, AddsItsBiasAndThreadsDoNotChangeABit) {
  const Tensor x = test::GraphBuilder::random_tensor("x", {2, 16, 40, 41}),
               w = test::GraphBuilder::random_tensor("w", {16, 40, 3, 3});
  const auto run = [&](const Tensor& bias, int threads) {
    return run_node("ConvTranspose", {x, w, bias}, {{"strides", Ints{2, 2}}}, false, false, "", 1, threads)[0];
  };
  const Tensor zero(DType::f32, {40});
  EXPECT_EQ(list<float>(run({}, 1)), list<float>(run({}, 3)));
  EXPECT_EQ(list<float>(run({}, 2)), list<float>(run(zero, 2)));
  const auto biased =
      run_node("ConvTranspose", {floats({1, 1, 2}, {1, 2}), floats({1, 2, 1}, {3, 4}), floats({2}, {10, 20})});
  EXPECT_EQ(list<float>(biased[0]), (std::vector<float>{13, 16, 24, 28}));
}

TEST(ConvTranspose, Refusals) {
  const Tensor x = counting({1, 2, 4, 4}), w = counting({2, 3, 3, 3});
  const auto refuse = [&](const char* says, std::vector<Tensor> inputs,
                          std::map<std::string, graph::Attribute> attributes = {},
                          ErrorKind kind = ErrorKind::kMalformed) {
    test::expect_refusal(kind, says, [&] { run_node("ConvTranspose", inputs, attributes); });
  };
  refuse("expects another number", {x, counting({3, 3, 3, 3})});
  refuse("group does not divide", {x, w}, {{"group", int64_t{3}}});
  refuse("group is 0", {x, w}, {{"group", int64_t{0}}});
  refuse("differ in rank", {x, counting({2, 3, 3})});
  refuse("at least 3 dimensions", {counting({1, 2}), counting({2, 3})});
  refuse("is empty", {x, Tensor(DType::f32, {2, 3, 0, 3})});
  refuse("strides has 1 values", {x, w}, {{"strides", Ints{2}}});
  refuse("strides holds 0", {x, w}, {{"strides", Ints{2, 0}}});
  refuse("output_padding holds -1", {x, w}, {{"output_padding", Ints{0, -1}}});
  refuse("kernel_shape differs", {x, w}, {{"kernel_shape", Ints{2, 3}}});
  refuse("takes away more", {x, w}, {{"pads", Ints{9, 9, 9, 9}}});
  refuse("bias has shape [2]", {x, w, floats({2}, {1, 2})});
  refuse("auto_pad is \"LIKE\"", {x, w}, {{"auto_pad", std::string("LIKE")}});
  refuse("output_shape has 1 values", {x, w}, {{"output_shape", Ints{4}}});
  refuse("different element types", {x, Tensor(DType::f64, {2, 3, 3, 3})});
  refuse("only 32-bit floats", {Tensor(DType::f64, {1, 2, 4, 4}), Tensor(DType::f64, {2, 3, 3, 3})}, {},
         ErrorKind::kUnsupported);
}

}  // namespace
}  // namespace nibble
