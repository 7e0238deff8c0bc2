#include <cmath>

#include "ops/one_node.h"

namespace nibble::ops {
namespace {

using base::ErrorKind;
using test::expect_refusal;
using test::floats;
using test::list;
using test::run_node;

TEST(RotaryEmbedding, AQuarterTurnSwapsPairsAndLeavesTheRest) {
  // Position 1 turns by 90 degrees, position 0 not at all; the last element of the head is not turned.
  const tensor::Tensor cosines = floats({2, 1}, {1, 0}), sines = floats({2, 1}, {0, 1});
  const tensor::Tensor x = floats({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const tensor::Tensor positions = tensor::Tensor::of<int64_t>({1, 2}, std::vector<int64_t>{1, 0});
  const auto y = run_node("RotaryEmbedding", {x, cosines, sines, positions}, {{"rotary_embedding_dim", int64_t{2}}})[0];
  EXPECT_EQ(list<float>(y), (std::vector<float>{-2, 1, 3, 4, 5, 6}));
}

TEST(RotaryEmbedding, PositionsOutsideOfTheTableAndOddSizesAreRefused) {
  const tensor::Tensor table = floats({2, 1}, {1, 0}), x = floats({1, 1, 1, 2}, {1, 2});
  for (const int64_t p : {int64_t{-1}, int64_t{2}, INT64_MAX})
    expect_refusal(ErrorKind::kMalformed, "outside of the table", [&] {
      run_node("RotaryEmbedding", {x, table, table, tensor::Tensor::of<int64_t>({1, 1}, std::vector<int64_t>{p})});
    });
  const tensor::Tensor at = tensor::Tensor::of<int64_t>({1, 1}, std::vector<int64_t>{0});
  expect_refusal(ErrorKind::kMalformed, "cannot turn", [&] {
    run_node("RotaryEmbedding", {floats({1, 1, 1, 3}, {1, 2, 3}), table, table, at});
  });
  expect_refusal(ErrorKind::kMalformed, "cannot turn", [&] {
    run_node("RotaryEmbedding", {x, table, table, at}, {{"rotary_embedding_dim", int64_t{4}}});
  });
  expect_refusal(ErrorKind::kMalformed, "num_heads", [&] {
    run_node("RotaryEmbedding", {floats({1, 1, 2}, {1, 2}), table, table, at});
  });
  expect_refusal(ErrorKind::kMalformed, "does not fit", [&] {
    run_node("RotaryEmbedding", {x, floats({2, 2}, {1, 0, 0, 1}), table, at});
  });
}

}  // namespace
}  // namespace nibble::ops
