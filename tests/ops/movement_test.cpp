// Slice, Pad, Reshape, Concat, Gather, Transpose at their corners, against values worked out by hand.
#include <gtest/gtest.h>

#include "codec/format.h"
#include "ops/one_node.h"

namespace nibble {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using test::counting;
using test::floats;
using test::integers;
using test::Ints;
using test::list;
using test::run_node;

std::vector<float> slice(const Tensor& x, std::vector<Tensor> lists) {
  lists.insert(lists.begin(), x);
  const auto plain = run_node("Slice", lists)[0], fixed = run_node("Slice", lists, {}, true, true)[0];
  EXPECT_EQ(list<float>(plain), list<float>(fixed));
  return list<float>(plain);
}

TEST(Slice, PositionsCountFromTheEndAndClamp) {
  const Tensor x = counting({6});
  EXPECT_EQ(slice(x, {integers({-2}), integers({100})}), (std::vector<float>{4, 5}));
  EXPECT_EQ(slice(x, {integers({-100}), integers({2})}), (std::vector<float>{0, 1}));
  EXPECT_EQ(slice(x, {integers({INT64_MIN}), integers({INT64_MAX})}), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(slice(x, {integers({4}), integers({2})}), std::vector<float>{});
  EXPECT_EQ(slice(x, {integers({6}), integers({9})}), std::vector<float>{});
}

TEST(Slice, StepsGoBothWays) {
  const Tensor x = counting({6});
  const Tensor axis = integers({0});
  EXPECT_EQ(slice(x, {integers({0}), integers({6}), axis, integers({4})}), (std::vector<float>{0, 4}));
  EXPECT_EQ(slice(x, {integers({5}), integers({-7}), axis, integers({-1})}), (std::vector<float>{5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(slice(x, {integers({-1}), integers({INT64_MIN}), axis, integers({-2})}), (std::vector<float>{5, 3, 1}));
  EXPECT_EQ(slice(x, {integers({100}), integers({0}), axis, integers({-3})}), (std::vector<float>{5, 2}));
  EXPECT_EQ(slice(x, {integers({1}), integers({6}), axis, integers({INT64_MAX})}), std::vector<float>{1});
  EXPECT_EQ(slice(x, {integers({1}), integers({INT64_MIN}), axis, integers({-INT64_MAX})}), std::vector<float>{1});
}

TEST(Slice, NamedAxesOfAMatrix) {
  const Tensor x = counting({3, 4});  // 0 1 2 3 / 4 5 6 7 / 8 9 10 11
  EXPECT_EQ(slice(x, {integers({1, 0}), integers({3, 2}), integers({-1, 0})}), (std::vector<float>{1, 2, 5, 6}));
  EXPECT_EQ(slice(x, {integers({3}), integers({-5}), integers({1}), integers({-3})}),
            (std::vector<float>{3, 0, 7, 4, 11, 8}));
  const Tensor small = Tensor::of<int32_t>({1}, std::vector<int32_t>{1});
  EXPECT_EQ(slice(x, {small, Tensor::of<int32_t>({1}, std::vector<int32_t>{2})}), (std::vector<float>{4, 5, 6, 7}));
}

std::vector<float> pad(const Tensor& x, const std::vector<int64_t>& pads, const std::string& mode,
                       const Tensor& value = {}) {
  const std::map<std::string, graph::Attribute> attributes{{"mode", mode}};
  return list<float>(run_node("Pad", {x, integers(pads), value}, attributes)[0]);
}

TEST(Pad, EveryModeAndNegativePads) {
  const Tensor x = floats({3}, {1, 2, 3});
  EXPECT_EQ(pad(x, {2, 1}, "constant"), (std::vector<float>{0, 0, 1, 2, 3, 0}));
  EXPECT_EQ(pad(x, {1, 1}, "constant", floats({}, {7})), (std::vector<float>{7, 1, 2, 3, 7}));
  EXPECT_EQ(pad(x, {2, 2}, "edge"), (std::vector<float>{1, 1, 1, 2, 3, 3, 3}));
  EXPECT_EQ(pad(x, {2, 2}, "reflect"), (std::vector<float>{3, 2, 1, 2, 3, 2, 1}));
  EXPECT_EQ(pad(x, {5, 0}, "reflect"), (std::vector<float>{2, 1, 2, 3, 2, 1, 2, 3}));  // more than once around
  EXPECT_EQ(pad(x, {2, 4}, "wrap"), (std::vector<float>{2, 3, 1, 2, 3, 1, 2, 3, 1}));
  EXPECT_EQ(pad(x, {-1, 2}, "constant"), (std::vector<float>{2, 3, 0, 0}));
  EXPECT_EQ(pad(x, {-2, -1}, "edge"), std::vector<float>{});
  EXPECT_EQ(pad(x, {-3, 1}, "constant"), std::vector<float>{0});
  EXPECT_EQ(pad(floats({1}, {5}), {2, 1}, "reflect"), (std::vector<float>{5, 5, 5, 5}));
}

TEST(Pad, NamedAxesOfAMatrix) {
  const Tensor x = counting({2, 2});
  const auto y = run_node("Pad", {x, integers({1, -1}), floats({}, {9}), integers({-1})})[0];
  EXPECT_EQ(y.shape(), (Shape{2, 2}));
  EXPECT_EQ(list<float>(y), (std::vector<float>{9, 0, 9, 2}));
}

TEST(Reshape, KeepsInfersAndAllowsZero) {
  const Tensor x = counting({2, 3, 4});
  const auto shape = [&](const Tensor& t, const std::vector<int64_t>& wanted, int64_t allow_zero = 0) {
    return run_node("Reshape", {t, integers(wanted)}, {{"allowzero", allow_zero}})[0].shape();
  };
  EXPECT_EQ(shape(x, {0, -1}), (Shape{2, 12}));
  EXPECT_EQ(shape(x, {-1}), (Shape{24}));
  EXPECT_EQ(shape(x, {4, 0, -1}), (Shape{4, 3, 2}));
  EXPECT_EQ(shape(counting({1}), {}), Shape{});
  EXPECT_EQ(shape(Tensor(DType::f32, {0, 3}), {3, 0}, 1), (Shape{3, 0}));
  EXPECT_EQ(shape(Tensor(DType::f32, {0, 3}), {0, 7}), (Shape{0, 7}));
}

TEST(Concat, EmptyPartsAndNegativeAxes) {
  const auto y =
      run_node("Concat", {counting({2, 1}), Tensor(DType::f32, {2, 0}), counting({2, 2})}, {{"axis", int64_t{-1}}})[0];
  EXPECT_EQ(y.shape(), (Shape{2, 3}));
  EXPECT_EQ(list<float>(y), (std::vector<float>{0, 0, 1, 1, 2, 3}));
}

TEST(Gather, NegativeIndicesAndScalars) {
  const Tensor x = counting({3, 2});
  EXPECT_EQ(list<float>(run_node("Gather", {x, integers({-1, 0})})[0]), (std::vector<float>{4, 5, 0, 1}));
  const auto column = run_node("Gather", {x, Tensor::scalar<int64_t>(1)}, {{"axis", int64_t{-1}}})[0];
  EXPECT_EQ(column.shape(), Shape{3});
  EXPECT_EQ(list<float>(column), (std::vector<float>{1, 3, 5}));
  EXPECT_EQ(run_node("Gather", {Tensor(DType::f32, {0, 2}), Tensor(DType::i64, {0})})[0].shape(), (Shape{0, 2}));
}

TEST(Transpose, PackedElementsMoveOneByOne) {
  const std::vector<int8_t> codes{-8, -1, 7, 3, 0, 5};
  const Tensor x = codec::pack(DType::int4, {2, 3}, codes);
  const Tensor y = run_node("Transpose", {x})[0];
  EXPECT_EQ(y.shape(), (Shape{3, 2}));
  EXPECT_EQ(codec::unpack(y), (std::vector<int8_t>{-8, 3, -1, 0, 7, 5}));
}

TEST(Transpose, ScalarsAndEmptyTensors) {
  EXPECT_EQ(list<float>(run_node("Transpose", {floats({}, {4})})[0]), std::vector<float>{4});
  EXPECT_EQ(run_node("Transpose", {Tensor(DType::f32, {0, 3})}, {{"perm", Ints{1, 0}}})[0].shape(), (Shape{3, 0}));
}

TEST(Arithmetic, IntegersWrapAndNeverTrap) {
  const Tensor low = integers({INT64_MIN}), minus = integers({-1});
  EXPECT_EQ(list<int64_t>(run_node("Div", {low, minus})[0]), std::vector<int64_t>{INT64_MIN});
  EXPECT_EQ(list<int64_t>(run_node("Neg", {low})[0]), std::vector<int64_t>{INT64_MIN});
  EXPECT_EQ(list<int64_t>(run_node("Abs", {low})[0]), std::vector<int64_t>{INT64_MIN});
  EXPECT_EQ(list<int64_t>(run_node("Add", {low, minus})[0]), std::vector<int64_t>{INT64_MAX});
  EXPECT_EQ(list<int64_t>(run_node("Mul", {low, minus})[0]), std::vector<int64_t>{INT64_MIN});
  EXPECT_EQ(list<int64_t>(run_node("Div", {integers({-7, 7, -7}), integers({2, -2, -2})})[0]),
            (std::vector<int64_t>{-3, -3, 3}));
  const Tensor bytes = Tensor::of<int8_t>({2}, std::vector<int8_t>{-128, 127});
  EXPECT_EQ(list<int8_t>(run_node("Neg", {bytes})[0]), (std::vector<int8_t>{-128, -127}));
  EXPECT_EQ(list<int8_t>(run_node("Abs", {bytes})[0]), (std::vector<int8_t>{-128, 127}));
}

}  // namespace
}  // namespace nibble
