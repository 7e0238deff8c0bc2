// Losses, and what a slice gives back, against closed forms; slices of a batch against the batch.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>

#include "support/compare.h"
#include "support/graph_builder.h"
#include "train/module.h"

namespace nibble::train {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using test::GraphBuilder;

constexpr int64_t kClasses = 5;
constexpr double kRounding = 0x1p-20;  // sixteen rounding errors of numbers of the order 1, in single precision

std::vector<double> softmax(std::span<const float> logits, double temperature) {
  double sum = 0, most = -1e30;
  for (const float l : logits) most = std::max(most, double{l});
  std::vector<double> p;
  for (const float l : logits) p.push_back(std::exp((double{l} - most) / temperature));
  for (const double v : p) sum += v;
  for (double& v : p) v /= sum;
  return p;
}

Tensor rows_of(const Tensor& t, int64_t begin, int64_t end) {
  const int64_t row = t.elements() / t.shape()[0];
  Shape shape = t.shape();
  shape[0] = end - begin;
  return Tensor::of<float>(
      shape, t.values<float>().subspan(static_cast<size_t>(begin * row), static_cast<size_t>((end - begin) * row)));
}

/// logits = x + b, b varies: its gradient is that of the logits, added over the samples.
struct Shifted {
  Tensor x = GraphBuilder::random_tensor("x", {6, kClasses}), b = GraphBuilder::random_tensor("b", {kClasses});
  Tensor teacher = GraphBuilder::random_tensor("teacher", {6, kClasses}, 2);
  std::vector<std::optional<int64_t>> labels{0, 4, std::nullopt, 2, 2, 1};

  std::unique_ptr<Autograd> autograd(bool classes) const {
    GraphBuilder g;
    const auto input = g.input("x", {tensor::kUnknown, kClasses});
    const auto shift = g.constant("b", b);
    const auto y = g.node("Add", {input, shift}, "y");
    TrainableGraph t;
    t.graph = g.finish({y});
    t.constants = {shift};
    if (classes) t.logits = y;
    t.features = {y};
    return load_module().make_autograd(std::move(t));
  }
  /// The slice [begin, end) with every term of the loss that is asked for; `keep` holds what it views.
  struct Kept {
    std::vector<Tensor> inputs, constants;
    std::vector<std::optional<int64_t>> labels;
  };
  Slice slice(int64_t begin, int64_t end, Kept& keep) const {
    keep.inputs = {rows_of(x, begin, end)};
    keep.constants = {b};
    keep.labels.assign(labels.begin() + begin, labels.begin() + end);
    Slice s;
    s.inputs = keep.inputs;
    s.constants = keep.constants;
    s.batch = 6;
    return s;
  }
  std::vector<float> logits(int64_t sample) const {
    std::vector<float> l;
    for (int64_t k = 0; k < kClasses; ++k)
      l.push_back(x.values<float>()[static_cast<size_t>(sample * kClasses + k)] +
                  b.values<float>()[static_cast<size_t>(k)]);
    return l;
  }
};

void expect_gradient(const Tensor& got, const std::vector<double>& want) {
  ASSERT_EQ(got.elements(), static_cast<int64_t>(want.size()));
  for (size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(double{got.values<float>()[i]}, want[i], kRounding * std::max(1.0, std::fabs(want[i])));
}

TEST(Autograd, CrossEntropyWithSmoothing) {
  NIBBLE_REQUIRE_TRAINING();
  const Shifted net;
  for (const double smoothing : {0.0, 0.1}) {
    Shifted::Kept keep;
    Slice s = net.slice(0, 6, keep);
    s.labels = keep.labels;
    s.label_weight = 0.75;
    s.label_smoothing = smoothing;
    const SliceResult r = net.autograd(true)->run(s);
    double loss = 0;
    int64_t right = 0;
    std::vector<double> gradient(kClasses);
    for (int64_t n = 0; n < 6; ++n) {
      if (!net.labels[static_cast<size_t>(n)]) continue;  // no label, no loss
      const auto logits = net.logits(n);
      const auto p = softmax(logits, 1);
      const int64_t label = *net.labels[static_cast<size_t>(n)];
      right += std::max_element(logits.begin(), logits.end()) - logits.begin() == label;
      for (int64_t k = 0; k < kClasses; ++k) {
        const auto i = static_cast<size_t>(k);
        const double wanted = (k == label ? 1 - smoothing : 0) + smoothing / kClasses;
        loss -= 0.75 / 6 * wanted * std::log(p[i]);
        gradient[i] += 0.75 / 6 * (p[i] - wanted);
      }
    }
    EXPECT_NEAR(r.label_loss, loss, kRounding * loss);
    EXPECT_EQ(r.teacher_loss, 0);
    EXPECT_EQ(r.right, right);
    expect_gradient(r.constants.at(0), gradient);
    EXPECT_EQ(net.autograd(true)->forward(s).label_loss, r.label_loss);
  }
}

TEST(Autograd, DistillationAtATemperature) {
  NIBBLE_REQUIRE_TRAINING();
  const Shifted net;
  for (const double t : {1.0, 4.0}) {
    Shifted::Kept keep;
    Slice s = net.slice(0, 6, keep);
    s.teacher = {net.teacher};
    s.teacher_weight = 0.5;
    s.temperature = t;
    const SliceResult r = net.autograd(true)->run(s);
    double loss = 0;
    std::vector<double> gradient(kClasses);
    for (int64_t n = 0; n < 6; ++n) {
      const auto p = softmax(net.logits(n), t);
      const auto wanted = softmax(net.teacher.values<float>().subspan(static_cast<size_t>(n * kClasses), kClasses), t);
      for (size_t k = 0; k < kClasses; ++k) {
        loss += 0.5 / 6 * t * t * wanted[k] * std::log(wanted[k] / p[k]);
        gradient[k] += 0.5 / 6 * t * (p[k] - wanted[k]);
      }
    }
    EXPECT_NEAR(r.teacher_loss, loss, kRounding * std::max(1.0, loss) * t * t);
    expect_gradient(r.constants.at(0), gradient);
  }
}

TEST(Autograd, OutputsAndFeaturesAreComparedByTheirRelativeError) {
  NIBBLE_REQUIRE_TRAINING();
  const Shifted net;
  const auto teacher = net.teacher.values<float>();
  double mean = 0, variance = 0, error = 0;
  for (const float v : teacher) mean += double{v} / 30;
  for (const float v : teacher) variance += (double{v} - mean) * (double{v} - mean) / 30;
  std::vector<double> gradient(kClasses);
  for (int64_t n = 0; n < 6; ++n)
    for (size_t k = 0; k < kClasses; ++k) {
      const double d = double{net.logits(n)[k]} - double{teacher[static_cast<size_t>(n) * kClasses + k]};
      error += d * d / 30 / variance;
      gradient[k] += 2 * d / 30 / variance;
    }
  Shifted::Kept keep;
  Slice s = net.slice(0, 6, keep);
  s.teacher = {net.teacher};
  s.teacher_variance = s.feature_variance = {variance};
  s.teacher_weight = 0.5;
  const SliceResult outputs = net.autograd(false)->run(s);
  EXPECT_NEAR(outputs.teacher_loss, 0.5 * error, kRounding * error);
  s.teacher_weight = 0;
  s.teacher_features = {net.teacher};
  s.feature_weight = 2;
  const SliceResult features = net.autograd(false)->run(s);
  EXPECT_NEAR(features.feature_loss, 2 * error, 2 * kRounding * error);
  std::vector<double> half = gradient, twice = gradient;
  for (double& v : half) v *= 0.5;
  for (double& v : twice) v *= 2;
  expect_gradient(outputs.constants.at(0), half);
  expect_gradient(features.constants.at(0), twice);
}

TEST(Autograd, SlicesAddUpToTheBatch) {
  NIBBLE_REQUIRE_TRAINING();
  const Shifted net;
  const auto autograd = net.autograd(true);
  const auto run = [&](int64_t begin, int64_t end) {
    Shifted::Kept keep;
    Slice s = net.slice(begin, end, keep);
    s.labels = keep.labels;
    s.label_weight = 1;
    s.teacher = {rows_of(net.teacher, begin, end)};
    s.teacher_weight = 1;
    s.temperature = 2;
    return autograd->run(s);
  };
  const SliceResult whole = run(0, 6), first = run(0, 4), second = run(4, 6);
  EXPECT_NEAR(first.loss() + second.loss(), whole.loss(), kRounding * whole.loss());
  EXPECT_EQ(first.right + second.right, whole.right);
  std::vector<double> sum;
  for (size_t k = 0; k < kClasses; ++k)
    sum.push_back(double{first.constants[0].values<float>()[k]} + double{second.constants[0].values<float>()[k]});
  expect_gradient(whole.constants[0], sum);
}

TEST(Autograd, BatchNormalizationSaysWhatItSaw) {
  NIBBLE_REQUIRE_TRAINING();
  const Tensor x = GraphBuilder::random_tensor("images", {4, 2, 3, 3}, 2),
               scale = GraphBuilder::random_tensor("s", {2});
  const Tensor bias = GraphBuilder::random_tensor("o", {2}), target = GraphBuilder::random_tensor("t", x.shape());
  GraphBuilder g;
  const auto input = g.input("x", x.shape());
  TrainableGraph t;
  t.constants = {g.constant("scale", scale), g.constant("bias", bias)};
  const auto zero = g.constant("mean", Tensor(DType::f32, {2})), one = g.weights("variance", {2});
  const auto y = g.node("BatchNormalization", {input, t.constants[0], t.constants[1], zero, one}, "y");
  t.graph = g.finish({y});
  t.batch_norms = {{0}};
  const std::vector<Tensor> inputs{x}, constants{scale, bias};
  Slice s;
  s.inputs = inputs;
  s.constants = constants;
  s.batch = 4;
  s.batch_statistics = true;
  s.teacher = {target};
  s.teacher_weight = 1;
  const SliceResult r = load_module().make_autograd(std::move(t))->run(s);
  ASSERT_EQ(r.batch_norms.size(), 1u);
  std::vector<double> scale_gradient(2), bias_gradient(2);
  for (size_t c = 0; c < 2; ++c) {
    const auto at = [c](size_t i) { return (i / 9 * 2 + c) * 9 + i % 9; };  // 36 values a channel
    double mean = 0, squares = 0;
    for (size_t i = 0; i < 36; ++i) mean += double{x.values<float>()[at(i)]} / 36;
    for (size_t i = 0; i < 36; ++i) squares += std::pow(double{x.values<float>()[at(i)]} - mean, 2);
    EXPECT_NEAR(double{r.batch_norms[0].mean.at(c)}, mean, kRounding);
    EXPECT_NEAR(double{r.batch_norms[0].variance.at(c)}, squares / 35, kRounding * squares / 35);
    for (size_t i = 0; i < 36; ++i) {
      const double centred = (double{x.values<float>()[at(i)]} - mean) / std::sqrt(squares / 36 + 1e-5);
      const double out = centred * double{scale.values<float>()[c]} + double{bias.values<float>()[c]};
      const double d = 2 * (out - double{target.values<float>()[at(i)]}) / 72;
      scale_gradient[c] += d * centred;
      bias_gradient[c] += d;
    }
  }
  expect_gradient(r.constants.at(0), scale_gradient);
  expect_gradient(r.constants.at(1), bias_gradient);
}

/// y = DequantizeLinear(QuantizeLinear(x + b)).
TEST(Autograd, AnActivationIsFakeQuantized) {
  NIBBLE_REQUIRE_TRAINING();
  const Tensor x = GraphBuilder::random_tensor("x", {8, 4}, 2), b = GraphBuilder::random_tensor("b", {4});
  const Tensor target = GraphBuilder::random_tensor("target", {8, 4});
  GraphBuilder g;
  const auto input = g.input("x", x.shape());
  TrainableGraph t;
  t.constants = {g.constant("b", b)};
  const auto sum = g.node("Add", {input, t.constants[0]}, "sum");
  const auto scale = g.constant("scale", Tensor::scalar(1.0f)), zero = g.constant("zero", Tensor(DType::u8, {}));
  const auto codes = g.node("QuantizeLinear", {sum, scale, zero}, "codes");
  const auto y = g.node("DequantizeLinear", {codes, scale, zero}, "y");
  t.graph = g.finish({y});
  t.activations = {{1, sum, y}};
  const auto autograd = load_module().make_autograd(std::move(t));
  const std::vector<Tensor> inputs{x}, constants{b};
  Tensor shifted(DType::f32, {8, 4}, true);
  for (size_t i = 0; i < 32; ++i) shifted.mutable_values<float>()[i] = x.values<float>()[i] + b.values<float>()[i % 4];
  std::vector<ActivationGrid> grids{{.scale = 0.3f, .zero = 5, .lowest = 0, .highest = 15}};
  Slice s;
  s.inputs = inputs;
  s.constants = constants;
  s.activations = grids;
  s.batch = 8;
  s.teacher = {target};
  s.teacher_weight = 1;
  const double variance = 0.7;  // whatever the batch's was
  s.teacher_variance = {variance};
  for (const GridRule rule : {GridRule::kLsq, GridRule::kPact, GridRule::kSte}) {
    grids[0].rule = rule;
    std::vector<float> out(32), gy(32), gx(32);
    fake_quantize(shifted.values<float>(), out, grids[0]);
    for (size_t i = 0; i < 32; ++i)
      gy[i] = static_cast<float>(2 * (double{out[i]} - double{target.values<float>()[i]}) / 32 / variance);
    const GridGradient want = fake_quantize_backward(shifted.values<float>(), gy, gx, grids[0]);
    std::vector<double> gradient(4);
    for (size_t i = 0; i < 32; ++i) gradient[i % 4] += double{gx[i]};
    const SliceResult r = autograd->run(s);
    expect_gradient(r.constants.at(0), gradient);
    EXPECT_NEAR(r.activations.at(0).scale, want.scale, kRounding * std::max(1.0, std::fabs(want.scale)));
    EXPECT_NEAR(r.activations.at(0).zero, want.zero, kRounding * std::max(1.0, std::fabs(want.zero)));
  }
  grids[0].enabled = false;  // values pass: the loss is that of the sum itself
  double error = 0;
  for (size_t i = 0; i < 32; ++i)
    error += std::pow(double{shifted.values<float>()[i]} - double{target.values<float>()[i]}, 2) / 32 / variance;
  EXPECT_NEAR(autograd->run(s).teacher_loss, error, kRounding * error);
}

TEST(Autograd, TheSameBytesFromOneThreadOrTwo) {
  NIBBLE_REQUIRE_TRAINING();
  // A convolution, large enough that libtorch would cut it up if it were let.
  GraphBuilder g;
  const auto input = g.input("x", {8, 8, 24, 24});
  TrainableGraph t;
  const Tensor w = GraphBuilder::random_tensor("w", {16, 8, 3, 3}, 0.2);
  t.constants = {g.constant("w", w)};
  const auto y = g.node("Relu", {g.node("Conv", {input, t.constants[0]}, "conv")}, "y");
  t.graph = g.finish({y});
  const auto autograd = load_module().make_autograd(std::move(t));
  constexpr int kSlices = 6;
  const std::vector<Tensor> constants{w};
  const auto run = [&](int i) {
    const std::vector<Tensor> inputs{GraphBuilder::random_tensor("x" + std::to_string(i), {8, 8, 24, 24})};
    Slice s;
    s.inputs = inputs;
    s.constants = constants;
    s.batch = 8 * kSlices;
    s.teacher = {GraphBuilder::random_tensor("y" + std::to_string(i), {8, 16, 22, 22})};
    s.teacher_weight = 1;
    return autograd->run(s);
  };
  std::vector<SliceResult> one(kSlices), two(kSlices);
  for (int i = 0; i < kSlices; ++i) one[static_cast<size_t>(i)] = run(i);
  const auto half = [&](int first) {
    for (int i = first; i < kSlices; i += 2) two[static_cast<size_t>(i)] = run(i);
  };
  std::thread other(half, 1);
  half(0);
  other.join();
  for (size_t i = 0; i < kSlices; ++i) {
    EXPECT_TRUE(test::equal_bits(two[i].constants[0], one[i].constants[0])) << "slice " << i;
    EXPECT_EQ(two[i].teacher_loss, one[i].teacher_loss);
  }
  EXPECT_FALSE(test::equal_bits(one[0].constants[0], one[1].constants[0]));
}

}  // namespace
}  // namespace nibble::train
