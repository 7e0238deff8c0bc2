#include "codec/format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/small_float.h"

namespace nibble::codec {
namespace {

const NumberFormat& format(std::string_view name) {
  const NumberFormat* f = find_format(name);
  NIBBLE_INVARIANT(f != nullptr);
  return *f;
}

TEST(Formats, AreFoundByTheirNamesOnly) {
  ASSERT_EQ(all_formats().size(), 8u);
  for (const NumberFormat* f : all_formats()) {
    EXPECT_EQ(find_format(f->name), f);
    EXPECT_FALSE(f->summary.empty());
  }
  EXPECT_EQ(find_format("int5"), nullptr);
  EXPECT_EQ(find_format(""), nullptr);
}

/// Facts that hold for every row of formats.def.
class EveryFormat : public ::testing::TestWithParam<const NumberFormat*> {};
INSTANTIATE_TEST_SUITE_P(Table, EveryFormat, ::testing::ValuesIn(all_formats().begin(), all_formats().end()),
                         [](const auto& row) { return std::string(row.param->name); });

TEST_P(EveryFormat, HasAsManyLevelsAsCodesAndZeroAmongThem) {
  const NumberFormat& f = *GetParam();
  EXPECT_EQ(f.levels.size(), size_t{1} << f.bits);
  EXPECT_EQ(tensor::bits_of(f.code), f.bits);
  EXPECT_EQ(std::count(f.levels.begin(), f.levels.end(), 0.0f), f.code == DType::f4e2m1 ? 2 : 1);
  EXPECT_LT(f.highest_level() * f.lowest_level(), f.lowest_code < 0 || !f.uniform() ? 0.0f : 1.0f);
}

TEST_P(EveryFormat, EveryLevelGetsItsCodeBack) {
  const NumberFormat& f = *GetParam();
  for (const float scale : {1.0f, 0.25f, 3.0f}) {
    for (const int zero : {0, 3}) {
      const GroupParams p{.scale = scale, .zero = f.integer_zero ? zero : 0};
      for (int code = f.lowest_code; code <= f.highest_code(); ++code) {
        const int back = f.quantize(f.decode(code, p), p);
        const bool minus_zero = f.code == DType::f4e2m1 && code == 8;
        EXPECT_EQ(back, minus_zero ? 0 : code);
      }
    }
  }
}

TEST_P(EveryFormat, CodesAreNearestAndSaturate) {
  const NumberFormat& f = *GetParam();
  const GroupParams p{.scale = 0.5f};
  for (int i = -4000; i <= 4000; ++i) {
    const float x = static_cast<float>(i) / 64.0f + 1.0f / 1024;
    const float error = std::fabs(f.decode(f.quantize(x, p), p) - x);
    for (int code = f.lowest_code; code <= f.highest_code(); ++code)
      ASSERT_LE(error, std::fabs(f.decode(code, p) - x)) << x << " code " << code;
  }
  EXPECT_EQ(f.level(f.quantize(1e30f, p)), f.highest_level());
  EXPECT_EQ(f.level(f.quantize(-1e30f, p)), f.lowest_level());
}

TEST_P(EveryFormat, NegativeZeroIsNeverMade) {
  const NumberFormat& f = *GetParam();
  const GroupParams p{.scale = 0.5f};
  for (const float x : {-0.0f, -1e-30f, 0.0f}) {
    const float decoded = f.decode(f.quantize(x, p), p);
    EXPECT_EQ(decoded, 0.0f);
    EXPECT_FALSE(std::signbit(decoded));
  }
  for (int code = f.lowest_code; code <= f.highest_code(); ++code) {
    const float decoded = f.decode(code, p);
    EXPECT_FALSE(decoded == 0.0f && std::signbit(decoded)) << code;
  }
  EXPECT_FALSE(std::signbit(f.storable({.scale = 1.0f, .zero = 0, .offset = -0.0f}).offset));
}

TEST_P(EveryFormat, StorableIsIdempotent) {
  const NumberFormat& f = *GetParam();
  for (const float scale : {0.0f, 1e-38f, 1e-8f, 0.0123f, 0.37f, 1.0f, 77.7f}) {
    const GroupParams once = f.storable({.scale = scale, .zero = 3, .offset = 0.25f}, 0.5f);
    EXPECT_EQ(f.storable(once, 0.5f), once) << scale;
    EXPECT_GT(once.scale, 0.0f);
  }
}

TEST(UniformFormats, TiesGoToTheEvenQuotientBeforeTheZeroPointIsAdded) {
  const NumberFormat& f = format("uint4");
  const auto code = [&](float x, int zero) { return f.quantize(x, {.scale = 1.0f, .zero = zero}); };
  EXPECT_EQ(code(0.5f, 0), 0);
  EXPECT_EQ(code(1.5f, 0), 2);
  EXPECT_EQ(code(2.5f, 0), 2);
  EXPECT_EQ(code(0.5f, 1), 1) << "round(0.5) + 1; rounding the sum would give 2";
  EXPECT_EQ(code(-0.5f, 1), 1);
  EXPECT_EQ(code(-1.5f, 3), 1);
  EXPECT_EQ(code(100.0f, 3), 15);
  EXPECT_EQ(code(-100.0f, 3), 0);
}

TEST(UniformFormats, TheQuotientIsADivision) {
  // 0.15 / 0.1 is below 1.5 in float32, 0.15 * (1 / 0.1) is 1.5: the codes differ.
  const float x = 0.45f, scale = 0.18f;
  const int expected = static_cast<int>(std::nearbyint(x / scale));
  EXPECT_EQ(format("int4").quantize(x, {.scale = scale}), expected);
}

TEST(UniformFormats, AnOffsetFollowsTheLiteralFormula) {
  const NumberFormat& f = format("uint4");
  const float min = -1.0f, max = 2.75f;  // max - min = 15 * 0.25
  const GroupParams p{.scale = (max - min) / 15, .zero = 0, .offset = min};
  for (int i = -300; i <= 700; ++i) {
    const float x = static_cast<float>(i) / 200.0f;
    const float literal = std::nearbyint((x - min) / (max - min) * 15);
    EXPECT_EQ(f.quantize(x, p), static_cast<int>(std::clamp(literal, 0.0f, 15.0f))) << x;
  }
  EXPECT_EQ(f.decode(0, p), min);
  EXPECT_EQ(f.decode(15, p), max);
}

TEST(E2m1, TiesGoToTheEvenMantissa) {
  const NumberFormat& f = format("fp4");
  const GroupParams p{.scale = 1.0f};
  const std::pair<float, float> ties[] = {{0.25f, 0}, {0.75f, 1}, {1.25f, 1}, {1.75f, 2}, {2.5f, 2}, {3.5f, 4}, {5, 4}};
  for (const auto& [x, level] : ties) {
    EXPECT_EQ(f.level(f.quantize(x, p)), level) << x;
    EXPECT_EQ(f.level(f.quantize(-x, p)), -level) << -x;
    EXPECT_EQ(f.level(f.quantize(std::nextafter(x, 0.0f), p)), f.level(f.quantize(x * 0.99f, p)));
    EXPECT_GT(f.level(f.quantize(std::nextafter(x, 9.0f), p)), f.level(f.quantize(std::nextafter(x, 0.0f), p)));
  }
  EXPECT_EQ(f.level(f.quantize(7.0f, p)), 6.0f);
}

TEST(Nf4, HasTheTableOfBitsandbytes) {
  const NumberFormat& f = format("nf4");
  EXPECT_EQ(f.level(0), -1.0f);
  EXPECT_EQ(f.level(7), 0.0f);
  EXPECT_EQ(f.level(8), 0.07958029955625534f);
  EXPECT_EQ(f.level(15), 1.0f);
  EXPECT_TRUE(std::is_sorted(f.levels.begin(), f.levels.end()));
}

TEST(Storable, F16ScalesAreRoundedAndMustFit) {
  const NumberFormat& f = format("int4");
  EXPECT_EQ(f.storable({.scale = 0.1f}).scale, base::f16_to_f32(base::f32_to_f16(0.1f)));
  EXPECT_EQ(f.storable({.scale = 65519.0f}).scale, 65504.0f);
  try {
    f.storable({.scale = 65520.0f});
    FAIL();
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), base::ErrorKind::kUnsupported);
    EXPECT_NE(e.sentence().find("float16"), std::string::npos);
  }
  EXPECT_EQ(f.storable({.scale = 65520.0f}, 1.0f, ScaleType::kF32).scale, 65520.0f);
  EXPECT_THROW(f.storable({.scale = std::numeric_limits<float>::infinity()}, 1.0f, ScaleType::kF32), base::Error);
}

TEST(Storable, AScaleThatRoundsToZeroBecomesOne) {
  const NumberFormat& f = format("int4");
  EXPECT_EQ(f.storable({.scale = 0x1p-25f}).scale, 1.0f) << "ties to even: zero";
  EXPECT_EQ(f.storable({.scale = 0x1.8p-25f}).scale, 0x1p-24f) << "the smallest subnormal is still a scale";
  EXPECT_EQ(f.storable({.scale = 0x1p-127f}, 1.0f, ScaleType::kF32).scale, 1.0f);
  EXPECT_EQ(f.storable({.scale = 0x1p-126f}, 1.0f, ScaleType::kF32).scale, 0x1p-126f);
}

TEST(Storable, ZeroPointsAreClampedToTheCodes) {
  EXPECT_EQ(format("uint4").storable({.scale = 1, .zero = 99}).zero, 15);
  EXPECT_EQ(format("uint4").storable({.scale = 1, .zero = -9}).zero, 0);
  EXPECT_EQ(format("int4").storable({.scale = 1, .zero = -9}).zero, -8);
  EXPECT_EQ(format("nf4").storable({.scale = 1, .zero = 5, .offset = 2}), (GroupParams{.scale = 1}));
}

TEST(Storable, E8m0ScalesArePowersOfTwo) {
  const NumberFormat& f = format("mxfp4");
  EXPECT_EQ(f.storable({.scale = 1.4f}).scale, 1.0f);
  EXPECT_EQ(f.storable({.scale = 1.5f}).scale, 1.0f);
  EXPECT_EQ(f.storable({.scale = 1.6f}).scale, 2.0f);
  EXPECT_EQ(f.storable({.scale = 0.0f}).scale, 1.0f);
  EXPECT_EQ(f.storable({.scale = 3e38f}).scale, 0x1p127f);
}

TEST(Storable, E4m3ScalesAreRelativeToTheTensorScale) {
  const NumberFormat& f = format("nvfp4");
  EXPECT_EQ(f.storable({.scale = 0.5f * 1.06f}, 0.5f).scale, 0.5f) << "steps of 1/8 at 1";
  EXPECT_EQ(f.storable({.scale = 448.0f * 0.5f}, 0.5f).scale, 224.0f);
  EXPECT_THROW(f.storable({.scale = 464.0f * 0.5f}, 0.5f), base::Error);
  EXPECT_EQ(f.storable({.scale = 0.0f}, 0.5f).scale, 0.5f);
}

TEST(BitsPerWeight, CountsScalesZeroPointsAndOffsets) {
  EXPECT_DOUBLE_EQ(format("int4").bits_per_weight(32, false, false), 4.5);
  EXPECT_DOUBLE_EQ(format("uint4").bits_per_weight(32, true, false), 4.625);
  EXPECT_DOUBLE_EQ(format("uint4").bits_per_weight(32, false, true, ScaleType::kF32), 6.0);
  EXPECT_DOUBLE_EQ(format("mxfp4").bits_per_weight(32, false, false), 4.25);
  EXPECT_DOUBLE_EQ(format("nvfp4").bits_per_weight(16, false, false), 4.5);
  EXPECT_DOUBLE_EQ(format("int8").bits_per_weight(64, false, false, ScaleType::kF32), 8.5);
}

}  // namespace
}  // namespace nibble::codec
