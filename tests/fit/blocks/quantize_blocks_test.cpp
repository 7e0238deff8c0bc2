#include "fit/blocks/quantize_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace nibble::fit {
namespace {

using codec::BlockFormat;

/// Rows of two to three blocks and more than one piece of work.
struct Matrix {
  int64_t rows, columns;
  std::vector<float> values;
  MatrixView view() const { return {values.data(), rows, columns, columns, 1}; }
};

Matrix make(const BlockFormat& f, const std::function<double(base::Random&)>& draw, uint64_t seed = 1) {
  Matrix m{131, f.elements == 256 ? 512 : 3 * f.elements, {}};
  base::Random random(seed);
  m.values.resize(static_cast<size_t>(m.rows * m.columns));
  for (float& v : m.values) v = static_cast<float>(draw(random));
  return m;
}

std::vector<uint8_t> quantized(const BlockFormat& f, const MatrixView& m, std::span<const float> weights = {},
                               int threads = 2, BlockSearch search = BlockSearch::kBest) {
  base::ThreadPool pool(threads);
  std::vector<uint8_t> bytes(static_cast<size_t>(m.rows * m.columns / f.elements * f.bytes));
  quantize_blocks(f.dtype, search, m, weights, pool, bytes);
  return bytes;
}

double error_of(const BlockFormat& f, const Matrix& m, std::span<const uint8_t> bytes,
                std::span<const float> weights = {}) {
  base::ThreadPool pool(2);
  return measure_blocks(f.dtype, bytes, m.view(), weights, pool).error;
}

std::vector<uint8_t> plain(const BlockFormat& f, const Matrix& m) {
  std::vector<uint8_t> bytes(m.values.size() / static_cast<size_t>(f.elements) * static_cast<size_t>(f.bytes));
  f.encode(m.values.data(), static_cast<int64_t>(m.values.size()) / f.elements, bytes.data());
  return bytes;
}

struct Distribution {
  const char* name;
  double (*draw)(base::Random&);
};
constexpr Distribution kDistributions[] = {
    {"normal", [](base::Random& r) { return r.normal(); }},
    {"uniform", [](base::Random& r) { return 2.0 * r.uniform() - 1.0; }},
    {"laplace", [](base::Random& r) { return (r.below(2) ? 1.0 : -1.0) * std::log(1.0 - r.uniform()); }},
    {"outliers", [](base::Random& r) { return r.normal() * (r.below(100) == 0 ? 20.0 : 1.0); }},
    {"positive", [](base::Random& r) { return 2.0 + r.uniform(); }},
    {"negative", [](base::Random& r) { return -2.0 - r.uniform(); }},
    {"few values", [](base::Random& r) { return static_cast<double>(r.below(5)) - 2.0; }},
    {"zeros", [](base::Random&) { return 0.0; }},
    {"one value", [](base::Random&) { return 0.7; }},
    {"subnormal scales", [](base::Random& r) { return 1e-6 * r.normal(); }},
    {"mostly zeros", [](base::Random& r) { return r.below(40) == 0 ? r.normal() : 0.0; }},
};

class EveryBlockFormat : public ::testing::TestWithParam<const BlockFormat*> {};

TEST_P(EveryBlockFormat, leaves_no_more_than_the_plain_encoder) {
  const BlockFormat& f = *GetParam();
  for (const Distribution& d : kDistributions) {
    const Matrix m = make(f, d.draw);
    const double ours = error_of(f, m, quantized(f, m.view())), theirs = error_of(f, m, plain(f, m));
    EXPECT_LE(ours, theirs * 1.000001) << f.name << " on " << d.name;
  }
}

/// A model that was quantized once loses nothing when it is quantized to the same format again.
TEST_P(EveryBlockFormat, values_decoded_from_blocks_come_back) {
  const BlockFormat& f = *GetParam();
  Matrix m = make(f, kDistributions[0].draw);
  const double first = error_of(f, m, plain(f, m));
  const auto bytes = plain(f, m);
  f.decode(bytes.data(), static_cast<int64_t>(m.values.size()) / f.elements, m.values.data());
  const double again = error_of(f, m, quantized(f, m.view()));
  // Where scales are shared a group may have more than one exact reading, and the block's scales suit only one of them.
  EXPECT_LE(again, f.elements == 256 ? 0.01 * first : 0.0) << f.name;
}

TEST_P(EveryBlockFormat, heeds_the_weights_of_columns) {
  const BlockFormat& f = *GetParam();
  const Matrix m = make(f, kDistributions[0].draw);
  base::Random random(9);
  std::vector<float> weights(static_cast<size_t>(m.columns));
  for (float& w : weights) w = static_cast<float>(std::exp(1.5 * random.normal()));
  const auto with = quantized(f, m.view(), weights), without = quantized(f, m.view());
  EXPECT_LT(error_of(f, m, with, weights), 0.999 * error_of(f, m, without, weights)) << f.name;
  EXPECT_GT(error_of(f, m, with), error_of(f, m, without)) << f.name;
  EXPECT_LE(error_of(f, m, with, weights), error_of(f, m, plain(f, m), weights)) << f.name;
}

TEST_P(EveryBlockFormat, does_not_care_about_the_unit_of_the_weights) {
  const BlockFormat& f = *GetParam();
  const Matrix m = make(f, kDistributions[2].draw);
  base::Random random(4);
  std::vector<float> weights(static_cast<size_t>(m.columns)), scaled;
  for (float& w : weights) w = static_cast<float>(random.uniform());
  for (const float w : weights) scaled.push_back(w * 0x1p-40f);
  EXPECT_EQ(quantized(f, m.view(), weights), quantized(f, m.view(), scaled));
  // Equal weights are none, but for the trials that a search may leave out where ggml does not search at all.
  const std::vector<float> ones(weights.size(), 7.0f);
  EXPECT_LE(error_of(f, m, quantized(f, m.view(), ones)), 1.000001 * error_of(f, m, quantized(f, m.view())));
}

TEST_P(EveryBlockFormat, gives_the_same_bytes_for_any_threads_and_strides) {
  const BlockFormat& f = *GetParam();
  const Matrix m = make(f, kDistributions[3].draw);
  const auto one = quantized(f, m.view(), {}, 1);
  EXPECT_EQ(one, quantized(f, m.view(), {}, 2));
  EXPECT_EQ(one, quantized(f, m.view(), {}, 5));
  std::vector<float> transposed(m.values.size());
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t c = 0; c < m.columns; ++c)
      transposed[static_cast<size_t>(c * m.rows + r)] = m.values[static_cast<size_t>(r * m.columns + c)];
  EXPECT_EQ(one, quantized(f, {transposed.data(), m.rows, m.columns, 1, m.rows}));
}

TEST_P(EveryBlockFormat, names_the_first_value_that_it_cannot_hold) {
  const BlockFormat& f = *GetParam();
  const auto refusal = [&](float value) {
    Matrix m = make(f, kDistributions[0].draw);
    m.values[static_cast<size_t>(100 * m.columns + 5)] = value;
    m.values[static_cast<size_t>(130 * m.columns)] = value;
    try {
      quantized(f, m.view());
    } catch (const base::Error& error) {
      EXPECT_EQ(error.place(), "row 100, column 5");
      return static_cast<int>(error.kind());
    }
    return 0;
  };
  EXPECT_EQ(refusal(std::numeric_limits<float>::quiet_NaN()), static_cast<int>(base::ErrorKind::kMalformed));
  EXPECT_EQ(refusal(-std::numeric_limits<float>::infinity()), static_cast<int>(base::ErrorKind::kMalformed));
  if (f.largest < 1e38f) {
    EXPECT_EQ(refusal(f.largest), 0);
    EXPECT_EQ(refusal(-1.001f * f.largest), static_cast<int>(base::ErrorKind::kUnsupported));
  }
}

TEST_P(EveryBlockFormat, the_reference_is_the_plain_encoder_or_refused) {
  const BlockFormat& f = *GetParam();
  const Matrix m = make(f, kDistributions[1].draw);
  const std::string name(f.name);
  if (name == "Q4_0" || name == "Q4_1" || name == "Q5_0" || name == "Q5_1" || name == "Q8_0")
    EXPECT_EQ(quantized(f, m.view(), {}, 2, BlockSearch::kReference), plain(f, m));
  else
    EXPECT_THROW(quantized(f, m.view(), {}, 2, BlockSearch::kReference), base::Error);
}

TEST_P(EveryBlockFormat, refuses_rows_that_are_not_whole_blocks) {
  const BlockFormat& f = *GetParam();
  const std::vector<float> x(static_cast<size_t>(2 * f.elements), 1.0f);
  EXPECT_THROW(quantized(f, {x.data(), 2, f.elements - 1, f.elements - 1, 1}), base::Error);
  EXPECT_EQ(quantized(f, {x.data(), 0, f.elements, f.elements, 1}).size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Blocks, EveryBlockFormat,
                         ::testing::ValuesIn(codec::all_block_formats().begin(), codec::all_block_formats().end()),
                         [](const auto& each) { return std::string(each.param->name); });

TEST(QuantizeBlocks, refuses_weights_that_say_nothing) {
  const BlockFormat& f = *codec::find_block_format("Q4_0");
  const Matrix m = make(f, kDistributions[0].draw);
  std::vector<float> weights(static_cast<size_t>(m.columns), 0.0f);
  EXPECT_THROW(quantized(f, m.view(), weights), base::Error);
  weights[3] = 1.0f;
  EXPECT_NO_THROW(quantized(f, m.view(), weights));
  weights[4] = -1.0f;
  EXPECT_THROW(quantized(f, m.view(), weights), base::Error);
  weights[4] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(quantized(f, m.view(), weights), base::Error);
}

TEST(QuantizeBlocks, searches_have_names) {
  EXPECT_EQ(find_block_search("best"), BlockSearch::kBest);
  EXPECT_EQ(find_block_search("reference"), BlockSearch::kReference);
  EXPECT_EQ(find_block_search("beast"), std::nullopt);
}

/// The least that any scale leaves of a block of even levels: scales so dense that the best of them is within 1e-5.
double optimum(const float* x, int n, int top) {
  double most = 0.0, best = 1e300;
  for (int i = 0; i < n; ++i) most = std::max(most, std::fabs(double{x[i]}));
  for (const double sign : {-1.0, 1.0})
    for (double end = 0.5 * top; end < 1.3 * top; end += 0.002 * top) {
      double xl = 0.0, ll = 0.0, xx = 0.0;
      for (int i = 0; i < n; ++i) {
        const double l = std::clamp(std::nearbyint(x[i] * sign * end / most), double(-top), double(top - 1));
        xl += x[i] * l;
        ll += l * l;
        xx += double{x[i]} * double{x[i]};
      }
      if (ll > 0.0) best = std::min(best, xx - xl * xl / ll);
    }
  return best;
}

TEST(QuantizeBlocks, q4_0_and_q5_0_are_near_the_optimum) {
  for (const char* name : {"Q4_0", "Q5_0"}) {
    const BlockFormat& f = *codec::find_block_format(name);
    const Matrix m = make(f, kDistributions[0].draw);
    double least = 0.0;
    for (size_t i = 0; i < m.values.size(); i += 32) least += optimum(m.values.data() + i, 32, f.bytes == 18 ? 8 : 16);
    EXPECT_LT(error_of(f, m, quantized(f, m.view())), 1.01 * least) << name;
  }
}

}  // namespace
}  // namespace nibble::fit
