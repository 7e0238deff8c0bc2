#include "train/student.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/save.h"
#include "support/compare.h"
#include "train/training_network.h"

namespace nibble::train {
namespace {

using tensor::Tensor;

Student student_of(const test::QuantizedNetwork& q, Quantizer quantizer = Quantizer::kLsqPlus) {
  return Student(q.quantized, q.prepared, q.plan, quantizer);
}

class Students : public testing::TestWithParam<const char*> {};

// No step, no change: the same codes, scales, zero points and biases, bit for bit.
TEST_P(Students, StartAsTheQuantizedNetwork) {
  for (const bool normalized : {false, true}) {
    const auto q = test::quantize_network(test::training_network(), GetParam(), normalized);
    EXPECT_EQ(model::first_difference(student_of(q).graph(), q.quantized), "");
    // What autograd computes with is what the constants say.
    const Student s = student_of(q);
    const TrainableGraph t = s.trainable({});
    const auto constants = s.constants();
    ASSERT_EQ(t.constants.size(), constants.size());
    for (size_t i = 0; i < constants.size(); ++i) {
      const Tensor& c = q.quantized.value(t.constants[i]).constant;
      EXPECT_TRUE(test::equal_bits(constants[i], c.quantization() ? codec::dequantize(c) : c))
          << q.quantized.value(t.constants[i]).name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Schemes, Students,
                         testing::Values("W4A4", "W4A8", "W4A16", "W8A8", "W4A16:map=minmax",
                                         "W4A16:int4,group=channel", "W4A4:positions=all", "W4A4:group=tensor",
                                         "W4A4:keep=first,keep=last:16"));

TEST(Student, LeavesNothingBehindInItsNetwork) {
  const auto q = test::quantize_network(test::training_network(), "W4A4");
  Student s = student_of(q);
  for (const auto& group : s.parameters())
    for (Tensor p : group.parameters)
      for (float& v : p.mutable_values<float>()) v += 0.25f;
  EXPECT_NE(model::first_difference(s.graph(), q.quantized), "");
  EXPECT_EQ(model::first_difference(student_of(q).graph(), q.quantized), "");
}

TEST(Student, NamesItsParameters) {
  const auto q = test::quantize_network(test::training_network(), "W4A4:bias-correction=off", true);
  const Student s = student_of(q);
  size_t count = 0;
  int64_t elements = 0;
  for (const auto& group : s.parameters())
    for (const Tensor& p : group.parameters) ++count, elements += p.elements();
  const auto names = s.parameter_names();
  EXPECT_EQ(names.size(), count);
  EXPECT_EQ(s.parameter_count(), elements);
  EXPECT_EQ(s.weight_count(), 8 * 2 * 9 + 8 * 9 + 8 * 3);
  for (const char* wanted : {"w1", "wd", "w2", "b1", "bd", "b2", "gamma", "beta", "scale of w1", "scale of x"})
    EXPECT_EQ(std::count(names.begin(), names.end(), wanted), 1) << wanted;
}

TEST(Student, ComesBackFromItsState) {
  const auto q = test::quantize_network(test::training_network(), "W4A4", true);
  for (const Quantizer quantizer : {Quantizer::kLsq, Quantizer::kLsqPlus, Quantizer::kPact, Quantizer::kSte}) {
    Student a = student_of(q, quantizer);
    a.finish_step({}, {0.1, 0.5}, 0.9);
    for (const auto& group : a.parameters())
      for (Tensor p : group.parameters)
        for (float& v : p.mutable_values<float>()) v = v * -0.75f + 0.125f;
    a.set_bias_units({{a.biases()[0].first, 3.0f}});
    a.finish_step({}, {0.1, 0.5}, 0.9);
    Student b = student_of(q, quantizer);
    b.load(a.state());
    EXPECT_EQ(model::first_difference(a.graph(), b.graph()), "");
    a.swap_averages();
    b.swap_averages();
    EXPECT_EQ(model::first_difference(a.graph(), b.graph()), "");
    const auto x = a.state(), y = b.state();
    ASSERT_EQ(x.size(), y.size());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(x[i].name, y[i].name);
      EXPECT_TRUE(std::ranges::equal(x[i].tensor.bytes(), y[i].tensor.bytes())) << x[i].name;
    }
  }
}

TEST(Student, RefusesAStateThatDoesNotFit) {
  const auto q = test::quantize_network(test::training_network(), "W4A4", true);
  Student a = student_of(q);
  a.finish_step({}, {}, 0.9);
  const auto whole = a.state();
  const auto refusal = [&](const std::vector<io::NamedTensor>& state) -> std::string {
    try {
      student_of(q).load(state);
    } catch (const base::Error& e) {
      EXPECT_EQ(e.kind(), base::ErrorKind::kMalformed);
      return e.what();
    }
    return "";
  };
  ASSERT_EQ(refusal(whole), "");
  for (size_t i = 0; i < whole.size(); ++i) {
    const std::string& name = whole[i].name;
    // Averages may be absent altogether, and so may what follows oscillations: no step has been made then.
    const bool optional = name == "average.0" || name.find("turning") != std::string::npos ||
                          name.find("_code") != std::string::npos || name.find("_direction") != std::string::npos;
    auto without = whole;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    if (!optional) {
      EXPECT_NE(refusal(without).find("\"" + name + "\": is missing"), std::string::npos) << name;
    }
    auto longer = whole;
    longer[i].tensor = Tensor(whole[i].tensor.dtype(), {whole[i].tensor.elements() + 1});
    EXPECT_NE(refusal(longer).find("\"" + name + "\": is missing or does not fit"), std::string::npos) << name;
  }
}

// Numbers that a training never has: they would leave the range of an integer, or make every weight zero.
TEST(Student, RefusesNumbersThatNoTrainingHas) {
  const auto q = test::quantize_network(test::training_network(), "W4A4", true);
  const auto whole = student_of(q).state();
  const auto expect_refused = [&](const std::string& name, size_t index, float value) {
    auto state = whole;
    bool found = false;
    for (auto& t : state) {
      if (t.name != name) continue;
      found = true;
      t.tensor = Tensor::of<float>(t.tensor.shape(), t.tensor.values<float>());
      t.tensor.mutable_values<float>()[index] = value;
    }
    ASSERT_TRUE(found) << name;
    try {
      student_of(q).load(state);
      ADD_FAILURE() << name << " was taken with " << value;
    } catch (const base::Error& e) {
      EXPECT_EQ(e.kind(), base::ErrorKind::kMalformed);
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
    }
  };
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {nan, infinity}) {
    for (const char* name : {"weight.0.masters", "weight.0.log_scale", "weight.0.first_scale", "weight.0.first_offset",
                             "constant.0", "constant.0.unit", "batch_norm.0.3", "batch_norm.0.4"})
      expect_refused(name, 0, bad);
    for (size_t i = 0; i < 4; ++i) expect_refused("activation.0", i, bad);
  }
  for (const float bad : {0.0f, -1.0f}) {
    expect_refused("weight.0.first_scale", 1, bad);
    expect_refused("constant.0.unit", 0, bad);
    expect_refused("activation.0", 0, bad);
  }
  expect_refused("activation.0", 1, 16.0f);
  expect_refused("activation.0", 1, -1.0f);
}

// In 8 bits the values are at most half of the finer steps from the floats, and in 16 they are the floats.
TEST(Student, IsFinerForAWhile) {
  const auto q = test::quantize_network(test::training_network(), "W4A4");
  Student s = student_of(q);
  s.set_bits(16, 16);
  const auto floats = s.constants();
  for (const ActivationGrid& g : s.grids()) EXPECT_FALSE(g.enabled);
  const auto distance = [&] {
    double sum = 0;
    const auto now = s.constants();
    for (size_t i = 0; i < 3; ++i)
      for (size_t k = 0; k < now[i].values<float>().size(); ++k)
        sum += std::pow(double{now[i].values<float>()[k]} - double{floats[i].values<float>()[k]}, 2);
    return std::sqrt(sum);
  };
  s.set_bits(8, 8);
  const double eight = distance();
  for (const ActivationGrid& g : s.grids()) {
    EXPECT_TRUE(g.enabled);
    EXPECT_EQ(g.highest, 255);
  }
  s.set_bits(0, 0);
  const double four = distance();
  for (const ActivationGrid& g : s.grids()) EXPECT_EQ(g.highest, 15);
  EXPECT_GT(eight, 0);
  EXPECT_LT(eight, four / 4);
  EXPECT_EQ(model::first_difference(s.graph(), q.quantized), "");
}

// The average of a parameter that goes 0, 1, 1, ...: kept with (1 + n) / (10 + n) until that passes what was asked for.
TEST(Student, AveragesItsParameters) {
  const auto q = test::quantize_network(test::training_network(), "W4A16");
  Student s = student_of(q, Quantizer::kLsq);
  Tensor p = s.parameters()[Student::kOthers].parameters[0];
  const auto set = [&](float v) { std::fill_n(p.mutable_values<float>().data(), p.elements(), v); };
  set(0);
  s.finish_step({}, {}, 0.3);
  double want = 0;
  for (int n = 2; n < 8; ++n) {
    set(1);
    s.finish_step({}, {}, 0.3);
    const double keep = std::min(0.3, (1.0 + n) / (10.0 + n));
    want = keep * want + (1 - keep);
    s.swap_averages();
    EXPECT_NEAR(double{p.values<float>()[0]}, want, 1e-6) << n;
    s.swap_averages();
    EXPECT_EQ(p.values<float>()[0], 1.0f);
  }
}

TEST(Student, ChoosesItsScalesAnew) {
  const auto q = test::quantize_network(test::training_network(), "W4A8");
  Student s = student_of(q);
  for (const auto& group : s.parameters())
    for (Tensor p : group.parameters) std::fill_n(p.mutable_values<float>().begin(), 1, 0.5f);
  base::ThreadPool pool(2);
  s.refit_weights(q.plan.scheme, pool);
  s.use_ranges(q.plan);
  const auto groups = s.parameters();
  for (const size_t kind : {Student::kWeightScales, Student::kActivationScales})
    for (const Tensor& p : groups[kind].parameters)
      for (const float v : p.values<float>()) EXPECT_EQ(v, 0.0f);
}

}  // namespace
}  // namespace nibble::train
