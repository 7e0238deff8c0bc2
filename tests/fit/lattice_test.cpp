#include "fit/lattice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"
#include "base/small_float.h"
#include "fit/quantize.h"

namespace nibble::fit {
namespace {

constexpr int64_t kRows = 24, kColumns = 64;

float as_f16(float x) { return base::f16_to_f32(base::f32_to_f16(x)); }
float as_bf16(float x) { return base::bf16_to_f32(base::f32_to_bf16(x)); }

/// A matrix that was decoded from known codes and parameters.
struct Made {
  Grid grid;
  int64_t rows = kRows, columns = kColumns, group = 0;
  bool per_tensor = false;
  std::vector<GroupParams> params;
  std::vector<int> codes;
  std::vector<float> values;

  MatrixView view() const { return {values.data(), rows, columns, columns, 1}; }
  int64_t length() const { return group ? group : columns; }
  const GroupParams& of(int64_t r, int64_t c) const {
    return params[per_tensor ? 0 : static_cast<size_t>(r * ((columns + length() - 1) / length()) + c / length())];
  }
  void decode() {
    values.clear();
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        values.push_back(grid.format->decode(codes[static_cast<size_t>(r * columns + c)], of(r, c)));
  }
};

/// Codes are uniform, with both ends in every group, so that nothing is left to choose.
Made make(const char* format, Map map, ScaleType stored_as, int64_t group, bool per_tensor, uint64_t seed) {
  Made m;
  m.grid = make_grid(*codec::find_format(format), map, stored_as);
  m.group = group;
  m.per_tensor = per_tensor;
  base::Random random(seed);
  const int64_t groups = per_tensor ? 1 : m.rows * ((m.columns + m.length() - 1) / m.length());
  for (int64_t i = 0; i < groups; ++i) {
    const int zero =
        map == Map::kAffine ? m.grid.lowest_code() + static_cast<int>(random.below(16)) : m.grid.fixed_zero();
    const auto offset = map == Map::kMinmax ? static_cast<float>(-0.3 * random.uniform()) : 0.0f;
    m.params.push_back(m.grid.storable({static_cast<float>(0.001 * std::exp(3 * random.normal())), zero, offset}));
    if (map == Map::kMinmax) m.params.back().zero = 0;
  }
  for (int64_t i = 0; i < m.rows * m.columns; ++i) {
    const int64_t at = i % m.columns % m.length();
    const auto any = static_cast<int>(random.below(static_cast<uint64_t>(m.grid.steps() + 1)));
    m.codes.push_back(m.grid.lowest_code() + (at == 0 ? 0 : at == 1 ? m.grid.steps() : any));
  }
  m.decode();
  return m;
}

std::optional<Lattice> find(const Made& m) { return find_lattice(m.view(), m.grid, m.group, m.per_tensor); }

QuantizedMatrix quantize(const Made& m, const Lattice& lattice) {
  base::ThreadPool pool(1);
  Grid grid = m.grid;
  grid.stored_as = lattice.stored_as;
  return quantize_with_params(m.view(), grid, m.group, m.per_tensor, lattice.params, *find_round_method("nearest"),
                              pool);
}

struct Case {
  const char* format;
  Map map;
  ScaleType stored_as;
  int64_t group;
  bool per_tensor;
};

std::string name_of(const testing::TestParamInfo<Case>& row) {
  const Case& c = row.param;
  return std::string(c.format) + "_" + std::string(fit::name_of(c.map)) + "_" +
         (c.stored_as == ScaleType::kF16 ? "f16" : "f32") + "_" +
         (c.per_tensor ? "tensor"
          : c.group    ? std::to_string(c.group)
                       : "channel");
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* format : {"int4", "uint4"})
    for (const Map map : {Map::kMinmax, Map::kAffine, Map::kSymmetric, Map::kRestricted})
      for (const ScaleType type : {ScaleType::kF16, ScaleType::kF32}) {
        if (!supports(*codec::find_format(format), map)) continue;
        for (const int64_t group : {0, 32, 24}) cases.push_back({format, map, type, group, false});
        cases.push_back({format, map, type, 0, true});
      }
  return cases;
}

class LatticeOf : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(All, LatticeOf, ::testing::ValuesIn(all_cases()), name_of);

TEST_P(LatticeOf, FloatsComesBackToTheLastBit) {
  const Case c = GetParam();
  const Made m = make(c.format, c.map, c.stored_as, c.group, c.per_tensor, 1);
  const auto lattice = find(m);
  ASSERT_TRUE(lattice);
  EXPECT_EQ(lattice->precision, 24);
  EXPECT_EQ(lattice->stored_as, c.stored_as);
  EXPECT_EQ(lattice->params.size(), m.params.size());
  EXPECT_TRUE(lattice->is_exact()) << lattice->exact << " of " << m.params.size();
  for (size_t i = 0; i < m.params.size(); ++i) {
    EXPECT_EQ(lattice->params[i].zero, m.params[i].zero) << i;
    // f32 scales that decode to the same bits cannot be told apart; f16 scales are unique.
    if (c.stored_as == ScaleType::kF16) {
      EXPECT_EQ(lattice->params[i], m.params[i]) << i;
    }
  }
  const QuantizedMatrix q = quantize(m, *lattice);
  EXPECT_EQ(q.error, 0.0);
  for (size_t i = 0; i < m.codes.size(); ++i)
    ASSERT_EQ(m.grid.format->lowest_code < 0 ? q.codes[i] : static_cast<uint8_t>(q.codes[i]), m.codes[i]) << i;
}

/// Codes and zero points come back; the scale to within the interval that the rounding leaves, which the largest
/// magnitude, 7 or more steps long, bounds by its own relative error.
void expect_found_after(float (*round)(float), int precision, double unit, const Case& c) {
  Made m = make(c.format, c.map, c.stored_as, c.group, c.per_tensor, 2);
  for (float& v : m.values) v = round(v);
  const auto lattice = find(m);
  ASSERT_TRUE(lattice);
  EXPECT_EQ(lattice->precision, precision);
  const QuantizedMatrix q = quantize(m, *lattice);
  for (size_t i = 0; i < m.codes.size(); ++i)
    ASSERT_EQ(m.grid.format->lowest_code < 0 ? q.codes[i] : static_cast<uint8_t>(q.codes[i]), m.codes[i]) << i;
  for (size_t i = 0; i < m.params.size(); ++i) {
    EXPECT_NEAR(lattice->params[i].scale / m.params[i].scale, 1, 2.1 * unit) << i;
    EXPECT_EQ(lattice->params[i].zero, m.params[i].zero) << i;
  }
  // What is decoded rounds to the checkpoint's own values.
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t col = 0; col < m.columns; ++col)
      ASSERT_EQ(round(m.grid.format->decode(m.codes[static_cast<size_t>(r * m.columns + col)], q.params_of(r, col))),
                m.view()(r, col));
}

TEST(FindLattice, OfACheckpointInF16) {
  int rounded = 0;
  for (const Case& c : all_cases()) {
    if (c.map == Map::kMinmax || c.stored_as != ScaleType::kF16) continue;
    SCOPED_TRACE(std::string(c.format) + " " + std::string(fit::name_of(c.map)));
    // Values below the normal numbers of f16 lose bits; keep scales above.
    Made m = make(c.format, c.map, c.stored_as, c.group, c.per_tensor, 2);
    for (GroupParams& p : m.params) p.scale = as_f16(std::fmax(p.scale, 0.001f) * 1.013f);
    m.decode();
    bool exact = true;
    for (float& v : m.values) exact = exact && as_f16(v) == v, v = as_f16(v);
    rounded += !exact;
    const auto lattice = find(m);
    ASSERT_TRUE(lattice);
    EXPECT_EQ(lattice->precision, exact ? 24 : 11);
    const QuantizedMatrix q = quantize(m, *lattice);
    for (size_t i = 0; i < m.codes.size(); ++i)
      ASSERT_EQ(m.grid.format->lowest_code < 0 ? q.codes[i] : static_cast<uint8_t>(q.codes[i]), m.codes[i]) << i;
    for (size_t i = 0; i < m.params.size(); ++i)
      EXPECT_NEAR(lattice->params[i].scale / m.params[i].scale, 1, 2.1 * 0x1p-11) << i;
  }
  EXPECT_GE(rounded, 12);  // a scale of the tensor may have so few bits that nothing is lost
}

TEST(FindLattice, OfACheckpointInBf16) {
  for (const Case& c : all_cases()) {
    if (c.map == Map::kMinmax) continue;
    SCOPED_TRACE(std::string(c.format) + " " + std::string(fit::name_of(c.map)));
    expect_found_after(as_bf16, 8, 0x1p-8, c);
  }
}

/// Batch normalization multiplies each row by a factor of its own: two roundings, still a lattice a row.
TEST(FindLattice, AfterBatchNormalizationWasFolded) {
  Made m = make("int4", Map::kSymmetric, ScaleType::kF32, 0, true, 3);
  base::Random random(4);
  for (int64_t r = 0; r < m.rows; ++r) {
    const double factor = 0.1 + 3 * random.uniform();
    for (int64_t c = 0; c < m.columns; ++c) {
      float& v = m.values[static_cast<size_t>(r * m.columns + c)];
      v = static_cast<float>(v * factor);
    }
  }
  const auto lattice = find_lattice(m.view(), m.grid, 0, false);
  ASSERT_TRUE(lattice);
  EXPECT_EQ(lattice->precision, 24);
  base::ThreadPool pool(1);
  Grid grid = m.grid;
  grid.stored_as = lattice->stored_as;
  const QuantizedMatrix q =
      quantize_with_params(m.view(), grid, 0, false, lattice->params, *find_round_method("nearest"), pool);
  for (size_t i = 0; i < m.codes.size(); ++i) ASSERT_EQ(q.codes[i], m.codes[i]) << i;
  EXPECT_LT(q.error, q.signal * 0x1p-46);  // two units in the last place
}

TEST(FindLattice, ALatticeOfTheTensorIsOneOfItsRowsToo) {
  const Made m = make("int4", Map::kSymmetric, ScaleType::kF16, 0, true, 5);
  const auto lattice = find_lattice(m.view(), m.grid, 0, false);
  ASSERT_TRUE(lattice);
  ASSERT_EQ(lattice->params.size(), static_cast<size_t>(kRows));
  for (const GroupParams& p : lattice->params) EXPECT_EQ(p, m.params[0]);
  EXPECT_FALSE(find_lattice(make("int4", Map::kSymmetric, ScaleType::kF16, 32, false, 5).view(), m.grid, 0, false));
}

TEST(FindLattice, AnyStorageOrder) {
  const Made m = make("int4", Map::kSymmetric, ScaleType::kF16, 0, false, 6);
  std::vector<float> transposed(m.values.size());
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t c = 0; c < m.columns; ++c) transposed[static_cast<size_t>(c * m.rows + r)] = m.view()(r, c);
  const auto lattice = find_lattice({transposed.data(), m.rows, m.columns, 1, m.rows}, m.grid, 0, false);
  ASSERT_TRUE(lattice);
  EXPECT_EQ(lattice->params, m.params);
}

/// Rows of zeros, of one magnitude and of few codes lie on a lattice with the others.
TEST(FindLattice, RowsOfFewValues) {
  Made m = make("int4", Map::kSymmetric, ScaleType::kF16, 0, false, 7);
  for (int64_t c = 0; c < m.columns; ++c) {
    m.codes[static_cast<size_t>(c)] = 0;
    m.codes[static_cast<size_t>(m.columns + c)] = c % 3 ? 0 : 7;
    m.codes[static_cast<size_t>(2 * m.columns + c)] = c % 3 ? 3 : -6;
  }
  m.decode();
  const auto lattice = find(m);
  ASSERT_TRUE(lattice);
  EXPECT_TRUE(lattice->is_exact());
  EXPECT_EQ(lattice->params[0], zero_group(m.grid));
  EXPECT_EQ(lattice->params[1], m.params[1]) << "the largest code was in use";
  EXPECT_EQ(quantize(m, *lattice).error, 0.0);
}

TEST(FindLattice, OneMagnitudeARowIsNoEvidenceUnlessItIsRepeated) {
  Made m = make("int4", Map::kSymmetric, ScaleType::kF32, 0, false, 8);
  m.columns = 1;
  m.values.resize(static_cast<size_t>(m.rows));
  for (size_t i = 0; i < m.values.size(); ++i) m.values[i] = static_cast<float>(std::sin(static_cast<double>(i) + 1));
  EXPECT_FALSE(find(m)) << "any number is a lattice of its own";
  Made ternary = make("int4", Map::kSymmetric, ScaleType::kF32, 0, false, 8);
  for (int& code : ternary.codes) code = code > 2 ? 1 : code < -2 ? -1 : 0;
  ternary.decode();
  const auto lattice = find(ternary);
  ASSERT_TRUE(lattice);
  EXPECT_EQ(quantize(ternary, *lattice).error, 0.0);
}

/// Random floats of every kind, and shapes down to the smallest windows, in f32, f16 and bf16.
TEST(FindLattice, RandomNumbersAreNone) {
  for (const Case& c : all_cases())
    for (const int64_t columns : {2, 3, 4, 9, 16, 27, 64}) {
      if (c.group > columns) continue;
      for (int kind = 0; kind < 3; ++kind)
        for (uint64_t seed = 0; seed < 20; ++seed) {
          Made m;
          m.grid = make_grid(*codec::find_format(c.format), c.map, c.stored_as);
          m.columns = columns;
          base::Random random(seed, static_cast<uint64_t>(columns));
          for (int64_t i = 0; i < m.rows * columns; ++i) {
            const auto v = static_cast<float>(0.1 * random.normal());
            m.values.push_back(kind == 0 ? v : kind == 1 ? as_f16(v) : as_bf16(v));
          }
          EXPECT_FALSE(find_lattice(m.view(), m.grid, c.group, c.per_tensor))
              << c.format << " " << fit::name_of(c.map) << " " << columns << " columns, kind " << kind << ", seed "
              << seed;
        }
    }
}

TEST(FindLattice, OneValueOffTheLatticeIsEnough) {
  for (const Map map : {Map::kSymmetric, Map::kAffine}) {
    Made m = make("int4", map, ScaleType::kF16, 0, false, 9);
    ASSERT_TRUE(find(m));
    m.values[200] += 0.3f * m.of(3, 0).scale;
    EXPECT_FALSE(find(m));
  }
}

TEST(FindLattice, EightBitsAreNotFour) {
  Made m = make("int4", Map::kSymmetric, ScaleType::kF32, 0, false, 10);
  base::Random random(11);
  for (float& v : m.values) v = 0.01f * static_cast<float>(static_cast<int>(random.below(255)) - 127);
  EXPECT_FALSE(find(m));
}

TEST(FindLattice, ValuesThatAreNotFiniteAreNone) {
  Made m = make("int4", Map::kSymmetric, ScaleType::kF16, 0, false, 12);
  m.values[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(find(m));
}

}  // namespace
}  // namespace nibble::fit
