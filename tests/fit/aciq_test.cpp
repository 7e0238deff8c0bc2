#include <gtest/gtest.h>

#include <cmath>

#include "fit/oracle.h"

namespace nibble::fit {
namespace {

std::vector<float> laplace_quantiles(int count) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i)
    values.push_back(static_cast<float>((i % 2 ? 1 : -1) * -std::log(1 - (i + 0.5) / count)));
  return values;
}

double mean_magnitude(const std::vector<float>& values) {
  double sum = 0.0;
  for (const float v : values) sum += std::fabs(double{v});
  return sum / static_cast<double>(values.size());
}

double root_mean_square(const std::vector<float>& values) {
  double sum = 0.0;
  for (const float v : values) sum += double{v} * double{v};
  return std::sqrt(sum / static_cast<double>(values.size()));
}

GroupParams chosen(const std::vector<float>& values, const char* format, Map map) {
  return find_clip_rule("aciq")->choose({values, {}}, make_grid(*codec::find_format(format), map, ScaleType::kF32));
}

/// The constants of the paper's own code at 4 and 8 bits; those of Laplace are cut off after two digits there.
TEST(Aciq, HasThePublishedLimits) {
  const std::vector<float> laplace = laplace_quantiles(200000);
  ASSERT_GT(*std::max_element(laplace.begin(), laplace.end()), 11.0f);
  const double b = mean_magnitude(laplace);
  EXPECT_NEAR(7 * double{chosen(laplace, "int4", Map::kRestricted).scale}, 5.03 * b, 0.01 * b);
  EXPECT_NEAR(127 * double{chosen(laplace, "int8", Map::kRestricted).scale}, 9.89 * b, 0.01 * b);
  const std::vector<float> gauss = test::sample(test::Kind::kNormal, 100000, 4);
  const double s = root_mean_square(gauss);
  EXPECT_NEAR(7 * double{chosen(gauss, "int4", Map::kRestricted).scale}, 2.55913646 * s, 1e-4 * s);
  EXPECT_NEAR(127 * double{chosen(gauss, "int8", Map::kRestricted).scale}, 3.92403714 * s, 1e-4 * s);
}

TEST(Aciq, TakesFinerStepsForOneSidedData) {
  std::vector<float> values = laplace_quantiles(100000);
  for (float& v : values) v = std::fabs(v);
  const double b = mean_magnitude(values);
  values.insert(values.end(), 50000, 0.0f);  // what a Relu cut off
  const GroupParams p = chosen(values, "uint4", Map::kAffine);
  EXPECT_EQ(p.zero, 0);
  EXPECT_NEAR(15 * double{p.scale}, 6.20 * b, 0.01 * b);
  for (float& v : values) v = -v;
  EXPECT_EQ(chosen(values, "uint4", Map::kAffine).scale, p.scale);
  EXPECT_EQ(chosen(values, "uint4", Map::kAffine).zero, 15);
}

TEST(Aciq, CutsAroundTheMeanWhereTheMapHasTwoEnds) {
  std::vector<float> values = laplace_quantiles(100000);
  for (float& v : values) v += 100.0f;
  const GroupParams p = chosen(values, "uint4", Map::kMinmax);
  EXPECT_NEAR(double{p.offset}, 100 - 5.03, 0.02);
  EXPECT_NEAR(double{p.offset} + 15 * double{p.scale}, 100 + 5.03, 0.02);
}

}  // namespace
}  // namespace nibble::fit
