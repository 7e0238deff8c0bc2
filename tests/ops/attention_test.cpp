#include <cmath>

#include "ops/one_node.h"

namespace nibble::ops {
namespace {

using base::ErrorKind;
using test::expect_refusal;
using test::floats;
using test::list;
using test::run_node;

/// Queries of zeros see all keys alike, so that the output is the mean of the values that are seen.
const tensor::Tensor kQueries = floats({1, 1, 2, 1}, {0, 0}), kKeys = floats({1, 1, 2, 1}, {1, 2});
const tensor::Tensor kValues = floats({1, 1, 2, 1}, {10, 20});

TEST(Attention, MasksDecideWhatIsSeen) {
  EXPECT_EQ(list<float>(run_node("Attention", {kQueries, kKeys, kValues})[0]), (std::vector<float>{15, 15}));
  EXPECT_EQ(list<float>(run_node("Attention", {kQueries, kKeys, kValues}, {{"is_causal", int64_t{1}}})[0]),
            (std::vector<float>{10, 15}));
  tensor::Tensor truth(tensor::DType::boolean, {2, 2});
  truth.mutable_values<uint8_t>()[1] = 1;  // the first query sees the second key, the second nothing
  EXPECT_EQ(list<float>(run_node("Attention", {kQueries, kKeys, kValues, truth})[0]), (std::vector<float>{20, 0}));
  // A short mask hides the keys that it does not name.
  EXPECT_EQ(list<float>(run_node("Attention", {kQueries, kKeys, kValues, floats({2, 1}, {0, 0})})[0]),
            (std::vector<float>{10, 10}));
}

TEST(Attention, ScoresAreSoftmaxedProducts) {
  const auto y = run_node("Attention", {floats({1, 1, 1, 1}, {2}), kKeys, kValues}, {{"scale", 0.25f}})[0];
  const double a = std::exp(0.5), b = std::exp(1.0);
  EXPECT_NEAR(list<float>(y)[0], (10 * a + 20 * b) / (a + b), 1e-5);
}

TEST(Attention, ThePastComesFirstAndIsHandedOn) {
  const tensor::Tensor past = floats({1, 1, 1, 1}, {7});
  const auto y = run_node("Attention", {kQueries, kKeys, kValues, {}, past, past}, {{"is_causal", int64_t{1}}}, false,
                          false, "", 3);
  EXPECT_EQ(list<float>(y[0]), (std::vector<float>{8.5f, list<float>(y[0])[1]}));
  EXPECT_NEAR(list<float>(y[0])[1], (7 + 10 + 20) / 3.0, 1e-5);
  EXPECT_EQ(list<float>(y[1]), (std::vector<float>{7, 1, 2}));
  EXPECT_EQ(list<float>(y[2]), (std::vector<float>{7, 10, 20}));
}

TEST(Attention, NumbersOfKeysThatLieHideOrShowNothingElse) {
  for (const auto& [keys, expected] : {std::pair{INT64_MIN + 8, 0.0f}, std::pair{int64_t{0}, 0.0f},
                                       std::pair{int64_t{1}, 10.0f}, std::pair{INT64_MAX - 8, 15.0f}})
    EXPECT_EQ(list<float>(run_node("Attention", {kQueries, kKeys, kValues, {}, {}, {}, test::integers({keys})})[0])[0],
              expected);
}

TEST(Attention, ShapesThatDoNotFitAreRefused) {
  const auto refused = [](const std::string& says, const std::vector<tensor::Tensor>& inputs,
                          std::map<std::string, graph::Attribute> attributes = {}) {
    expect_refusal(ErrorKind::kMalformed, says, [&] { run_node("Attention", inputs, attributes); });
  };
  refused("do not fit", {kQueries, floats({1, 1, 3, 1}, {1, 2, 3}), kValues});
  refused("three or four dimensions", {kQueries, kKeys, floats({2, 1}, {1, 2})});
  refused("q_num_heads", {floats({1, 2, 1}, {0, 0}), floats({1, 2, 1}, {0, 0}), floats({1, 2, 1}, {0, 0})});
  refused("cannot share",
          {floats({1, 3, 1, 1}, {0, 0, 0}), floats({1, 2, 1, 1}, {0, 0}), floats({1, 2, 1, 1}, {0, 0})});
  refused("its mask", {kQueries, kKeys, kValues, floats({3, 2}, {0, 0, 0, 0, 0, 0})});
  refused("its mask", {kQueries, kKeys, kValues, floats({2, 3}, {0, 0, 0, 0, 0, 0})});
  refused("past", {kQueries, kKeys, kValues, {}, floats({1, 1, 1, 1}, {7})});
  refused("left_window_size", {kQueries, kKeys, kValues}, {{"left_window_size", int64_t{-2}}});
  refused("qk_matmul_output_mode", {kQueries, kKeys, kValues}, {{"qk_matmul_output_mode", int64_t{4}}});
  refused("softmax_precision", {kQueries, kKeys, kValues}, {{"softmax_precision", int64_t{7}}});
}

}  // namespace
}  // namespace nibble::ops
