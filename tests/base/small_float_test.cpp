#include "base/small_float.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace nibble::base {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Sign, exponent and mantissa by the textbook formula, in double: exact for all small formats.
double by_formula(uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double mantissa = bits & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>((bits >> mantissa_bits) & ((1u << exponent_bits) - 1));
  const double sign = (bits >> (exponent_bits + mantissa_bits)) & 1 ? -1.0 : 1.0;
  const double scale = std::pow(2.0, -mantissa_bits);
  return exponent == 0 ? sign * mantissa * scale * std::pow(2.0, 1 - bias)
                       : sign * (1.0 + mantissa * scale) * std::pow(2.0, exponent - bias);
}

TEST(F16, AllCodesDecodeAsTheFormulaSays) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = f16_to_f32(static_cast<uint16_t>(bits));
    if ((bits & 0x7FFF) > 0x7C00) {
      ASSERT_TRUE(std::isnan(value)) << bits;
    } else if ((bits & 0x7FFF) == 0x7C00) {
      ASSERT_EQ(value, bits & 0x8000 ? -kInf : kInf);
    } else {
      ASSERT_EQ(value, by_formula(bits, 5, 10)) << bits;
      ASSERT_EQ(std::signbit(value), (bits & 0x8000) != 0);
    }
  }
}

TEST(F16, AllCodesSurviveTheRoundTrip) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    if ((bits & 0x7FFF) > 0x7C00) {
      ASSERT_EQ(f32_to_f16(f16_to_f32(static_cast<uint16_t>(bits))) & 0x7C00, 0x7C00);
    } else {
      ASSERT_EQ(f32_to_f16(f16_to_f32(static_cast<uint16_t>(bits))), bits);
    }
  }
}

/// Rounding is monotone, so the midpoints and their float neighbours say all: `encode` is nearest with ties to even.
template <typename Decode, typename Encode>
void expect_nearest_even(uint32_t largest, Decode decode, Encode encode) {
  for (uint32_t bits = 0; bits < largest; ++bits) {
    const float low = decode(bits), high = decode(bits + 1);
    const float middle = static_cast<float>((double{low} + double{high}) / 2);
    ASSERT_EQ(double{middle}, (double{low} + double{high}) / 2) << "the midpoint must be exact for this test";
    ASSERT_EQ(encode(middle), bits % 2 == 0 ? bits : bits + 1) << middle;
    ASSERT_EQ(encode(std::nextafter(middle, 0.0f)), bits) << middle;
    ASSERT_EQ(encode(std::nextafter(middle, kInf)), bits + 1) << middle;
  }
}

TEST(F16, RoundsToNearestEven) {
  expect_nearest_even(
      0x7BFF, [](uint32_t b) { return f16_to_f32(static_cast<uint16_t>(b)); },
      [](float x) { return uint32_t{f32_to_f16(x)}; });
  EXPECT_EQ(f32_to_f16(-1.0009765625f), 0xBC01);
}

TEST(F16, OverflowsToInfinityFrom65520) {
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7C00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xFC00);
  EXPECT_EQ(f32_to_f16(kInf), 0x7C00);
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(kNan))));
  EXPECT_EQ(f32_to_f16(-0.0f), 0x8000);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(Bf16, RoundsToNearestEvenAndKeepsNan) {
  expect_nearest_even(
      0x7F7F, [](uint32_t b) { return bf16_to_f32(static_cast<uint16_t>(b)); },
      [](float x) { return uint32_t{f32_to_bf16(x)}; });
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(kNan))));
  const float payload_below = std::bit_cast<float>(0x7F800001u);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(payload_below))))
      << "a NaN whose payload is cut off must not become inf";
  EXPECT_EQ(f32_to_bf16(kInf), 0x7F80);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7F80);
}

TEST(E4m3, AllCodesDecodeAndSurviveTheRoundTrip) {
  for (uint32_t bits = 0; bits < 256; ++bits) {
    const float value = e4m3_to_f32(static_cast<uint8_t>(bits));
    if ((bits & 0x7F) == 0x7F) {
      EXPECT_TRUE(std::isnan(value));
      continue;
    }
    EXPECT_EQ(value, by_formula(bits, 4, 3)) << bits;
    EXPECT_EQ(f32_to_e4m3(value), bits);
  }
  EXPECT_EQ(e4m3_to_f32(0x7E), 448.0f);
  EXPECT_EQ(e4m3_to_f32(0x01), 0x1p-9f);
}

TEST(E4m3, RoundsToNearestEvenAndSaturates) {
  expect_nearest_even(
      0x7E, [](uint32_t b) { return e4m3_to_f32(static_cast<uint8_t>(b)); },
      [](float x) { return uint32_t{f32_to_e4m3(x)}; });
  EXPECT_EQ(f32_to_e4m3(449.0f), 0x7E);
  EXPECT_EQ(f32_to_e4m3(1e30f), 0x7E);
  EXPECT_EQ(f32_to_e4m3(-kInf), 0xFE);
  EXPECT_EQ(f32_to_e4m3(kNan), 0x7F);
}

TEST(E5m2, AllCodesDecodeAndSurviveTheRoundTrip) {
  for (uint32_t bits = 0; bits < 256; ++bits) {
    const float value = e5m2_to_f32(static_cast<uint8_t>(bits));
    if ((bits & 0x7F) > 0x7C) {
      EXPECT_TRUE(std::isnan(value));
      continue;
    }
    if ((bits & 0x7F) == 0x7C) {
      EXPECT_EQ(value, bits & 0x80 ? -kInf : kInf);
    } else {
      EXPECT_EQ(value, by_formula(bits, 5, 2)) << bits;
    }
    EXPECT_EQ(f32_to_e5m2(value), bits);
  }
}

TEST(E5m2, RoundsToNearestEvenAndSaturatesWhatIsFinite) {
  expect_nearest_even(
      0x7B, [](uint32_t b) { return e5m2_to_f32(static_cast<uint8_t>(b)); },
      [](float x) { return uint32_t{f32_to_e5m2(x)}; });
  EXPECT_EQ(f32_to_e5m2(1e30f), 0x7B);
  EXPECT_EQ(f32_to_e5m2(kInf), 0x7C);
  EXPECT_TRUE(std::isnan(e5m2_to_f32(f32_to_e5m2(kNan))));
}

TEST(E8m0, IsAPowerOfTwo) {
  for (int bits = 0; bits < 255; ++bits) {
    const float value = e8m0_to_f32(static_cast<uint8_t>(bits));
    EXPECT_EQ(value, std::pow(2.0, bits - 127));
    EXPECT_EQ(f32_to_e8m0(value), bits);
    EXPECT_EQ(f32_to_e8m0(value * 1.5f), bits) << "an exact middle goes down";
    if (bits > 0 && bits < 254) {
      EXPECT_EQ(f32_to_e8m0(value * 1.50001f), bits + 1);
    }
  }
  EXPECT_TRUE(std::isnan(e8m0_to_f32(255)));
  EXPECT_EQ(f32_to_e8m0(0.0f), 0);
  EXPECT_EQ(f32_to_e8m0(-3.0f), 0);
  EXPECT_EQ(f32_to_e8m0(kInf), 254);
  EXPECT_EQ(f32_to_e8m0(kNan), 255);
}

}  // namespace
}  // namespace nibble::base
