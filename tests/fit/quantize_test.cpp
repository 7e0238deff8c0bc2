#include "fit/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "fit/oracle.h"
#include "support/compare.h"

namespace nibble::fit {
namespace {

const ClipRule& rule(std::string_view name) { return *find_clip_rule(name); }
const RoundMethod& nearest() { return *find_round_method("nearest"); }

struct Matrix {
  Matrix(int64_t row_count, int64_t column_count)
      : rows(row_count),
        columns(column_count),
        values(test::sample(test::Kind::kHeavyTail, static_cast<size_t>(rows * columns), 1)) {}
  MatrixView view() const { return {values.data(), rows, columns, columns, 1}; }
  int64_t rows, columns;
  std::vector<float> values;
};

std::vector<float> decoded(const QuantizedMatrix& q) {
  std::vector<float> out(q.codes.size());
  for (int64_t r = 0; r < q.rows; ++r)
    for (int64_t c = 0; c < q.columns; ++c) {
      const auto at = static_cast<size_t>(r * q.columns + c);
      const int code = q.grid.format->lowest_code == 0 ? static_cast<uint8_t>(q.codes[at]) : q.codes[at];
      out[at] = q.grid.format->decode(code, q.params_of(r, c));
    }
  return out;
}

std::vector<Grid> all_grids() {
  std::vector<Grid> grids;
  for (const codec::NumberFormat* format : codec::all_formats())
    for (const Map map : {Map::kMinmax, Map::kAffine, Map::kSymmetric, Map::kRestricted})
      if (supports(*format, map)) grids.push_back(make_grid(*format, map));
  return grids;
}

class EveryGrid : public ::testing::TestWithParam<Grid> {};
INSTANTIATE_TEST_SUITE_P(Table, EveryGrid, ::testing::ValuesIn(all_grids()), [](const auto& row) {
  return std::string(row.param.format->name) + "_" + std::string(name_of(row.param.map));
});

TEST_P(EveryGrid, CodesAreLegalAndTheErrorIsWhatItSays) {
  const Grid grid = GetParam();
  base::ThreadPool pool(2);
  const Matrix m(4, 75);
  for (const ClipRule* clip : all_clip_rules()) {
    const int64_t block = grid.format->block;
    for (const int64_t group : block ? std::vector<int64_t>{block} : std::vector<int64_t>{0, 1, 16, 32, 75, 200}) {
      const QuantizedMatrix q = quantize_matrix(m.view(), grid, group, false, *clip, nearest(), {}, {}, pool);
      const std::vector<float> back = decoded(q);
      double error = 0.0, signal = 0.0;
      for (size_t i = 0; i < back.size(); ++i) {
        const int code = grid.format->lowest_code == 0 ? static_cast<uint8_t>(q.codes[i]) : q.codes[i];
        ASSERT_GE(code, grid.lowest_code());
        ASSERT_LE(code, grid.highest_code());
        error += (double{m.values[i]} - double{back[i]}) * (double{m.values[i]} - double{back[i]});
        signal += double{m.values[i]} * double{m.values[i]};
      }
      EXPECT_NEAR(q.error, error, 1e-12 * error);
      EXPECT_NEAR(q.signal, signal, 1e-12 * signal);
      if (clip->name == "entropy") continue;  // made for large histograms: in a small group it may clip nearly all
      EXPECT_LT(q.error, 0.2 * signal) << clip->name << " " << group;
    }
  }
}

TEST_P(EveryGrid, TheTensorDecodesToTheSameValuesInEitherStorageOrder) {
  const Grid grid = GetParam();
  base::ThreadPool pool(1);
  const Matrix m(5, 37);
  const int64_t block = grid.format->block;
  for (const int64_t group : block ? std::vector<int64_t>{block} : std::vector<int64_t>{0, 16}) {
    const QuantizedMatrix q = quantize_matrix(m.view(), grid, group, false, rule("minmax"), nearest(), {}, {}, pool);
    const std::vector<float> want = decoded(q);
    const tensor::Tensor straight = to_tensor(q, {5, 37}, false), transposed = to_tensor(q, {37, 5}, true);
    EXPECT_NO_THROW(codec::check_quantization(straight, "straight"));
    EXPECT_NO_THROW(codec::check_quantization(transposed, "transposed"));
    EXPECT_TRUE(test::equal_bits(test::Values(codec::dequantize(straight)).values, want));
    const tensor::Tensor back = codec::dequantize(transposed);
    for (size_t r = 0; r < 5; ++r)
      for (size_t c = 0; c < 37; ++c) ASSERT_EQ(back.values<float>()[c * 5 + r], want[r * 37 + c]);
    const double bits = 8.0 * static_cast<double>(codec::stored_bytes(straight)) / (5 * 37);
    // Short last groups and the odd half byte: at most a group and a byte a row more than the formula.
    EXPECT_NEAR(bits, grid.bits_per_weight(group ? group : 37), (group ? 100.0 : 20.0) / 37);
  }
}

TEST_P(EveryGrid, NoThreadCountChangesAnything) {
  const Grid grid = GetParam();
  const Matrix m(23, 130);
  base::ThreadPool one(1), three(3);
  for (const char* name : {"minmax", "mse"}) {
    const int64_t group = grid.format->block ? grid.format->block : 32;
    const QuantizedMatrix a = quantize_matrix(m.view(), grid, group, false, rule(name), nearest(), {}, {}, one);
    const QuantizedMatrix b = quantize_matrix(m.view(), grid, group, false, rule(name), nearest(), {}, {}, three);
    EXPECT_EQ(a.codes, b.codes);
    EXPECT_EQ(a.params, b.params);
    EXPECT_EQ(a.error, b.error);
    EXPECT_EQ(a.tensor_scale, b.tensor_scale);
  }
}

TEST(QuantizeMatrix, ReadsStridedMatricesAsTheirRows) {
  const Matrix m(6, 40);
  std::vector<float> transposed(m.values.size());
  for (size_t r = 0; r < 6; ++r)
    for (size_t c = 0; c < 40; ++c) transposed[c * 6 + r] = m.values[r * 40 + c];
  base::ThreadPool pool(2);
  const Grid grid = make_grid(*codec::find_format("uint4"), Map::kAffine);
  const QuantizedMatrix a = quantize_matrix(m.view(), grid, 16, false, rule("mse"), nearest(), {}, {}, pool);
  const QuantizedMatrix b =
      quantize_matrix({transposed.data(), 6, 40, 1, 6}, grid, 16, false, rule("mse"), nearest(), {}, {}, pool);
  EXPECT_EQ(a.codes, b.codes);
  EXPECT_EQ(a.params, b.params);
}

TEST(QuantizeMatrix, PerTensorIsOneGroupOfAll) {
  const Matrix m(9, 21);
  base::ThreadPool pool(2);
  const Grid grid = make_grid(*codec::find_format("uint4"), Map::kAffine);
  for (const ClipRule* clip : all_clip_rules()) {
    const QuantizedMatrix q = quantize_matrix(m.view(), grid, 0, true, *clip, nearest(), {}, {}, pool);
    ASSERT_EQ(q.params.size(), 1u);
    EXPECT_EQ(q.params[0], clip->choose({m.values, {}}, grid));
    const tensor::Tensor t = to_tensor(q, {9, 7, 3}, false);
    EXPECT_EQ(t.quantization()->scale.shape(), tensor::Shape{});
    EXPECT_TRUE(test::equal_bits(test::Values(codec::dequantize(t)).values, decoded(q)));
  }
}

TEST(QuantizeMatrix, GroupsAreThoseOfTheRuleAlone) {
  const Matrix m(3, 70);
  base::ThreadPool pool(1);
  const Grid grid = make_grid(*codec::find_format("int4"), Map::kSymmetric);
  const QuantizedMatrix q = quantize_matrix(m.view(), grid, 32, false, rule("mse"), nearest(), {}, {}, pool);
  ASSERT_EQ(q.params.size(), 9u);
  const std::span<const float> values(m.values);
  EXPECT_EQ(q.params[0], rule("mse").choose({values.subspan(0, 32), {}}, grid));
  EXPECT_EQ(q.params[5], rule("mse").choose({values.subspan(70 + 64, 6), {}}, grid)) << "the short last group of row 1";
}

TEST(QuantizeMatrix, ColumnWeightsReachTheRule) {
  const Matrix m(2, 40);
  const std::vector<float> weights = test::sample_weights(40, 3);
  base::ThreadPool pool(1);
  const Grid grid = make_grid(*codec::find_format("int4"), Map::kSymmetric);
  const QuantizedMatrix q = quantize_matrix(m.view(), grid, 16, false, rule("mse"), nearest(), {}, weights, pool);
  const std::span<const float> values(m.values), w(weights);
  EXPECT_EQ(q.params[4], rule("mse").choose({values.subspan(40 + 16, 16), w.subspan(16, 16)}, grid));
  const QuantizedMatrix all = quantize_matrix(m.view(), grid, 0, true, rule("mse"), nearest(), {}, weights, pool);
  std::vector<float> twice = weights;
  twice.insert(twice.end(), weights.begin(), weights.end());
  EXPECT_EQ(all.params[0], rule("mse").choose({m.values, twice}, grid));
}

TEST(QuantizeMatrix, GivenRangesAreUsedAsTheyAre) {
  const Matrix m(3, 10);
  base::ThreadPool pool(2);
  const Grid grid = make_grid(*codec::find_format("uint4"), Map::kAffine, ScaleType::kF32);
  const std::vector<Range> rows = {{-1, 2}, {0, 1}, {-0.5f, 0.5f}};
  const QuantizedMatrix q = quantize_with_ranges(m.view(), grid, rows, nearest(), pool);
  for (size_t r = 0; r < 3; ++r) EXPECT_EQ(q.params[r], params_from_range(rows[r].min, rows[r].max, grid));
  const std::vector<Range> one = {{-1, 2}};
  const QuantizedMatrix t = quantize_with_ranges(m.view(), grid, one, nearest(), pool);
  EXPECT_TRUE(t.per_tensor);
  ASSERT_EQ(t.params.size(), 1u);
  EXPECT_EQ(t.params[0].zero, 5);
  const std::vector<Range> two = {{-1, 2}, {0, 1}};
  EXPECT_THROW(quantize_with_ranges(m.view(), grid, two, nearest(), pool), base::Error);
  EXPECT_THROW(
      quantize_with_ranges(m.view(), make_grid(*codec::find_format("mxfp4"), Map::kSymmetric), one, nearest(), pool),
      base::Error);
}

TEST(QuantizeMatrix, EmptyAndSingleElementMatrices) {
  base::ThreadPool pool(2);
  const Grid grid = make_grid(*codec::find_format("int4"), Map::kSymmetric);
  const float one = -0.8f;
  for (const ClipRule* clip : all_clip_rules()) {
    const QuantizedMatrix q = quantize_matrix({&one, 1, 1, 1, 1}, grid, 32, false, *clip, nearest(), {}, {}, pool);
    EXPECT_NEAR(decoded(q)[0], one, 0x1p-11);
    EXPECT_TRUE(quantize_matrix({nullptr, 0, 5, 5, 1}, grid, 32, false, *clip, nearest(), {}, {}, pool).codes.empty());
    EXPECT_TRUE(quantize_matrix({nullptr, 5, 0, 0, 1}, grid, 0, false, *clip, nearest(), {}, {}, pool).codes.empty());
  }
}

TEST(QuantizeMatrix, Nvfp4TensorScaleComesFromTheLargestMagnitude) {
  base::ThreadPool pool(1);
  const Grid grid = make_grid(*codec::find_format("nvfp4"), Map::kSymmetric);
  Matrix m(4, 32);
  float largest = 0.0f;
  for (const float v : m.values) largest = std::max(largest, std::fabs(v));
  const QuantizedMatrix q = quantize_matrix(m.view(), grid, 16, false, rule("minmax"), nearest(), {}, {}, pool);
  EXPECT_EQ(q.tensor_scale, largest / 2688.0f);
  std::fill(m.values.begin(), m.values.end(), 0.0f);
  const QuantizedMatrix zeros = quantize_matrix(m.view(), grid, 16, false, rule("mse"), nearest(), {}, {}, pool);
  EXPECT_GT(zeros.tensor_scale, 0.0f);
  EXPECT_EQ(zeros.error, 0.0);
  std::fill(m.values.begin(), m.values.end(), 1e-44f);
  EXPECT_EQ(quantize_matrix(m.view(), grid, 16, false, rule("mse"), nearest(), {}, {}, pool).tensor_scale, 1.0f);
}

TEST(QuantizeMatrix, RefusalsNameRowAndGroup) {
  base::ThreadPool pool(2);
  Matrix m(3, 64);
  m.values[64 + 40] = 1e7f;
  const Grid grid = make_grid(*codec::find_format("int4"), Map::kSymmetric);
  for (const ClipRule* clip : all_clip_rules()) {
    try {
      quantize_matrix(m.view(), grid, 32, false, *clip, nearest(), {}, {}, pool);
      ADD_FAILURE() << clip->name;
    } catch (const base::Error& e) {
      EXPECT_EQ(e.kind(), base::ErrorKind::kUnsupported);
      EXPECT_NE(e.place().find("row 1, group 1"), std::string::npos) << e.what();
    }
  }
}

TEST(QuantizeMatrix, RefusesBlocksThatTheFormatDoesNotHave) {
  base::ThreadPool pool(1);
  const Matrix m(2, 64);
  const Grid grid = make_grid(*codec::find_format("mxfp4"), Map::kSymmetric);
  for (const int64_t group : {0, 16, 64})
    EXPECT_THROW(quantize_matrix(m.view(), grid, group, false, rule("minmax"), nearest(), {}, {}, pool), base::Error);
  EXPECT_THROW(quantize_matrix(m.view(), grid, 32, true, rule("minmax"), nearest(), {}, {}, pool), base::Error);
}

TEST(QuantizeMatrix, RefusesWhatIsNotFinite) {
  base::ThreadPool pool(2);
  const Grid grid = make_grid(*codec::find_format("int4"), Map::kSymmetric);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Matrix m(3, 64);
    m.values[100] = bad;
    EXPECT_THROW(quantize_matrix(m.view(), grid, 32, false, rule("minmax"), nearest(), {}, {}, pool), base::Error);
  }
}

}  // namespace
}  // namespace nibble::fit
