#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fit/oracle.h"
#include "fit/round/method.h"

namespace nibble::fit {
namespace {

std::vector<int8_t> round_all(const RoundMethod& method, std::span<const float> values, const GroupParams& p,
                              const Grid& grid) {
  std::vector<int8_t> codes(values.size());
  method.round(values, p, grid, codes.data());
  return codes;
}

TEST(RoundMethods, AreFoundByName) {
  for (const RoundMethod* method : all_round_methods()) {
    EXPECT_EQ(find_round_method(method->name), method);
    EXPECT_FALSE(method->summary.empty());
  }
  EXPECT_EQ(find_round_method("farthest"), nullptr);
}

/// The loops over many values give what the format's own definition gives for one.
TEST(Nearest, EqualsTheFormatsDefinitionValueForValue) {
  const RoundMethod& nearest = *find_round_method("nearest");
  for (const codec::NumberFormat* format : codec::all_formats()) {
    for (const Map map : {Map::kMinmax, Map::kAffine, Map::kSymmetric, Map::kRestricted}) {
      if (!supports(*format, map)) continue;
      const Grid grid = make_grid(*format, map);
      for (const test::Kind kind : test::kKinds) {
        const std::vector<float> values = test::sample(kind, 777, 3);
        const auto [min, max] = std::minmax_element(values.begin(), values.end());
        GroupParams p = params_from_range(*min * 0.7f, *max * 0.7f, grid);
        if (map == Map::kMinmax && p.offset == 0.0f) p.offset = -0.001f;
        const std::vector<int8_t> codes = round_all(nearest, values, p, grid);
        for (size_t i = 0; i < values.size(); ++i) {
          const int want = std::max(format->quantize(values[i], p), grid.lowest_code());
          ASSERT_EQ(codes[i], static_cast<int8_t>(want)) << format->name << " " << name_of(map) << " " << values[i];
        }
      }
    }
  }
}

TEST(Nearest, RestrictedNeverUsesTheLowestCode) {
  const Grid grid = make_grid(*codec::find_format("int4"), Map::kRestricted);
  const std::vector<float> values = {-100.0f, -7.6f, -7.4f, 100.0f};
  EXPECT_EQ(round_all(*find_round_method("nearest"), values, {.scale = 1.0f}, grid),
            (std::vector<int8_t>{-7, -7, -7, 7}));
}

TEST(Nearest, MinmaxIsTheLiteralFormula) {
  const Grid grid = make_grid(*codec::find_format("uint4"), Map::kMinmax);
  for (const test::Kind kind : test::kKinds) {
    const std::vector<float> values = test::sample(kind, 4000, 8);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const float min = *low, max = *high;
    const std::vector<int8_t> codes =
        round_all(*find_round_method("nearest"), values, params_from_range(min, max, grid), grid);
    for (size_t i = 0; i < values.size(); ++i) {
      // 15 * ((max - min) / 15) may differ from max - min in the last bit: only a value within that of a tie may
      // differ.
      const float literal = (values[i] - min) / (max - min) * 15;
      const float off_tie = std::fabs(literal - std::floor(literal) - 0.5f);
      if (off_tie > 4e-6f) {
        ASSERT_EQ(codes[i], static_cast<int8_t>(std::nearbyint(literal))) << values[i];
      }
    }
  }
}

}  // namespace
}  // namespace nibble::fit
