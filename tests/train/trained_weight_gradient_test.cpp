// Gradients of a trained weight against central differences, in double, of the function that they are gradients of:
// with v = (w - o) / s, value = s * (clamp(v, n, p) + r) + o, where r = round(v) - v is held still (straight through).
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "support/compare.h"
#include "train/trained_weight_cases.h"

namespace nibble::train {
namespace {

using tensor::Tensor;
using test::WeightCase;

/// The weight's numbers in double, as they are held still.
class Surrogate {
 public:
  Surrogate(const WeightCase& c, const test::WeightInTraining& w, int fineness) : case_(c) {
    const Tensor constant = [&] {
      auto plain = w.weight;
      plain.set_fineness(1);
      return plain.constant();
    }();
    const auto& q = *constant.quantization();
    const auto u = w.weight.masters.values<float>();
    auto ones = w.weight;
    ones.masters = Tensor(tensor::DType::f32, ones.masters.shape());
    for (float& x : ones.masters.mutable_values<float>()) x = 1;
    for (const float x : test::real_masters(ones)) unit.push_back(double{x});
    for (int64_t g = 0; g < q.scale.elements(); ++g) {
      const auto p = codec::params_at(q, g);
      scale.push_back(double{p.scale} / fineness);
      offset.push_back(double{p.offset});
      zero.push_back(p.zero * fineness);
    }
    lowest = w.layer.grid.lowest_code() * fineness;
    highest = w.layer.grid.highest_code() * fineness;
    for (size_t i = 0; i < u.size(); ++i) {
      master.push_back(double{u[i]});
      const double v = position(i, scale, offset, master);
      const size_t g = group(i);
      const double low = lowest - zero[g], high = highest - zero[g];
      const double clamped = std::clamp(v, low, high);
      inside.push_back(v >= low && v <= high);
      residual.push_back(std::nearbyint(clamped) - clamped);
      // No weight lies where rounding or clipping is about to change, so float and double agree on which it is.
      EXPECT_GT(std::fabs(std::fabs(clamped - std::floor(clamped)) - 0.5), 1e-5) << i;
      EXPECT_GT(std::min(std::fabs(v - low), std::fabs(v - high)), 1e-4) << i;
    }
  }

  size_t group(size_t i) const { return test::stored_group(case_, i); }
  double position(size_t i, const std::vector<double>& s, const std::vector<double>& o,
                  const std::vector<double>& m) const {
    return (m[i] * unit[i] - o[group(i)]) / s[group(i)];
  }
  double value(size_t i, const std::vector<double>& s, const std::vector<double>& z, const std::vector<double>& o,
               const std::vector<double>& m) const {
    const size_t g = group(i);
    const double v = std::clamp(position(i, s, o, m), lowest - z[g], highest - z[g]);
    return s[g] * (v + residual[i]) + o[g];
  }
  /// sum(weights * value)
  double loss(std::span<const float> weights, const std::vector<double>& s, const std::vector<double>& z,
              const std::vector<double>& o, const std::vector<double>& m) const {
    double sum = 0;
    for (size_t i = 0; i < residual.size(); ++i) sum += double{weights[i]} * value(i, s, z, o, m);
    return sum;
  }
  std::vector<double> zeros() const { return {zero.begin(), zero.end()}; }

  double lowest = 0, highest = 0;
  std::vector<double> unit, master, residual;  // by weight
  std::vector<double> scale, offset;           // by stored group, in the present fineness
  std::vector<int> zero;
  std::vector<bool> inside;

 private:
  WeightCase case_;
};

/// (f(x + h) - f(x - h)) / 2h, where `at` is put back.
double difference(double& at, double h, const std::function<double()>& f) {
  const double keep = at;
  at = keep + h;
  const double up = f();
  at = keep - h;
  const double down = f();
  at = keep;
  return (up - down) / (2 * h);
}

Tensor weights_of_loss(const tensor::Shape& shape) {
  base::Random random(3);
  Tensor t(tensor::DType::f32, shape, true);
  for (float& g : t.mutable_values<float>()) g = static_cast<float>(random.normal());
  return t;
}

/// The place of a group in a Gradients, which counts by row, among the stored ones.
size_t stored(const WeightCase& c, size_t group) {
  if (c.per_tensor || c.group == 0 || !c.transposed) return group;
  return group % 3 * test::kRows + group / 3;
}

class WeightGradients : public testing::TestWithParam<WeightCase> {
 protected:
  void check(int fineness) {
    const WeightCase& c = GetParam();
    auto w = test::in_training(c);
    test::disturb(w.weight);
    const Surrogate f(c, w, fineness);
    if (HasFailure()) return;
    w.weight.set_fineness(fineness);
    const Tensor weights = weights_of_loss(w.layer.shape);
    const auto g = weights.values<float>();
    const auto got = w.weight.backward(weights, 0, 0);

    // v is the result of four roundings to float32 of numbers below 2^p; every level is exact.
    const double rounding = 4 * std::ldexp(1.0, -24) * (std::fabs(f.lowest) + std::fabs(f.highest) + 256);
    std::vector<double> s = f.scale, z = f.zeros(), o = f.offset, m = f.master;
    const auto loss = [&] { return f.loss(g, s, z, o, m); };

    for (size_t i = 0; i < m.size(); ++i) {
      const double want = difference(m[i], 1e-6, [&] { return double{g[i]} * f.value(i, s, z, o, m); });
      // The masters' own loss is linear between its corners: what is left are roundings of double over the step.
      ASSERT_NEAR(double{got.masters.values<float>()[i]}, want, 1e-7 * std::fabs(double{g[i]} * f.unit[i]) + 1e-8) << i;
      ASSERT_EQ(got.masters.values<float>()[i] != 0.0f, f.inside[i]) << i;
    }
    const size_t groups = s.size();
    for (size_t k = 0; k < groups; ++k) {
      const size_t at = stored(c, k);
      const double levels = std::max(1.0, f.highest - f.zero[at]);
      const double damp = 1 / std::sqrt(static_cast<double>(m.size()) / static_cast<double>(groups) * levels);
      double sum = 0;
      for (size_t i = 0; i < m.size(); ++i)
        if (f.group(i) == at) sum += std::fabs(double{g[i]});
      const double scale = s[at];
      double t = 0;  // the logarithm over the present scale
      const double want = difference(t, 1e-5, [&] {
        s[at] = scale * std::exp(t);
        const double l = loss();
        s[at] = scale;
        return l;
      });
      ASSERT_NEAR(double{got.log_scale.values<float>()[k]}, damp * want, damp * scale * sum * rounding) << k;
      if (!got.zero) continue;
      // Offsets are counted in units of the first scale, zero points in codes.
      const bool offsets = c.map == fit::Map::kMinmax;
      const double unit = offsets ? offset_unit(c, at) : fineness;
      const double by_zero = difference(offsets ? o[at] : z[at], 1e-5, loss) * unit;
      ASSERT_NEAR(double{got.zero.values<float>()[k]}, damp * by_zero, damp * sum * scale * 1e-5) << k;
    }
  }

  static double offset_unit(const WeightCase& c, size_t at) {
    const auto w = test::in_training(c);
    return double{codec::params_at(*w.weight.constant().quantization(), static_cast<int64_t>(at)).scale};
  }
};

TEST_P(WeightGradients, AreCentralDifferences) { check(1); }
TEST_P(WeightGradients, AreCentralDifferencesInFinerSteps) { check(17); }

TEST_P(WeightGradients, OfFloatsPassThrough) {
  auto w = test::in_training(GetParam());
  test::disturb(w.weight);
  const Surrogate f(GetParam(), w, 1);
  w.weight.set_fineness(0);
  const Tensor weights = weights_of_loss(w.layer.shape);
  const auto got = w.weight.backward(weights, 1, 0);
  for (size_t i = 0; i < f.unit.size(); ++i)
    ASSERT_EQ(got.masters.values<float>()[i], weights.values<float>()[i] * static_cast<float>(f.unit[i]));
  for (const float v : got.log_scale.values<float>()) ASSERT_EQ(v, 0.0f);
}

// PACT: only what is clipped moves the range. STE: the range follows from the data, and nothing is clipped for long.
TEST_P(WeightGradients, FollowTheirRule) {
  const WeightCase& c = GetParam();
  const Tensor weights = weights_of_loss(test::layer_of(c).shape);
  const auto g = weights.values<float>();
  auto pact = test::in_training(c, GridRule::kPact);
  test::disturb(pact.weight);
  const Surrogate f(c, pact, 1);
  const auto got = pact.weight.backward(weights, 0, 0);
  for (size_t k = 0; k < f.scale.size(); ++k) {
    const size_t at = stored(c, k);
    const double levels = std::max(1.0, f.highest - f.zero[at]);
    const double damp = 1 / std::sqrt(static_cast<double>(g.size()) / static_cast<double>(f.scale.size()) * levels);
    double want = 0, sum = 0;
    for (size_t i = 0; i < g.size(); ++i)
      if (f.group(i) == at && !f.inside[i]) {
        const double end = f.master[i] * f.unit[i] > f.offset[at] + f.scale[at] * (f.lowest - f.zero[at])
                               ? f.highest - f.zero[at]
                               : f.lowest - f.zero[at];
        want += double{g[i]} * end * f.scale[at] * damp;
        sum += std::fabs(double{g[i]} * end * f.scale[at] * damp);
      }
    ASSERT_NEAR(double{got.log_scale.values<float>()[k]}, want, sum * std::ldexp(1.0, -22)) << k;
  }
  auto ste = test::in_training(c, GridRule::kSte);
  test::disturb(ste.weight);
  const auto through = ste.weight.backward(weights, 0, 0);
  for (size_t i = 0; i < g.size(); ++i)
    ASSERT_EQ(through.masters.values<float>()[i], g[i] * static_cast<float>(f.unit[i])) << i;
  for (const float v : through.log_scale.values<float>()) ASSERT_EQ(v, 0.0f);
  if (through.zero) {
    for (const float v : through.zero.values<float>()) ASSERT_EQ(v, 0.0f);
  }
}

// damping * mean(((value - clamp(master)) / scale)^2), with the values held still.
TEST_P(WeightGradients, OfDampingAreCentralDifferences) {
  const WeightCase& c = GetParam();
  auto w = test::in_training(c);
  test::disturb(w.weight);
  const Surrogate f(c, w, 1);
  constexpr double kDamping = 3;
  const Tensor nothing(tensor::DType::f32, w.layer.shape);
  const auto got = w.weight.backward(nothing, kDamping, 0);
  std::vector<double> m = f.master;
  const double count = static_cast<double>(m.size());
  for (size_t i = 0; i < m.size(); ++i) {
    const size_t k = f.group(i);
    const double level =
        std::clamp(f.position(i, f.scale, f.offset, m), f.lowest - f.zero[k], f.highest - f.zero[k]) + f.residual[i];
    const double want = difference(m[i], 1e-6, [&] {
      const double v = std::clamp(f.position(i, f.scale, f.offset, m), f.lowest - f.zero[k], f.highest - f.zero[k]);
      return kDamping / count * (level - v) * (level - v);
    });
    const double slope = 2 * kDamping / count * f.unit[i] / f.scale[k];
    const double rounding = 4 * std::ldexp(1.0, -24) * (std::fabs(f.lowest) + std::fabs(f.highest) + 256);
    ASSERT_NEAR(double{got.masters.values<float>()[i]}, want, slope * rounding + 1e-9 * slope) << i;
  }
  for (const float v : got.log_scale.values<float>()) ASSERT_EQ(v, 0.0f);
}

INSTANTIATE_TEST_SUITE_P(Forms, WeightGradients, testing::ValuesIn(test::weight_cases()), test::name_of_weight);

// kurtosis * (fourth moment / variance^2 - 1.8)^2, in double, by a difference of fourth order.
TEST(WeightGradient, OfKurtosisIsTheCentralDifference) {
  const WeightCase plain{"plain", "int4", fit::Map::kSymmetric, 0, false, false};
  auto w = test::in_training(plain);
  test::disturb(w.weight);
  constexpr double kKurtosis = 2;
  const Tensor nothing(tensor::DType::f32, w.layer.shape);
  const auto got = w.weight.backward(nothing, 0, kKurtosis);
  std::vector<double> u;
  for (const float x : w.weight.masters.values<float>()) u.push_back(double{x});
  const auto loss = [&] {
    double mean = 0, m2 = 0, m4 = 0;
    const double n = static_cast<double>(u.size());
    for (const double x : u) mean += x / n;
    for (const double x : u) {
      m2 += std::pow(x - mean, 2) / n;
      m4 += std::pow(x - mean, 4) / n;
    }
    return kKurtosis * std::pow(m4 / (m2 * m2) - 1.8, 2);
  };
  ASSERT_GT(loss(), 0.1);
  std::vector<double> want;
  double largest = 0;
  for (double& x : u) {
    want.push_back((4 * difference(x, 1e-3, loss) - difference(x, 2e-3, loss)) / 3);
    largest = std::max(largest, std::fabs(want.back()));
  }
  for (size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(double{got.masters.values<float>()[i]}, want[i], largest * std::ldexp(1.0, -22)) << i;
  for (const float v : got.log_scale.values<float>()) ASSERT_EQ(v, 0.0f);
}

}  // namespace
}  // namespace nibble::train
