#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "codec/format.h"

namespace nibble::codec {
namespace {

std::vector<uint8_t> bytes(const Tensor& t) {
  const auto v = t.values<uint8_t>();
  return {v.begin(), v.end()};
}

TEST(Pack, TheFirstElementTakesTheLowHalf) {
  const std::vector<int8_t> codes = {1, 2, 15};
  EXPECT_EQ(bytes(pack(DType::uint4, {3}, codes)), (std::vector<uint8_t>{0x21, 0x0F}));
}

TEST(Pack, SignedCodesAreTwosComplement) {
  const std::vector<int8_t> codes = {-8, 7, -1};
  const Tensor t = pack(DType::int4, {3}, codes);
  EXPECT_EQ(bytes(t), (std::vector<uint8_t>{0x78, 0x0F})) << "the last half is filled with zero bits";
  EXPECT_EQ(unpack(t), codes);
}

TEST(Pack, TwoBitCodesFillFromTheLowestBits) {
  const std::vector<int8_t> codes = {-2, 1, 0, -1, 1};
  const Tensor t = pack(DType::int2, {5}, codes);
  EXPECT_EQ(bytes(t), (std::vector<uint8_t>{0b11'00'01'10, 0b01}));
  EXPECT_EQ(unpack(t), codes);
}

TEST(Pack, EightBitCodesAreTheirBytes) {
  const std::vector<int8_t> codes = {-128, -1, 0, 127};
  EXPECT_EQ(bytes(pack(DType::i8, {4}, codes)), (std::vector<uint8_t>{128, 255, 0, 127}));
  EXPECT_EQ(bytes(pack(DType::u8, {2, 2}, codes)), (std::vector<uint8_t>{128, 255, 0, 127}));
  EXPECT_EQ(unpack(pack(DType::u8, {4}, codes)), codes);
}

TEST(Pack, EveryCodeSurvivesAtEverySizeAndPosition) {
  for (const DType dtype :
       {DType::int4, DType::uint4, DType::f4e2m1, DType::int2, DType::uint2, DType::i8, DType::u8}) {
    const int bits = tensor::bits_of(dtype), count = 1 << bits;
    const bool has_sign = dtype == DType::int4 || dtype == DType::int2 || bits == 8;
    for (int size = 0; size < 40; ++size) {
      std::vector<int8_t> codes(static_cast<size_t>(size));
      for (int i = 0; i < size; ++i)
        codes[static_cast<size_t>(i)] = static_cast<int8_t>((i * 7 + size) % count - (has_sign ? count / 2 : 0));
      const Tensor t = pack(dtype, {size}, codes);
      ASSERT_EQ(static_cast<int64_t>(t.bytes().size()), tensor::packed_bytes(dtype, size));
      ASSERT_EQ(unpack(t), codes) << tensor::name_of(dtype) << " x " << size;
    }
  }
}

TEST(Pack, RefusesAnotherNumberOfCodes) {
  const std::vector<int8_t> codes = {1, 2, 3};
  EXPECT_THROW(pack(DType::uint4, {4}, codes), base::Error);
  EXPECT_THROW(pack(DType::f32, {3}, codes), base::Error);
}

}  // namespace
}  // namespace nibble::codec
