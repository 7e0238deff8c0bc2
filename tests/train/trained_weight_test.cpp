#include "train/trained_weight.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "quant/scheme.h"
#include "support/compare.h"
#include "train/trained_weight_cases.h"

namespace nibble::train {
namespace {

using tensor::Tensor;
using test::WeightCase;

std::vector<int8_t> codes_of(const Tensor& t) { return codec::unpack(t); }

class TrainedWeights : public testing::TestWithParam<WeightCase> {};

void expect_same_constant(const Tensor& got, const Tensor& want) {
  EXPECT_EQ(codes_of(got), codes_of(want));
  const auto &a = *got.quantization(), &b = *want.quantization();
  EXPECT_EQ(a.code_shape, b.code_shape);
  EXPECT_EQ(a.block, b.block);
  ASSERT_EQ(a.scale.elements(), b.scale.elements());
  for (int64_t i = 0; i < a.scale.elements(); ++i) EXPECT_EQ(codec::params_at(a, i), codec::params_at(b, i)) << i;
}

TEST_P(TrainedWeights, StartWhereQuantizationLeftThem) {
  const auto w = test::in_training(GetParam());
  const Tensor start = fit::to_tensor(test::quantize(w.layer, w.master, "minmax"), w.layer.shape, w.layer.transposed);
  expect_same_constant(w.weight.constant(), start);
  EXPECT_TRUE(test::equal_bits(w.weight.value(), codec::dequantize(start)));
}

TEST_P(TrainedWeights, AreWhatTheirConstantSays) {
  auto w = test::in_training(GetParam());
  test::disturb(w.weight);
  EXPECT_TRUE(test::equal_bits(w.weight.value(), codec::dequantize(w.weight.constant())));
}

// The formulas of Grid and NumberFormat, spelled out: neither value() nor constant() can be wrong in the same way.
TEST_P(TrainedWeights, HaveTheCodeNearestToEachMaster) {
  auto w = test::in_training(GetParam());
  test::disturb(w.weight);
  const Tensor constant = w.weight.constant();
  const auto codes = codes_of(constant);
  const auto masters = test::real_masters(w.weight);
  const bool wide_unsigned = constant.dtype() == tensor::DType::u8;
  const int lowest = w.layer.grid.lowest_code(), highest = w.layer.grid.highest_code();
  const auto steps = static_cast<float>(w.layer.grid.format->levels.size() - 1);
  int64_t at_the_ends = 0;
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto p = codec::params_at(*constant.quantization(), static_cast<int64_t>(test::stored_group(GetParam(), i)));
    const float x = GetParam().map == fit::Map::kMinmax ? (masters[i] - p.offset) / (steps * p.scale) * steps
                                                        : masters[i] / p.scale;
    const int want = static_cast<int>(std::clamp(std::nearbyint(x) + static_cast<float>(p.zero),
                                                 static_cast<float>(lowest), static_cast<float>(highest)));
    const int got = wide_unsigned ? static_cast<uint8_t>(codes[i]) : codes[i];
    ASSERT_EQ(got, want) << "weight " << i << ", master " << masters[i] << ", scale " << p.scale;
    at_the_ends += want == lowest || want == highest;
  }
  EXPECT_GT(at_the_ends, 0);  // what is clipped has been seen
}

TEST_P(TrainedWeights, FinerStepsCoverTheSameRange) {
  auto w = test::in_training(GetParam());
  test::disturb(w.weight);
  const Tensor constant = w.weight.constant();
  const auto masters = test::real_masters(w.weight);
  w.weight.set_fineness(17);
  const Tensor finer = w.weight.value();
  const auto y = finer.values<float>();
  for (size_t i = 0; i < y.size(); ++i) {
    const auto p = codec::params_at(*constant.quantization(), static_cast<int64_t>(test::stored_group(GetParam(), i)));
    const double low = double{p.scale} * (w.layer.grid.lowest_code() - p.zero) + double{p.offset},
                 high = double{p.scale} * (w.layer.grid.highest_code() - p.zero) + double{p.offset};
    const double nearest = std::clamp(double{masters[i]}, low, high);
    // Half a step, and the rounding of sums of numbers below |low| + |high| + |offset|.
    const double rounding = 4 * std::ldexp(1.0, -24) * (std::fabs(low) + std::fabs(high) + std::fabs(double{p.offset}));
    ASSERT_NEAR(double{y[i]}, nearest, double{p.scale} / 17 / 2 + rounding) << i;
  }
}

TEST_P(TrainedWeights, AreFittedAnewAsQuantizationDoes) {
  auto w = test::in_training(GetParam());
  test::disturb(w.weight);
  for (const char* clip : {"minmax", "mse"}) {
    quant::Scheme scheme = quant::parse_scheme("W4A16");
    scheme.clip = fit::find_clip_rule(clip);
    base::ThreadPool pool(1);
    w.weight.refit(scheme, pool);
    const Tensor real = Tensor::of<float>(w.layer.shape, test::real_masters(w.weight));
    expect_same_constant(w.weight.constant(),
                         fit::to_tensor(test::quantize(w.layer, real, clip), w.layer.shape, w.layer.transposed));
  }
}

TEST_P(TrainedWeights, CoverTheirRange) {
  auto w = test::in_training(GetParam());
  test::disturb(w.weight);
  w.weight.cover_range();
  const Tensor constant = w.weight.constant();
  const Tensor value = w.weight.value();
  const auto y = value.values<float>();
  const auto masters = test::real_masters(w.weight);
  for (size_t i = 0; i < y.size(); ++i) {
    const auto p = codec::params_at(*constant.quantization(), static_cast<int64_t>(test::stored_group(GetParam(), i)));
    // Nothing is clipped but by the rounding of a scale to 16 bits, half of 2^-10 of the range's end.
    const double end = double{p.scale} * static_cast<double>(w.layer.grid.format->levels.size());
    ASSERT_NEAR(double{y[i]}, double{masters[i]}, double{p.scale} / 2 + end * std::ldexp(1.0, -11)) << i;
  }
}

TEST_P(TrainedWeights, ComeBackFromACheckpoint) {
  auto a = test::in_training(GetParam());
  test::disturb(a.weight);
  a.weight.track({0.01, 0.0});
  for (float& u : a.weight.masters.mutable_values<float>()) u = -u;
  a.weight.track({0.01, 0.0});
  std::vector<io::NamedTensor> saved;
  a.weight.save("p.", saved);
  std::map<std::string, Tensor> by_name;
  for (const auto& t : saved) by_name[t.name] = t.tensor;
  auto b = test::in_training(GetParam());
  b.weight.load("p.", by_name);
  EXPECT_TRUE(test::equal_bits(b.weight.value(), a.weight.value()));
  expect_same_constant(b.weight.constant(), a.weight.constant());
  std::vector<io::NamedTensor> again;
  b.weight.save("p.", again);
  ASSERT_EQ(again.size(), saved.size());
  for (size_t i = 0; i < saved.size(); ++i) {
    EXPECT_EQ(again[i].name, saved[i].name);
    EXPECT_TRUE(std::ranges::equal(again[i].tensor.bytes(), saved[i].tensor.bytes())) << saved[i].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, TrainedWeights, testing::ValuesIn(test::weight_cases()), test::name_of_weight);

const WeightCase kPlain{"plain", "int4", fit::Map::kSymmetric, 0, false, false};

TEST(TrainedWeight, RefusesAStateThatDoesNotFit) {
  const auto saved_of = [](const WeightCase& c) {
    auto w = test::in_training(c);
    w.weight.track({});
    std::vector<io::NamedTensor> saved;
    w.weight.save("p.", saved);
    std::map<std::string, Tensor> by_name;
    for (const auto& t : saved) by_name[t.name] = t.tensor;
    return by_name;
  };
  const WeightCase affine{"affine", "uint4", fit::Map::kAffine, 0, false, false};
  const auto whole = saved_of(affine);
  const auto expect_refused = [&](const std::map<std::string, Tensor>& state, const std::string& name) {
    try {
      test::in_training(affine).weight.load("p.", state);
      ADD_FAILURE() << name << " was taken";
    } catch (const base::Error& e) {
      EXPECT_EQ(e.kind(), base::ErrorKind::kMalformed);
      EXPECT_NE(std::string(e.what()).find("\"p." + name + "\": is missing or does not fit"), std::string::npos)
          << e.what();
    }
  };
  for (const char* name : {"masters", "log_scale", "zero", "first_scale", "first_zero", "first_offset"}) {
    auto lacks = whole;
    ASSERT_EQ(lacks.erase(std::string("p.") + name), 1u);
    expect_refused(lacks, name);
  }
  for (const auto& [key, tensor] : whole) {
    auto other = whole;
    other[key] = Tensor(tensor.dtype(), {tensor.elements() + 1});
    expect_refused(other, key.substr(2));
    other[key] = Tensor(tensor::DType::f64, {tensor.elements()});
    expect_refused(other, key.substr(2));
  }
}

TEST(TrainedWeight, RefusesLevelsThatAreNotEvenlySpaced) {
  WeightCase c = kPlain;
  c.format = "nf4";
  try {
    test::in_training(c);
    ADD_FAILURE() << "nf4 was taken";
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), base::ErrorKind::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("evenly spaced levels, nf4 is none"), std::string::npos) << e.what();
  }
}

/// Sets one weight so that it has this code, a little above its middle.
void place(TrainedWeight& w, size_t index, int code, const Tensor& constant, float unit) {
  const auto p = codec::params_at(*constant.quantization(), static_cast<int64_t>(index / test::kColumns));
  w.masters.mutable_values<float>()[index] = (static_cast<float>(code) + 0.1f) * p.scale / unit;
}

// Nagel et al. 2022, equation 7: with momentum 0.01 the frequency of a weight that turns back at every step is
// 1 - 0.99^turns, which passes 0.1 with the eleventh turn.
TEST(TrainedWeight, WhatTurnsBackAllTheTimeIsFixed) {
  auto w = test::in_training(kPlain).weight;
  const Tensor start = w.constant();
  std::vector<float> unit;
  {
    auto ones = w;
    ones.masters = Tensor(tensor::DType::f32, w.masters.shape());
    for (float& u : ones.masters.mutable_values<float>()) u = 1;
    unit = test::real_masters(ones);
  }
  constexpr size_t kTurns = 5, kMoves = 3 * test::kColumns, kStays = 5 * test::kColumns + 7;
  const auto code = [&](size_t i) { return codes_of(w.constant())[i]; };
  const auto step = [&](int number) {
    place(w, kTurns, 3 + number % 2, start, unit[kTurns]);
    place(w, kMoves, -8 + number, start, unit[kMoves]);
    place(w, kStays, 2, start, unit[kStays]);
    EXPECT_EQ(code(kMoves), -8 + number);
    w.track({0.01, 0.1});
  };
  // The first call only looks; the second moves; every one from the third on is a turn.
  for (int number = 0; number <= 11; ++number) {
    step(number);
    EXPECT_EQ(code(kTurns), 3 + number % 2);
    EXPECT_EQ(w.frozen(), 0) << number;
  }
  // 1 - 0.99^3 = 0.0297 is above 0.02: one weight in all turns back in more than one of fifty steps.
  EXPECT_DOUBLE_EQ(w.oscillating(), 1.0 / (test::kRows * test::kColumns));
  step(12);
  EXPECT_EQ(w.frozen(), 1);
  EXPECT_EQ(code(kTurns), 3);  // the running mean of its codes has hardly left its first one
  step(13);
  EXPECT_EQ(code(kTurns), 3);
  EXPECT_EQ(w.value().values<float>()[kTurns], codec::dequantize(w.constant()).values<float>()[kTurns]);
  const auto gradient = w.backward(Tensor::of<float>(start.shape(), std::vector<float>(240, 1.0f)), 0, 0);
  EXPECT_EQ(gradient.masters.values<float>()[kTurns], 0.0f);
  EXPECT_NE(gradient.masters.values<float>()[kStays], 0.0f);
}

TEST(TrainedWeight, NothingIsFixedUnasked) {
  auto w = test::in_training(kPlain).weight;
  for (int i = 0; i < 100; ++i) {
    for (float& u : w.masters.mutable_values<float>()) u = -u;
    w.track({0.01, 0.0});
  }
  EXPECT_EQ(w.frozen(), 0);
  EXPECT_GT(w.oscillating(), 0.5);
}

TEST(TrainedWeight, WideWeightsAreNotFollowed) {
  WeightCase c = kPlain;
  c.format = "int8";
  auto w = test::in_training(c).weight;
  for (int i = 0; i < 100; ++i) {
    for (float& u : w.masters.mutable_values<float>()) u = -u;
    w.track({0.01, 0.01});
  }
  EXPECT_EQ(w.frozen(), 0);
  EXPECT_EQ(w.oscillating(), 0);
}

// A row of nothing has the unit of the whole tensor, a tensor of nothing that of 1: masters stay finite.
TEST(TrainedWeight, RowsOfZerosCanBeTrained) {
  const auto layer = test::layer_of(kPlain);
  for (const bool whole : {false, true}) {
    Tensor master = test::master_of(layer);
    std::fill_n(master.mutable_values<float>().begin(), whole ? 240 : 40, 0.0f);
    const Tensor codes = fit::to_tensor(test::quantize(layer, master, "minmax"), layer.shape, false);
    const TrainedWeight w(layer, master, codes, GridRule::kLsq, false);
    EXPECT_TRUE(test::equal_bits(w.value(), codec::dequantize(codes)));
    const auto g = w.backward(Tensor::of<float>(layer.shape, std::vector<float>(240, 1.0f)), 1, 1);
    for (const float v : g.masters.values<float>()) EXPECT_TRUE(std::isfinite(v));
    EXPECT_NE(g.masters.values<float>()[0], 0.0f);
  }
}

}  // namespace
}  // namespace nibble::train
