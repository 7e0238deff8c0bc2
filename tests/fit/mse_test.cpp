#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/small_float.h"
#include "fit/oracle.h"

namespace nibble::fit {
namespace {

Grid grid(std::string_view format, Map map, std::optional<ScaleType> stored_as = std::nullopt) {
  return make_grid(*codec::find_format(format), map, stored_as);
}

const ClipRule& mse() { return *find_clip_rule("mse"); }

struct Case {
  std::vector<float> values, weights;
  Group group() const { return {values, weights}; }
};

/// Groups of every kind and size, with and without weights.
std::vector<Case> cases(std::initializer_list<size_t> sizes, int repeats) {
  std::vector<Case> all;
  for (const size_t size : sizes)
    for (const test::Kind kind : test::kKinds)
      for (int repeat = 0; repeat < repeats; ++repeat) {
        const auto seed = static_cast<uint64_t>(repeat) * 1000 + size;
        all.push_back({test::sample(kind, size, seed), {}});
        all.push_back({test::sample(kind, size, seed), test::sample_weights(size, seed)});
      }
  return all;
}

/// What the scale's rounding may cost: the error is a parabola in the scale of curvature Sgg <= about Sxx / d^2, and an
/// f16 misses d by at most 2^-11 of it (f32: 2^-24).
double rounding_slack(const Group& g, const Grid& grid) {
  const double miss = grid.stored_as == ScaleType::kF16 ? 0x1p-11 : 0x1p-24;
  constexpr double kSums = 1e-13;  // of the plain sums here
  return (2 * miss * miss + kSums) * test::energy(g);
}

TEST(MseExact, SymmetricGridsReachTheFullSweep) {
  const Grid grids[] = {grid("int4", Map::kSymmetric, ScaleType::kF32),
                        grid("int4", Map::kSymmetric),
                        grid("int4", Map::kRestricted),
                        grid("uint4", Map::kSymmetric),
                        grid("nf4", Map::kSymmetric),
                        grid("fp4", Map::kSymmetric)};
  for (const Grid& g : grids) {
    for (const Case& c : cases({1, 2, 5, 16, 32, 33}, 6)) {
      if (test::energy(c.group()) == 0.0) continue;
      const double oracle = test::least_error_over_scales(c.group(), g, g.fixed_zero());
      const double found = test::error_under(c.group(), g, mse().choose(c.group(), g));
      ASSERT_LE(found, oracle + rounding_slack(c.group(), g)) << g.format->name << " " << c.values.size();
      ASSERT_GE(found, oracle * (1 - 1e-9) - 1e-12 * test::energy(c.group())) << "the oracle is not the optimum";
    }
  }
}

TEST(MseExact, LongGroupsReachTheFullSweep) {
  const Grid grids[] = {grid("int4", Map::kSymmetric, ScaleType::kF32), grid("nf4", Map::kSymmetric, ScaleType::kF32)};
  for (const Grid& g : grids)
    for (const Case& c : cases({200}, 1)) {
      const double oracle = test::least_error_over_scales(c.group(), g, 0);
      const double found = test::error_under(c.group(), g, mse().choose(c.group(), g));
      ASSERT_LE(found, oracle + rounding_slack(c.group(), g)) << g.format->name;
    }
}

TEST(MseExact, AffineGridsReachTheFullSweepOverAllZeroPoints) {
  for (const Grid& g : {grid("uint4", Map::kAffine, ScaleType::kF32), grid("int4", Map::kAffine)})
    for (const Case& c : cases({1, 3, 16, 32}, 2)) {
      if (test::energy(c.group()) == 0.0) continue;
      const double oracle = test::least_error_over_scales_and_zeros(c.group(), g);
      const double found = test::error_under(c.group(), g, mse().choose(c.group(), g));
      ASSERT_LE(found, oracle + rounding_slack(c.group(), g)) << c.values.size();
    }
}

TEST(MseExact, NoF16ScaleIsBetterByMoreThanTheSlack) {
  const Grid g = grid("int4", Map::kSymmetric);
  for (const Case& c : cases({16}, 1)) {
    if (test::energy(c.group()) == 0.0) continue;
    double best = test::energy(c.group());
    for (uint16_t bits = 1; bits < 0x7C00; ++bits) {
      const float scale = base::f16_to_f32(bits);
      if (scale < 1e-5f || scale > 10.0f) continue;  // far outside of what the samples can use
      best = std::min(best, test::error_under(c.group(), g, {.scale = scale}));
    }
    const double found = test::error_under(c.group(), g, mse().choose(c.group(), g));
    ASSERT_LE(found, best + rounding_slack(c.group(), g));
  }
}

TEST(MseExact, NoAdmissibleScaleOfTheBlockFormatsIsBetter) {
  const float tensor_scale = 0.003f;
  for (const Case& c : cases({16, 32}, 3)) {
    const Grid mx = grid("mxfp4", Map::kSymmetric), nv = grid("nvfp4", Map::kSymmetric);
    double best_mx = 1e300, best_nv = 1e300;
    for (int e = -60; e <= 60; ++e)
      best_mx = std::min(best_mx, test::error_under(c.group(), mx, {.scale = std::ldexp(1.0f, e)}));
    for (uint8_t bits = 1; bits < 0x7F; ++bits)
      best_nv = std::min(best_nv, test::error_under(c.group(), nv, {.scale = base::e4m3_to_f32(bits) * tensor_scale}));
    const double slack = 1e-12 * test::energy(c.group());  // of sums in another order
    EXPECT_LE(test::error_under(c.group(), mx, mse().choose(c.group(), mx)), best_mx + slack);
    EXPECT_LE(test::error_under(c.group(), nv, mse().choose(c.group(), nv, {}, tensor_scale)), best_nv + slack);
  }
}

/// Fine lattice over both ends of the range, each followed by regressions on its codes: near the true optimum for
/// groups as small as these, and independent of the search.
double least_error_with_offset(const Group& g, int steps) {
  const auto [low, high] = std::minmax_element(g.values.begin(), g.values.end());
  const double min = double{*low}, range = double{*high} - double{*low};
  double best = 1e300;
  for (int a = -8; a <= 60; ++a)
    for (int b = -8; b <= 60; ++b) {
      double m = min + 0.008 * a * range, d = (min + range - 0.008 * b * range - m) / steps;
      if (d <= 0) continue;
      for (int round = 0; round < 3; ++round) {
        double sw = 0, sx = 0, sq = 0, sqq = 0, sxq = 0, error = 0;
        for (size_t i = 0; i < g.values.size(); ++i) {
          const double w = test::weight(g, i), x = double{g.values[i]};
          const double q = std::clamp(std::nearbyint((x - m) / d), 0.0, static_cast<double>(steps));
          const double miss = x - d * q - m;
          error += w * miss * miss;
          sw += w, sx += w * x, sq += w * q, sqq += w * q * q, sxq += w * x * q;
        }
        best = std::min(best, error);
        const double determinant = sw * sqq - sq * sq;
        if (determinant <= 1e-9 * sw * sqq) break;
        d = (sw * sxq - sx * sq) / determinant;
        m = (sqq * sx - sq * sxq) / determinant;
        if (d <= 0) break;
      }
    }
  return best;
}

TEST(MseOffset, IsWithinTwoPercentOfTheOptimumOnAverage) {
  const Grid g = grid("uint4", Map::kMinmax);
  double found = 0.0, best = 0.0;
  for (const Case& c : cases({32}, 4)) {
    if (!c.weights.empty()) continue;  // log-normal weights leave more to be found; see the next test
    const double scale = test::energy(c.group());
    if (scale == 0.0) continue;
    found += test::error_under(c.group(), g, mse().choose(c.group(), g)) / scale;
    best += least_error_with_offset(c.group(), 15) / scale;
  }
  EXPECT_LE(found, best * 1.02);
}

TEST(MseOffset, HeedsWeights) {
  const Grid g = grid("uint4", Map::kMinmax);
  for (const Case& c : cases({32}, 4)) {
    if (c.weights.empty() || test::energy(c.group()) == 0.0) continue;
    const double with = test::error_under(c.group(), g, mse().choose(c.group(), g));
    const double without = test::error_under(c.group(), g, mse().choose({c.values, {}}, g));
    EXPECT_LE(with, without * 1.02);
  }
}

TEST(Mse, IsNeverWorseThanMinmax) {
  for (const codec::NumberFormat* format : codec::all_formats())
    for (const Map map : {Map::kMinmax, Map::kAffine, Map::kSymmetric, Map::kRestricted}) {
      if (!supports(*format, map)) continue;
      const Grid g = make_grid(*format, map);
      const float tensor_scale = format->tensor_scale ? 0.01f : 1.0f;
      for (const Case& c : cases({1, 2, 7, 64, 300}, 1)) {
        const double found = test::error_under(c.group(), g, mse().choose(c.group(), g, {}, tensor_scale));
        const double minmax =
            test::error_under(c.group(), g, find_clip_rule("minmax")->choose(c.group(), g, {}, tensor_scale));
        // Sums in another order; with an offset, the search also sees each value less the minimum rounded to a float.
        const double slack = 1e-11 * test::energy(c.group()) + (map == Map::kMinmax ? 1e-5 : 1e-11) * minmax;
        ASSERT_LE(found, minmax + slack) << format->name << " " << name_of(map);
      }
    }
}

TEST(MseEightBits, ShortSymmetricGroupsReachTheFullSweep) {
  const Grid g = grid("int8", Map::kSymmetric, ScaleType::kF32);
  for (const test::Kind kind : {test::Kind::kNormal, test::Kind::kHeavyTail}) {
    const std::vector<float> values = test::sample(kind, 20, 21);
    const Group group{values, {}};
    const double oracle = test::least_error_over_scales(group, g, 0);
    EXPECT_LE(test::error_under(group, g, mse().choose(group, g)), oracle + rounding_slack(group, g));
  }
}

TEST(MseEightBits, LongGroupsComeWithinOnePercentOfADenseScan) {
  const Grid g = grid("int8", Map::kSymmetric, ScaleType::kF32);
  for (const test::Kind kind : {test::Kind::kNormal, test::Kind::kHeavyTail, test::Kind::kPositive}) {
    const std::vector<float> values = test::sample(kind, 3000, 21);
    const auto error_at = [&](double d) {
      double error = 0.0;
      for (const float x : values) {
        const double miss = double{x} - d * std::clamp(std::nearbyint(double{x} / d), -128.0, 127.0);
        error += miss * miss;
      }
      return error;
    };
    const double covering = double{find_clip_rule("minmax")->choose({values, {}}, g).scale};
    double best = 1e300;
    for (int i = 200; i <= 1100; ++i) best = std::min(best, error_at(covering * i / 1000));
    EXPECT_LE(error_at(double{mse().choose({values, {}}, g).scale}), best * 1.01) << static_cast<int>(kind);
  }
}

TEST(MseEightBits, AffineComesWithinTwoPercentOfADenseScan) {
  const Grid g = grid("uint8", Map::kAffine, ScaleType::kF32);
  for (const test::Kind kind : {test::Kind::kNormal, test::Kind::kPositive, test::Kind::kShifted}) {
    const std::vector<float> values = test::sample(kind, 1000, 22);
    const auto error_at = [&](double d, double zero) {
      double error = 0.0;
      for (const float x : values) {
        const double miss = double{x} - d * (std::clamp(std::nearbyint(double{x} / d) + zero, 0.0, 255.0) - zero);
        error += miss * miss;
      }
      return error;
    };
    const GroupParams covering = find_clip_rule("minmax")->choose({values, {}}, g);
    double best = 1e300;
    for (int i = 70; i <= 104; ++i)
      for (int zero = std::max(0, covering.zero - 25); zero <= std::min(255, covering.zero + 25); ++zero)
        best = std::min(best, error_at(double{covering.scale} * i / 100, zero));
    const GroupParams p = mse().choose({values, {}}, g);
    EXPECT_LE(error_at(double{p.scale}, p.zero), best * 1.02) << static_cast<int>(kind);
  }
}

TEST(Mse, AHistogramStandsForItsValues) {
  // The same lattice of values, once one by one and once as bins with counts.
  base::Random random(5);
  std::vector<float> values, bins, counts(61, 0.0f);
  for (int i = 0; i < 61; ++i) bins.push_back(static_cast<float>(i - 20) * 0.0625f);
  for (int i = 0; i < 3000; ++i) {
    const auto bin = static_cast<size_t>(std::clamp(20.0 + 9.0 * random.normal(), 0.0, 60.0));
    values.push_back(bins[bin]);
    counts[bin] += 1.0f;
  }
  for (const Map map : {Map::kAffine, Map::kSymmetric}) {
    const Grid g = grid("int4", map, ScaleType::kF32);
    const GroupParams a = mse().choose({values, {}}, g), b = mse().choose({bins, counts}, g);
    EXPECT_EQ(a.zero, b.zero);
    EXPECT_NEAR(a.scale, b.scale, 1e-6f * a.scale);
  }
}

TEST(Mse, WorksAtTheEndsOfTheFloats) {
  const Grid f32 = grid("int4", Map::kSymmetric, ScaleType::kF32), f16 = grid("int4", Map::kSymmetric);
  const std::vector<float> huge = {3e38f, -2e38f, 1e38f};
  EXPECT_LT(test::error_under({huge, {}}, f32, mse().choose({huge, {}}, f32)), 0.01 * test::energy({huge, {}}));
  EXPECT_THROW(mse().choose({huge, {}}, f16), base::Error);
  const float least = std::numeric_limits<float>::denorm_min();
  const std::vector<float> tiny = {least, -3 * least, 5 * least};
  EXPECT_EQ(mse().choose({tiny, {}}, f32).scale, 1.0f);
  EXPECT_EQ(mse().choose({tiny, {}}, f16).scale, 1.0f);
  const std::vector<float> mixed = {least, 1.0f, -least, 1e-30f};
  EXPECT_NEAR(mse().choose({mixed, {}}, f16).scale * 7, 1.0f, 0.01f);
}

TEST(Mse, RefusesWhatIsNotFinite) {
  const Grid g = grid("int4", Map::kSymmetric);
  const std::vector<float> nan = {1.0f, std::numeric_limits<float>::quiet_NaN()};
  const std::vector<float> inf = {1.0f, -std::numeric_limits<float>::infinity()};
  const std::vector<float> good = {1.0f, 2.0f}, negative = {1.0f, -1.0f}, short_weights = {1.0f};
  EXPECT_THROW(mse().choose({nan, {}}, g), base::Error);
  EXPECT_THROW(mse().choose({inf, {}}, g), base::Error);
  EXPECT_THROW(mse().choose({good, nan}, g), base::Error);
  EXPECT_THROW(mse().choose({good, negative}, g), base::Error);
  EXPECT_THROW(mse().choose({good, short_weights}, g), base::Error);
}

}  // namespace
}  // namespace nibble::fit
