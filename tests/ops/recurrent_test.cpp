// LSTM, GRU and RNN against closed forms and against themselves under symmetries that the definition has.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/one_node.h"

namespace nibble {
namespace {

using base::ErrorKind;
using tensor::DType;
using tensor::Tensor;
using test::counting;
using test::floats;
using test::GraphBuilder;
using test::Ints;
using test::list;
using test::run_node;

Tensor zeros(tensor::Shape shape) { return Tensor(DType::f32, std::move(shape)); }
Tensor random(const std::string& name, tensor::Shape shape) {
  return GraphBuilder::random_tensor(name, std::move(shape), 0.5);
}

TEST(Lstm, WithoutWeightsEveryGateIsAHalf) {
  // i = o = f = 1/2 and the candidate is 0: the memory halves at every step.
  const Tensor c0 = floats({1, 1, 1}, {8});
  const auto out = run_node("LSTM", {counting({3, 1, 2}), zeros({1, 4, 2}), zeros({1, 4, 1}), {}, {}, {}, c0},
                            {{"hidden_size", int64_t{1}}}, false, false, "", 3);
  float c = 8;
  for (size_t step = 0; step < 3; ++step) {
    c /= 2;
    EXPECT_FLOAT_EQ(list<float>(out[0])[step], 0.5f * std::tanh(c));
  }
  EXPECT_FLOAT_EQ(list<float>(out[1])[0], 0.5f * std::tanh(1.0f));
  EXPECT_EQ(list<float>(out[2])[0], 1.0f);
}

TEST(Gru, WithoutWeightsTheStateHalves) {
  for (const int64_t after : {0, 1})
    EXPECT_EQ(list<float>(run_node(
                  "GRU", {counting({3, 1, 2}), zeros({1, 3, 2}), zeros({1, 3, 1}), {}, {}, floats({1, 1, 1}, {8})},
                  {{"hidden_size", int64_t{1}}, {"linear_before_reset", after}})[0]),
              (std::vector<float>{4, 2, 1}));
}

TEST(Rnn, AnAffineCellIsARecurrence) {
  // h = 2 h + x + 1 with the activation Affine(1, 0).
  const auto y = run_node(
      "RNN", {floats({4, 1, 1}, {1, 0, 2, 5}), floats({1, 1, 1}, {1}), floats({1, 1, 1}, {2}), floats({1, 2}, {1, 0})},
      {{"activations", std::vector<std::string>{"Affine"}}});
  EXPECT_EQ(list<float>(y[0]), (std::vector<float>{2, 5, 13, 32}));
}

struct Kind {
  const char* op;
  int64_t gates;
};
class Recurrent : public testing::TestWithParam<Kind> {
 protected:
  std::vector<Tensor> run(const Tensor& x, const std::string& direction, int64_t directions, const Tensor& lengths = {},
                          int threads = 2) {
    const int64_t g = GetParam().gates, hidden = 5;
    return run_node(GetParam().op,
                    {x, random("w", {directions, g * hidden, 3}), random("r", {directions, g * hidden, hidden}),
                     random("b", {directions, 2 * g * hidden}), lengths},
                    {{"direction", direction}}, false, false, "", 2, threads);
  }
};

TEST_P(Recurrent, BackwardsIsForwardsOnReversedSteps) {
  const Tensor x = random("x", {7, 1, 3});
  Tensor reversed(DType::f32, x.shape());
  for (size_t s = 0; s < 7; ++s)
    for (size_t k = 0; k < 3; ++k) reversed.mutable_values<float>()[s * 3 + k] = x.values<float>()[(6 - s) * 3 + k];
  const auto forward = list<float>(run(reversed, "forward", 1)[0]), backward = list<float>(run(x, "reverse", 1)[0]);
  for (size_t s = 0; s < 7; ++s)
    for (size_t k = 0; k < 5; ++k) EXPECT_EQ(forward[s * 5 + k], backward[(6 - s) * 5 + k]);
}

TEST_P(Recurrent, PastItsEndASequenceIsZeroAndKeepsItsState) {
  const Tensor x = random("x", {6, 2, 3});
  const Tensor lengths = Tensor::of<int32_t>({2}, std::vector<int32_t>{4, 6});
  const auto part = run(x, "bidirectional", 2, lengths);
  // The first sequence alone, cut at its end.
  Tensor cut(DType::f32, {4, 1, 3});
  for (size_t s = 0; s < 4; ++s)
    for (size_t k = 0; k < 3; ++k) cut.mutable_values<float>()[s * 3 + k] = x.values<float>()[s * 6 + k];
  const auto alone = run(cut, "bidirectional", 2);
  const auto y = part[0].values<float>(), z = alone[0].values<float>();  // [steps, 2, batch, 5]
  for (size_t s = 0; s < 6; ++s)
    for (size_t d = 0; d < 2; ++d)
      for (size_t k = 0; k < 5; ++k)
        EXPECT_NEAR(y[((s * 2 + d) * 2 + 0) * 5 + k], s < 4 ? z[(s * 2 + d) * 5 + k] : 0.0f, 1e-6) << s;
  for (size_t d = 0; d < 2; ++d)
    for (size_t k = 0; k < 5; ++k)
      EXPECT_NEAR(part[1].values<float>()[d * 10 + k], alone[1].values<float>()[d * 5 + k], 1e-6);
}

TEST_P(Recurrent, ThreadsDoNotChangeABit) {
  const Tensor x = random("x", {40, 9, 3});
  EXPECT_EQ(list<float>(run(x, "bidirectional", 2, {}, 1)[0]), list<float>(run(x, "bidirectional", 2, {}, 3)[0]));
}

TEST_P(Recurrent, RefusesInputsThatDoNotFit) {
  const int64_t g = GetParam().gates;
  const auto refuse = [&](const char* says, std::vector<Tensor> inputs,
                          std::map<std::string, graph::Attribute> attributes = {},
                          ErrorKind kind = ErrorKind::kMalformed) {
    test::expect_refusal(kind, says, [&] { run_node(GetParam().op, inputs, attributes); });
  };
  const Tensor x = counting({2, 1, 3}), w = zeros({1, g * 5, 3}), r = zeros({1, g * 5, 5});
  refuse("the input size", {x, zeros({1, g * 5, 4}), r});
  refuse("the hidden size", {x, w, zeros({1, g * 5, 6})});
  refuse("does not fit its gates", {x, w, zeros({1, g * 5, 5}), zeros({1, 2 * g * 5 + 1})});
  refuse("1 directions were expected", {x, zeros({2, g * 5, 3}), r});
  refuse("3 dimensions were expected", {counting({2, 3}), w, r});
  refuse("direction is \"sideways\"", {x, w, r}, {{"direction", std::string("sideways")}});
  refuse("of 2 steps", {x, w, r, {}, Tensor::of<int32_t>({1}, std::vector<int32_t>{3})});
  refuse("of 2 steps", {x, w, r, {}, Tensor::of<int32_t>({1}, std::vector<int32_t>{-1})});
  refuse("32-bit integers", {x, w, r, {}, test::integers({1})});
  refuse("the batch", {x, w, r, {}, {}, zeros({1, 2, 5})});
  refuse("hidden_size is 0", {x, w, r}, {{"hidden_size", int64_t{0}}});
  refuse("activations must be", {x, w, r}, {{"activations", std::vector<std::string>{}}});
  refuse("different element types", {x, Tensor(DType::f64, {1, g * 5, 3}), r});
  refuse("only 32-bit floats",
         {Tensor(DType::f64, {2, 1, 3}), Tensor(DType::f64, {1, g * 5, 3}), Tensor(DType::f64, {1, g * 5, 5})}, {},
         ErrorKind::kUnsupported);
  const std::vector<std::string> unknown(g == 4 ? 3 : g == 3 ? 2 : 1, "Step");
  refuse("\"Step\" is not supported", {x, w, r}, {{"activations", unknown}}, ErrorKind::kUnsupported);
}

INSTANTIATE_TEST_SUITE_P(Cells, Recurrent, testing::Values(Kind{"RNN", 1}, Kind{"GRU", 3}, Kind{"LSTM", 4}),
                         [](const auto& test_case) { return std::string(test_case.param.op); });

}  // namespace
}  // namespace nibble
