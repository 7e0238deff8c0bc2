#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/error.h"
#include "tensor/matrix_view.h"
#include "tensor/quantization.h"

namespace nibble::tensor {
namespace {

TEST(Shape, ElementCountOfAScalarIsOneAndOfAnUnknownUnknown) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 3, 0}), 0);
  EXPECT_EQ(element_count({2, kUnknown}), kUnknown);
  EXPECT_TRUE(is_known({2, 3}));
  EXPECT_FALSE(is_known({2, kUnknown}));
  EXPECT_EQ(to_string(Shape{64, kUnknown, 3}), "[64,?,3]");
  EXPECT_EQ(to_string(Shape{}), "[]");
}

TEST(DType, PackedBytesRoundUp) {
  EXPECT_EQ(packed_bytes(DType::f32, 3), 12);
  EXPECT_EQ(packed_bytes(DType::int4, 0), 0);
  EXPECT_EQ(packed_bytes(DType::int4, 1), 1);
  EXPECT_EQ(packed_bytes(DType::uint4, 3), 2);
  EXPECT_EQ(packed_bytes(DType::int2, 5), 2);
  EXPECT_EQ(name_of(DType::f8e4m3), "f8e4m3");
  EXPECT_EQ(bits_of(DType::f4e2m1), 4);
  EXPECT_TRUE(is_packed(DType::int4));
  EXPECT_FALSE(is_packed(DType::i8));
}

TEST(Tensor, StartsAsZerosAligned) {
  const Tensor t(DType::f32, {3, 5});
  EXPECT_EQ(t.elements(), 15);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(t.bytes().data()) % 64, 0u);
  for (const float v : t.values<float>()) EXPECT_EQ(v, 0.0f);
}

TEST(Tensor, AbsentAndEmptyDiffer) {
  EXPECT_FALSE(Tensor());
  const Tensor empty(DType::f32, {0, 4});
  EXPECT_TRUE(empty);
  EXPECT_EQ(empty.elements(), 0);
  EXPECT_TRUE(empty.values<float>().empty());
}

TEST(Tensor, CopiesShareTheirBuffer) {
  Tensor t = Tensor::of<float>({2}, std::array<float, 2>{1, 2});
  const Tensor copy = t.reshaped({1, 2});
  t.mutable_values<float>()[0] = 9;
  EXPECT_EQ(copy.values<float>()[0], 9.0f);
  EXPECT_EQ(copy.shape(), (Shape{1, 2}));
  EXPECT_THROW(t.reshaped({3}), base::Error);
}

TEST(Tensor, TypedAccessChecksTheType) {
  const Tensor f(DType::f32, {2}), half(DType::f16, {2}), codes(DType::uint4, {3});
  EXPECT_THROW(f.values<int32_t>(), base::Error);
  EXPECT_THROW(f.values<uint8_t>(), base::Error);
  EXPECT_EQ(half.values<uint16_t>().size(), 2u);
  EXPECT_THROW(half.values<float>(), base::Error);
  EXPECT_EQ(codes.values<uint8_t>().size(), 2u);
  EXPECT_THROW(codes.values<int8_t>(), base::Error);
}

TEST(Tensor, ViewsBytesAndKeepsTheirOwnerAlive) {
  auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3});
  const base::Bytes bytes = std::as_bytes(std::span<const float>(*owner));
  std::weak_ptr<std::vector<float>> watch = owner;
  {
    const Tensor t(DType::f32, {3}, bytes, owner);
    owner.reset();
    EXPECT_FALSE(watch.expired());
    EXPECT_EQ(t.bytes().data(), bytes.data());
    EXPECT_EQ(t.values<float>()[2], 3.0f);
  }
  EXPECT_TRUE(watch.expired());
}

TEST(Tensor, CopiesBytesThatAreNotAlignedForTheirType) {
  auto owner = std::make_shared<std::vector<std::byte>>(64);
  const Tensor t(DType::f32, {2}, base::Bytes(*owner).subspan(1, 8), owner);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(t.bytes().data()) % 4, 0u);
}

TEST(Tensor, RefusesBytesOfTheWrongLength) {
  auto owner = std::make_shared<std::vector<std::byte>>(64);
  EXPECT_THROW(Tensor(DType::f32, {2}, base::Bytes(*owner).subspan(0, 7), owner), base::Error);
  EXPECT_THROW(Tensor(DType::f32, {kUnknown}), base::Error);
}

TEST(MatrixView, ReadsTransposedStorage) {
  const std::array<float, 6> data = {0, 1, 2, 3, 4, 5};
  const MatrixView rows{data.data(), 2, 3, 3, 1}, transposed{data.data(), 3, 2, 1, 3};
  EXPECT_EQ(rows(1, 2), 5.0f);
  EXPECT_EQ(transposed(2, 1), 5.0f);
}

}  // namespace
}  // namespace nibble::tensor
