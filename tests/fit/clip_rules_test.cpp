#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "fit/oracle.h"

namespace nibble::fit {
namespace {

struct Row {
  const ClipRule* rule;
  const codec::NumberFormat* format;
  Map map;
  Grid grid() const { return make_grid(*format, map); }
};

std::vector<Row> table() {
  std::vector<Row> rows;
  for (const ClipRule* rule : all_clip_rules())
    for (const codec::NumberFormat* format : codec::all_formats())
      for (const Map map : {Map::kMinmax, Map::kAffine, Map::kSymmetric, Map::kRestricted})
        if (supports(*format, map)) rows.push_back({rule, format, map});
  return rows;
}

/// Facts that hold for every clip rule on every grid.
class EveryRule : public ::testing::TestWithParam<Row> {};
INSTANTIATE_TEST_SUITE_P(Table, EveryRule, ::testing::ValuesIn(table()), [](const auto& row) {
  return std::string(row.param.rule->name) + "_" + std::string(row.param.format->name) + "_" +
         std::string(name_of(row.param.map));
});

constexpr float kTensorScale = 0.01f;  // large enough that no sample overflows E4M3, small enough to be fine

float tensor_scale_of(const Row& row) { return row.format->tensor_scale ? kTensorScale : 1.0f; }

TEST_P(EveryRule, GivesStorableParameters) {
  const Row& row = GetParam();
  for (const test::Kind kind : test::kKinds)
    for (const size_t count : {1, 2, 3, 16, 33, 200}) {
      const std::vector<float> values = test::sample(kind, count, count);
      const GroupParams p = row.rule->choose({values, {}}, row.grid(), {}, tensor_scale_of(row));
      ASSERT_EQ(row.grid().storable(p, tensor_scale_of(row)), p);
      ASSERT_GT(p.scale, 0.0f);
    }
}

TEST_P(EveryRule, NeverReachesOutsideTheData) {
  const Row& row = GetParam();
  // The least error may want the outermost level beyond the data, where that puts the others in better places.
  if (row.rule->name == "mse") return;
  for (const test::Kind kind : test::kKinds) {
    const std::vector<float> values = test::sample(kind, 64, 5);
    const auto [min, max] = std::minmax_element(values.begin(), values.end());
    const GroupParams p = row.rule->choose({values, {}}, row.grid(), {}, tensor_scale_of(row));
    EXPECT_LE(p.scale, params_from_range(*min, *max, row.grid(), tensor_scale_of(row)).scale) << static_cast<int>(kind);
  }
}

TEST_P(EveryRule, ScalesWithTheData) {
  const Row& row = GetParam();
  if (row.format->tensor_scale) return;
  for (const test::Kind kind : test::kKinds) {
    std::vector<float> values = test::sample(kind, 48, 9);
    const GroupParams once = row.rule->choose({values, {}}, row.grid());
    for (float& v : values) v *= 4.0f;
    const GroupParams four = row.rule->choose({values, {}}, row.grid());
    EXPECT_EQ(four.scale, once.scale * 4.0f);
    EXPECT_EQ(four.zero, once.zero);
    EXPECT_EQ(four.offset, once.offset * 4.0f);
  }
}

TEST_P(EveryRule, ZerosGiveTheZeroGroup) {
  const Row& row = GetParam();
  const std::vector<float> zeros(20, 0.0f), weights(20, 1.0f);
  const GroupParams want = zero_group(row.grid(), tensor_scale_of(row));
  EXPECT_EQ(row.rule->choose({zeros, {}}, row.grid(), {}, tensor_scale_of(row)), want);
  EXPECT_EQ(row.rule->choose({zeros, weights}, row.grid(), {}, tensor_scale_of(row)), want);
  EXPECT_EQ(row.rule->choose({}, row.grid(), {}, tensor_scale_of(row)), want);
}

TEST_P(EveryRule, AConstantGroupIsKept) {
  const Row& row = GetParam();
  const Grid grid = row.grid();
  for (const float c : {0.75f, -0.75f, 3.0f}) {
    for (const size_t count : {1, 17}) {
      const std::vector<float> values(count, c);
      const GroupParams p = row.rule->choose({values, {}}, grid, {}, tensor_scale_of(row));
      const float back = row.format->decode(row.format->quantize(c, p), p);
      // Affine and minmax: exactly. Elsewhere to the precision of the stored scale (half a unit in its last place), and
      // of the power of two that E8M0 must take.
      const bool exact = row.map == Map::kAffine || row.map == Map::kMinmax;
      const double bound = exact                                ? 0.0
                           : grid.stored_as == ScaleType::kE8M0 ? 0.25
                           : grid.stored_as == ScaleType::kE4M3 ? 0.0625
                                                                : 0x1p-11;
      EXPECT_NEAR(back, c, bound * std::fabs(c)) << count;
    }
  }
}

TEST_P(EveryRule, WeightsThatAreAllEqualChangeNothing) {
  const Row& row = GetParam();
  const std::vector<float> values = test::sample(test::Kind::kHeavyTail, 64, 4);
  const std::vector<float> ones(64, 1.0f), twos(64, 2.0f), none(64, 0.0f);
  const GroupParams want = row.rule->choose({values, {}}, row.grid(), {}, tensor_scale_of(row));
  for (const auto& weights : {ones, twos, none})
    EXPECT_EQ(row.rule->choose({values, weights}, row.grid(), {}, tensor_scale_of(row)), want);
}

TEST(ClipRules, AreFoundByName) {
  for (const ClipRule* rule : all_clip_rules()) EXPECT_EQ(find_clip_rule(rule->name), rule);
  EXPECT_EQ(find_clip_rule("magic"), nullptr);
}

TEST(Percentile, IsTheNearestRank) {
  std::vector<float> values;
  for (int i = 1; i <= 1000; ++i) values.push_back(static_cast<float>(i));
  const Grid grid = make_grid(*codec::find_format("int8"), Map::kRestricted, ScaleType::kF32);
  const auto largest = [&](double percentile) {
    return find_clip_rule("percentile")->choose({values, {}}, grid, {.percentile = percentile}).scale * 127.0f;
  };
  EXPECT_NEAR(largest(100.0), 1000.0f, 1e-3f);
  EXPECT_NEAR(largest(99.9), 999.0f, 1e-3f);
  EXPECT_NEAR(largest(99.0), 990.0f, 1e-3f);
  EXPECT_NEAR(largest(0.01), 1.0f, 1e-3f);
}

TEST(Percentile, CutsHalfAtEachEndWhereTheMapHasTwo) {
  std::vector<float> values;
  for (int i = -500; i < 500; ++i) values.push_back(static_cast<float>(i));
  const Grid grid = make_grid(*codec::find_format("uint8"), Map::kMinmax);
  const GroupParams p = find_clip_rule("percentile")->choose({values, {}}, grid, {.percentile = 98.0});
  EXPECT_EQ(p.offset, -491.0f) << "the tenth smallest of a thousand";
  EXPECT_NEAR(p.offset + 255 * p.scale, 489.0f, 1e-3f) << "the 990th";
}

TEST(Percentile, CountsWeights) {
  const std::vector<float> values = {1.0f, 2.0f, 100.0f}, counts = {5000.0f, 4999.0f, 1.0f};
  const Grid grid = make_grid(*codec::find_format("int8"), Map::kRestricted, ScaleType::kF32);
  EXPECT_NEAR(find_clip_rule("percentile")->choose({values, counts}, grid).scale * 127, 2.0f, 1e-6f);
  EXPECT_NEAR(find_clip_rule("percentile")->choose({values, {}}, grid).scale * 127, 100.0f, 1e-4f);
}

TEST(Percentile, RefusesWhatIsNoPercentage) {
  const std::vector<float> values = {1.0f};
  const Grid grid = make_grid(*codec::find_format("int4"), Map::kSymmetric);
  for (const double bad : {0.0, -1.0, 100.1, std::nan("")})
    EXPECT_THROW(find_clip_rule("percentile")->choose({values, {}}, grid, {.percentile = bad}), base::Error);
}

TEST(Minmax, IgnoresTheEmptyBinsOfAHistogram) {
  const std::vector<float> values = {-9.0f, -1.0f, 2.0f, 50.0f}, counts = {0.0f, 3.0f, 1.0f, 0.0f};
  const Grid grid = make_grid(*codec::find_format("uint4"), Map::kMinmax);
  EXPECT_EQ(find_clip_rule("minmax")->choose({values, counts}, grid), params_from_range(-1.0f, 2.0f, grid));
}

}  // namespace
}  // namespace nibble::fit
