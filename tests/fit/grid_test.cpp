#include "fit/grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/small_float.h"

namespace nibble::fit {
namespace {

Grid grid(std::string_view format, Map map, std::optional<ScaleType> stored_as = std::nullopt) {
  return make_grid(*codec::find_format(format), map, stored_as);
}

TEST(Map, NamesGoBothWays) {
  for (const Map map : {Map::kMinmax, Map::kAffine, Map::kSymmetric, Map::kRestricted})
    EXPECT_EQ(find_map(name_of(map)), map);
  EXPECT_EQ(find_map("asymmetric"), std::nullopt);
}

TEST(Grid, CodesAndZeroPoints) {
  EXPECT_EQ(grid("int4", Map::kSymmetric).lowest_code(), -8);
  EXPECT_EQ(grid("int4", Map::kRestricted).lowest_code(), -7);
  EXPECT_EQ(grid("int4", Map::kRestricted).steps(), 14);
  EXPECT_EQ(grid("int8", Map::kRestricted).lowest_code(), -127);
  EXPECT_EQ(grid("uint4", Map::kSymmetric).fixed_zero(), 8);
  EXPECT_EQ(grid("uint8", Map::kSymmetric).fixed_zero(), 128);
  EXPECT_TRUE(grid("uint4", Map::kSymmetric).stores_zero());
  EXPECT_FALSE(grid("int4", Map::kSymmetric).stores_zero());
  EXPECT_EQ(grid("uint4", Map::kMinmax).stored_as, ScaleType::kF32);
  EXPECT_EQ(grid("uint4", Map::kAffine).stored_as, ScaleType::kF16);
  EXPECT_DOUBLE_EQ(grid("uint4", Map::kAffine).bits_per_weight(32), 4.625);
}

TEST(Grid, RefusesMapsAndScalesThatTheFormatDoesNotHave) {
  for (const char* name : {"nf4", "fp4", "mxfp4", "nvfp4"}) {
    EXPECT_NO_THROW(grid(name, Map::kSymmetric));
    for (const Map map : {Map::kMinmax, Map::kAffine, Map::kRestricted}) EXPECT_THROW(grid(name, map), base::Error);
  }
  EXPECT_THROW(grid("int4", Map::kMinmax), base::Error);
  EXPECT_THROW(grid("int8", Map::kMinmax), base::Error);
  EXPECT_THROW(grid("mxfp4", Map::kSymmetric, ScaleType::kF16), base::Error);
  EXPECT_THROW(grid("int4", Map::kSymmetric, ScaleType::kE8M0), base::Error);
  EXPECT_NO_THROW(grid("int4", Map::kSymmetric, ScaleType::kF32));
}

TEST(ParamsFromRange, MinmaxIsTheLiteralFormula) {
  const GroupParams p = params_from_range(-1.0f, 2.0f, grid("uint4", Map::kMinmax));
  EXPECT_EQ(p.scale, 3.0f / 15.0f);
  EXPECT_EQ(p.offset, -1.0f);
  EXPECT_EQ(p.zero, 0);
  const GroupParams above = params_from_range(5.0f, 8.0f, grid("uint4", Map::kMinmax));
  EXPECT_EQ(above.offset, 5.0f) << "the range is not widened to hold zero";
}

TEST(ParamsFromRange, AffineHoldsZeroAndRoundsTheZeroPoint) {
  const Grid g = grid("uint4", Map::kAffine, ScaleType::kF32);
  const GroupParams p = params_from_range(-1.0f, 2.0f, g);
  EXPECT_EQ(p.scale, 3.0f / 15.0f);
  EXPECT_EQ(p.zero, 5);
  EXPECT_EQ(params_from_range(5.0f, 7.5f, g), (GroupParams{.scale = 0.5f, .zero = 0}));
  EXPECT_EQ(params_from_range(-7.5f, -5.0f, g), (GroupParams{.scale = 0.5f, .zero = 15}));
  // -min / scale = 2.5: ties to even.
  EXPECT_EQ(params_from_range(-2.5f, 12.5f, g).zero, 2);
  EXPECT_EQ(params_from_range(-1.0f, 2.0f, grid("int4", Map::kAffine, ScaleType::kF32)).zero, 5 - 8);
}

TEST(ParamsFromRange, SymmetricCoversBothEndsWithAPositiveScale) {
  const Grid full = grid("int4", Map::kSymmetric, ScaleType::kF32);
  EXPECT_EQ(params_from_range(-8.0f, 3.0f, full).scale, 1.0f);
  EXPECT_EQ(params_from_range(-3.0f, 7.0f, full).scale, 1.0f);
  EXPECT_EQ(params_from_range(-7.0f, 3.0f, grid("int4", Map::kRestricted, ScaleType::kF32)).scale, 1.0f);
  EXPECT_EQ(params_from_range(-16.0f, 3.0f, grid("uint4", Map::kSymmetric)), (GroupParams{.scale = 2.0f, .zero = 8}));
  EXPECT_EQ(params_from_range(-0.5f, 0.25f, grid("nf4", Map::kSymmetric)).scale, 0.5f);
  EXPECT_EQ(params_from_range(-3.0f, 12.0f, grid("fp4", Map::kSymmetric)).scale, 2.0f);
}

TEST(ParamsFromRange, Mxfp4TakesThePowerOfTwoThatClipsNothing) {
  const Grid g = grid("mxfp4", Map::kSymmetric);
  EXPECT_EQ(params_from_range(-6.0f, 6.0f, g).scale, 1.0f);
  EXPECT_EQ(params_from_range(-6.0f, std::nextafter(6.0f, 7.0f), g).scale, 2.0f);
  EXPECT_EQ(params_from_range(-3.1f, 1.0f, g).scale, 1.0f);
}

TEST(ParamsFromRange, Nvfp4ScalesAreE4m3TimesTheTensorScale) {
  const Grid g = grid("nvfp4", Map::kSymmetric);
  EXPECT_EQ(params_from_range(-6.0f, 2.0f, g, 0.25f).scale, 1.0f);
  const float stored = params_from_range(0.0f, 6.6f, g, 0.25f).scale / 0.25f;
  EXPECT_EQ(base::e4m3_to_f32(base::f32_to_e4m3(stored)), stored);
}

TEST(ParamsFromRange, AConstantIsExactWhereItsStoredScaleAllows) {
  for (const float c : {1.0f, -1.0f, 0.375f, 100.0f, -65504.0f, 65504.0f * 3}) {
    for (const char* name : {"uint4", "int4", "uint8"}) {
      const Grid affine = grid(name, Map::kAffine);
      const GroupParams p = params_from_range(c, c, affine);
      EXPECT_EQ(affine.format->decode(affine.format->quantize(c, p), p), c) << name;
      EXPECT_EQ(affine.format->decode(affine.format->quantize(0.0f, p), p), 0.0f) << "zero stays a level";
      if (affine.format->lowest_code < 0) continue;
      const Grid minmax = grid(name, Map::kMinmax);
      const GroupParams q = params_from_range(c, c, minmax);
      EXPECT_EQ(minmax.format->decode(minmax.format->quantize(c, q), q), c) << name;
    }
  }
  // 0.1 has no f16, nor has any of its fractions; the nearest is within half a unit of an f16 in [0.0625, 0.125).
  const Grid g = grid("uint4", Map::kAffine);
  const GroupParams p = params_from_range(0.1f, 0.1f, g);
  EXPECT_NEAR(g.format->decode(g.format->quantize(0.1f, p), p), 0.1f, 0x1p-15);
}

TEST(ParamsFromRange, ZerosAreTheZeroGroup) {
  for (const codec::NumberFormat* format : codec::all_formats()) {
    for (const Map map : {Map::kMinmax, Map::kAffine, Map::kSymmetric, Map::kRestricted}) {
      if (!supports(*format, map)) continue;
      const Grid g = make_grid(*format, map);
      const GroupParams p = params_from_range(0.0f, 0.0f, g);
      EXPECT_EQ(p, zero_group(g));
      EXPECT_EQ(p.scale, 1.0f);
      EXPECT_EQ(format->decode(format->quantize(0.0f, p), p), 0.0f);
    }
  }
}

TEST(ParamsFromRange, TinyRangesBecomeTheZeroGroupOrSubnormalScales) {
  const Grid g = grid("int4", Map::kSymmetric);
  EXPECT_EQ(params_from_range(-1e-8f, 1e-8f, g).scale, 1.0f);
  const GroupParams p = params_from_range(0.0f, 7.0f * 0x1p-20f, g);
  EXPECT_EQ(p.scale, 0x1p-20f) << "an f16 subnormal, exact";
  const Grid m = grid("uint4", Map::kMinmax);
  const float low = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(params_from_range(0.0f, low, m).scale, 1.0f);
}

TEST(ParamsFromRange, RefusesScalesThatDoNotFit) {
  EXPECT_THROW(params_from_range(-1.0f, 460000.0f, grid("int4", Map::kRestricted)), base::Error);
  EXPECT_NO_THROW(params_from_range(-1.0f, 458528.0f, grid("int4", Map::kRestricted)));
  EXPECT_NO_THROW(params_from_range(-1.0f, 460000.0f, grid("int4", Map::kRestricted, ScaleType::kF32)));
  EXPECT_THROW(params_from_range(-1e6f, 1e6f, grid("uint4", Map::kAffine)), base::Error);
  EXPECT_THROW(params_from_range(1e6f, 1e6f, grid("uint4", Map::kAffine)), base::Error);
  EXPECT_THROW(params_from_range(-3e38f, 3e38f, grid("uint4", Map::kMinmax)), base::Error);
}

TEST(ParamsFromRange, RefusesRangesThatAreNone) {
  const Grid g = grid("int4", Map::kSymmetric);
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  EXPECT_THROW(params_from_range(2.0f, 1.0f, g), base::Error);
  EXPECT_THROW(params_from_range(nan, 1.0f, g), base::Error);
  EXPECT_THROW(params_from_range(-1.0f, inf, g), base::Error);
}

}  // namespace
}  // namespace nibble::fit
