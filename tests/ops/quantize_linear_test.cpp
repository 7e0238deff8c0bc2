// QuantizeLinear and DequantizeLinear: ties, saturation, NaN, granularities. Expected codes are those of
// saturate(round_half_even(x / scale) + zero), worked out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "codec/format.h"
#include "ops/one_node.h"

namespace nibble {
namespace {

using tensor::DType;
using tensor::Tensor;
using test::floats;
using test::list;
using test::run_node;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(QuantizeLinear, TiesGoToEvenBeforeTheZeroPointIsAdded) {
  const Tensor x = floats({8}, {-1.5f, -0.5f, 0.5f, 1.5f, 2.5f, 0.5000001f, 2.4999998f, -2.5f});
  const Tensor one = floats({}, {1});
  EXPECT_EQ(list<uint8_t>(run_node("QuantizeLinear", {x, one, Tensor::scalar<uint8_t>(11)})[0]),
            (std::vector<uint8_t>{9, 11, 11, 13, 13, 12, 13, 9}));
  EXPECT_EQ(list<int8_t>(run_node("QuantizeLinear", {x, one, Tensor::scalar<int8_t>(-3)})[0]),
            (std::vector<int8_t>{-5, -3, -3, -1, -1, -2, -1, -5}));
}

TEST(QuantizeLinear, TheQuotientIsDividedNotMultiplied) {
  // 0.3f / 0.1f rounds to 3.0000002 or 3; 0.15f / 0.1f is exactly below or at the tie: the division decides.
  const float scale = 0.1f;
  for (const float x : {0.05f, 0.15f, 0.25f, 0.35f, 0.45f, 0.55f, 0.65f, 0.75f}) {
    const auto want = static_cast<uint8_t>(std::nearbyint(x / scale));
    EXPECT_EQ(list<uint8_t>(run_node("QuantizeLinear", {floats({1}, {x}), floats({}, {scale})})[0])[0], want) << x;
  }
}

TEST(QuantizeLinear, SaturatesAndMapsNanToTheZeroPoint) {
  const Tensor x = floats({6}, {-kInfinity, -1e30f, kNan, 1e30f, kInfinity, 3e9f});
  const Tensor scale = floats({}, {0.5f});
  EXPECT_EQ(list<uint8_t>(run_node("QuantizeLinear", {x, scale, Tensor::scalar<uint8_t>(100)})[0]),
            (std::vector<uint8_t>{0, 0, 100, 255, 255, 255}));
  EXPECT_EQ(list<int8_t>(run_node("QuantizeLinear", {x, scale, Tensor::scalar<int8_t>(5)})[0]),
            (std::vector<int8_t>{-128, -128, 5, 127, 127, 127}));
  EXPECT_EQ(list<uint16_t>(run_node("QuantizeLinear", {x, scale, Tensor::scalar<uint16_t>(7)})[0]),
            (std::vector<uint16_t>{0, 0, 7, 65535, 65535, 65535}));
  const int8_t three = 3;
  const Tensor zero = codec::pack(DType::uint4, {}, {&three, 1});
  EXPECT_EQ(codec::unpack(run_node("QuantizeLinear", {x, scale, zero})[0]), (std::vector<int8_t>{0, 0, 3, 15, 15, 15}));
}

TEST(QuantizeLinear, OddCountsOfFourBitCodesEndInZeroBits) {
  const Tensor y =
      run_node("QuantizeLinear", {floats({3}, {1, 2, -8}), floats({}, {1})}, {{"output_dtype", int64_t{22}}})[0];
  ASSERT_EQ(y.dtype(), DType::int4);
  EXPECT_EQ(std::to_integer<int>(y.bytes()[0]), 0x21);
  EXPECT_EQ(std::to_integer<int>(y.bytes()[1]), 0x08);
}

TEST(QuantizeLinear, ScalesAlongAnAxisAndInBlocks) {
  const Tensor x = floats({2, 4}, {1, 2, 3, 4, 10, 20, 30, 40});
  EXPECT_EQ(list<uint8_t>(run_node("QuantizeLinear", {x, floats({2}, {1, 10})}, {{"axis", int64_t{0}}})[0]),
            (std::vector<uint8_t>{1, 2, 3, 4, 1, 2, 3, 4}));
  EXPECT_EQ(list<uint8_t>(run_node("QuantizeLinear", {x, floats({4}, {1, 2, 3, 4})}, {{"axis", int64_t{-1}}})[0]),
            (std::vector<uint8_t>{1, 1, 1, 1, 10, 10, 10, 10}));
  // Blocks of 3 along 4 places: the last block has one.
  const Tensor blocks = floats({2, 2}, {1, 2, 10, 20});
  EXPECT_EQ(
      list<uint8_t>(run_node("QuantizeLinear", {x, blocks}, {{"axis", int64_t{1}}, {"block_size", int64_t{3}}})[0]),
      (std::vector<uint8_t>{1, 2, 3, 2, 1, 2, 3, 2}));
}

TEST(DequantizeLinear, IsExactForEveryCodeOfEightBits) {
  std::vector<uint8_t> codes(256);
  for (size_t i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(i);
  const auto y = list<float>(run_node(
      "DequantizeLinear", {Tensor::of<uint8_t>({256}, codes), floats({}, {0.3f}), Tensor::scalar<uint8_t>(200)})[0]);
  for (int i = 0; i < 256; ++i) EXPECT_EQ(y[static_cast<size_t>(i)], static_cast<float>(i - 200) * 0.3f) << i;
}

TEST(DequantizeLinear, OfQuantizeIsTheIdentityOnLevels) {
  std::vector<float> levels;
  for (int q = -8; q <= 7; ++q) levels.push_back(static_cast<float>(q) * 0.7f);
  const Tensor x = floats({16}, levels), scale = floats({}, {0.7f});
  const Tensor codes = run_node("QuantizeLinear", {x, scale}, {{"output_dtype", int64_t{22}}})[0];
  EXPECT_EQ(list<float>(run_node("DequantizeLinear", {codes, scale})[0]), levels);
}

}  // namespace
}  // namespace nibble
