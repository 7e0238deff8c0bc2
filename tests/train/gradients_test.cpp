// Every operator of the table of gradients: forward and backward in libtorch against our own Session and its central
// differences. The cases are in the files *_gradients_test.cpp.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "train/one_operator.h"

namespace nibble::test {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::Tensor;

constexpr double kUnit = 0x1p-24;  // half the distance of 1 to the next float

Tensor as_floats(const Tensor& t) {
  if (t.dtype() == DType::f32) return t;
  Tensor out(DType::f32, t.shape(), true);
  auto to = out.mutable_values<float>();
  const auto copy = [&](const auto& from) {
    std::transform(from.begin(), from.end(), to.begin(), [](auto v) { return static_cast<float>(v); });
  };
  if (t.dtype() == DType::i64)
    copy(t.values<int64_t>());
  else if (t.dtype() == DType::i32)
    copy(t.values<int32_t>());
  else
    for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>(t.bytes()[i]);
  return out;
}

Tensor shape_of(const Tensor& t) {
  Tensor out(DType::f32, {t.rank()}, true);
  std::transform(t.shape().begin(), t.shape().end(), out.mutable_values<float>().begin(),
                 [](int64_t size) { return static_cast<float>(size); });
  return out;
}

double largest(const Tensor& t) {
  double most = 0;
  for (const float v : t.values<float>()) most = std::max(most, std::fabs(double{v}));
  return most;
}

/// d loss / d (output - target) over (output - target), for the loss mean((output - target)^2) * samples of one output
/// among `count` that weigh 1 each.
double slope(const Tensor& target) {
  const double samples = target.rank() > 0 ? static_cast<double>(target.shape()[0]) : 1;
  return 2 / static_cast<double>(target.elements()) * samples;
}

Tensor moved(const Tensor& t, size_t element, double by) {
  Tensor out = Tensor::of<float>(t.shape(), t.values<float>());
  float& v = out.mutable_values<float>()[element];
  v = static_cast<float>(double{v} + by);
  return out;
}

}  // namespace

Tensor spread(Shape shape, double low, double high) {
  Tensor t(DType::f32, std::move(shape), true);
  auto v = t.mutable_values<float>();
  const double each = (high - low) / static_cast<double>(v.size());
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(low + each * (static_cast<double>(i) + 0.5));
  base::Random random(v.size());
  for (size_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[random.below(i)]);
  return t;
}
Tensor eighths(Shape shape) {
  int64_t n = 1;
  for (const int64_t s : shape) n *= s;
  return spread(std::move(shape), -static_cast<double>(n) / 16, static_cast<double>(n) / 16);
}
namespace {
int next_tensor = 0;
}  // namespace
void restart_numbers() { next_tensor = 0; }
Tensor normal(Shape shape, double scale) {
  return GraphBuilder::random_tensor("normal " + std::to_string(next_tensor++), std::move(shape), scale);
}
Tensor truths(Shape shape, const std::vector<uint8_t>& values) {
  Tensor t(DType::boolean, std::move(shape), true);
  for (size_t i = 0; i < values.size(); ++i) t.mutable_bytes()[i] = std::byte{values[i]};
  return t;
}

testing::AssertionResult within(double got, double want, double bound) {
  if (std::fabs(got - want) <= bound) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "got " << got << ", want " << want << " within " << bound;
}

OperatorCheck::OperatorCheck(const OperatorCase& c) : case_(c) {
  GraphBuilder plain, trained;
  graph::Node node;
  node.op = c.op;
  node.name = "n";
  node.attributes = c.attributes;
  graph::Node trained_node = node;
  train::TrainableGraph t;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const std::string name = "in" + std::to_string(i);
    const Tensor& x = c.inputs[i];
    if (!x) {
      node.inputs.push_back(graph::kNoValue);
      trained_node.inputs.push_back(graph::kNoValue);
      continue;
    }
    trained_node.inputs.push_back(trained.constant(name, x));
    const bool fixed = std::find(c.fixed.begin(), c.fixed.end(), i) != c.fixed.end();
    if (x.dtype() == DType::f32 && !fixed) {
      node.inputs.push_back(plain.input(name, x.shape()));
      t.constants.push_back(trained_node.inputs.back());
      varying_.push_back(x);
    } else {
      node.inputs.push_back(plain.constant(name, x));
    }
  }
  std::vector<graph::ValueId> results, trained_results;
  for (int i = 0; i < c.outputs; ++i)
    for (auto* side : {&plain, &trained}) {
      graph::Value v;
      v.name = "out" + std::to_string(i);
      const auto id = side->graph.add_value(std::move(v));
      (side == &plain ? node : trained_node).outputs.push_back(id);
      (side == &plain ? results : trained_results).push_back(id);
    }
  plain.graph.add_node(std::move(node));
  trained.graph.add_node(std::move(trained_node));
  runtime::SessionOptions options;
  options.optimize = false;
  session_ = std::make_unique<runtime::Session>(plain.finish(results), pool_, options);
  plain_ = session_->run(varying_);
  for (const Tensor& y : plain_) targets_.push_back(as_floats(y));
  for (const Tensor& y : plain_) targets_.push_back(shape_of(y));
  // Behind every output, and behind its shape, a constant is added whose gradient tells what stands there.
  std::vector<graph::ValueId> ends;
  for (size_t i = 0; i < targets_.size(); ++i) {
    const std::string name = std::to_string(i);
    graph::ValueId v = trained_results[i % plain_.size()];
    const bool is_shape = i >= plain_.size();
    if (is_shape) v = trained.node("Shape", {v}, "shape" + name);
    if (is_shape || plain_[i].dtype() != DType::f32) v = trained.node("Cast", {v}, "cast" + name, {{"to", int64_t{1}}});
    t.constants.push_back(trained.constant("probe" + name, Tensor(DType::f32, targets_[i].shape())));
    ends.push_back(trained.node("Add", {v, t.constants.back()}, "end" + name));
  }
  t.graph = trained.finish(ends);
  autograd_ = train::load_module().make_autograd(std::move(t));
}

std::vector<Tensor> OperatorCheck::outputs(const std::vector<Tensor>& varying) const { return session_->run(varying); }

std::vector<Tensor> OperatorCheck::gradients(const std::vector<Tensor>& targets) const {
  std::vector<Tensor> constants = varying_;
  for (const Tensor& target : targets) constants.push_back(Tensor(DType::f32, target.shape()));
  train::Slice slice;
  slice.constants = constants;
  slice.teacher = targets;
  slice.teacher_weight = static_cast<double>(targets.size());
  return autograd_->run(slice).constants;
}

void OperatorCheck::check_forward() const {
  const auto found = gradients(targets_);
  for (size_t i = 0; i < targets_.size(); ++i) {
    const Tensor& probe = found[varying_.size() + i];
    ASSERT_EQ(probe.shape(), targets_[i].shape());
    const double factor = slope(targets_[i]);
    const double bound = i < plain_.size() ? case_.units * kUnit * std::max(1.0, largest(targets_[i])) : 0;
    for (size_t k = 0; k < probe.values<float>().size(); ++k) {
      const double want = double{targets_[i].values<float>()[k]};
      EXPECT_TRUE(within(want + double{probe.values<float>()[k]} / factor, want, bound))
          << (i < plain_.size() ? "output " : "shape of output ") << i % plain_.size() << ", element " << k;
    }
  }
}

// With D(h) = (S(x + h) - S(x - h)) / 2h of a smooth S, D(h) = S' + a h^2 + O(h^4), so that D(h/2) is wrong by
// |D(h) - D(h/2)| / 3 and terms of higher order: the bound is three times that. To it come the rounding errors of the
// outputs that moved, `units` of them each, and of the gradient itself.
void OperatorCheck::check_gradient() const {
  std::vector<Tensor> targets = targets_;
  for (Tensor& t : targets) {
    const Tensor noise = GraphBuilder::random_tensor("noise", t.shape(), std::max(1.0, largest(t)));
    Tensor sum = Tensor::of<float>(t.shape(), t.values<float>());
    for (size_t k = 0; k < sum.values<float>().size(); ++k) sum.mutable_values<float>()[k] += noise.values<float>()[k];
    t = sum;
  }
  const auto found = gradients(targets);
  for (size_t v = 0; v < varying_.size(); ++v) {
    ASSERT_EQ(found[v].shape(), varying_[v].shape());
    const double most = largest(found[v]);
    double loosest = 0;
    for (size_t e = 0; e < varying_[v].values<float>().size(); ++e) {
      double rounding = 0;
      const auto difference = [&](double h) {
        auto up = varying_, down = varying_;
        up[v] = moved(varying_[v], e, h);
        down[v] = moved(varying_[v], e, -h);
        const double moves = double{up[v].values<float>()[e]} - double{down[v].values<float>()[e]};
        const auto above = outputs(up), below = outputs(down);
        double sum = 0;
        rounding = 0;
        for (size_t i = 0; i < plain_.size(); ++i) {
          if (plain_[i].dtype() != DType::f32) continue;
          const auto weights = found[varying_.size() + i].values<float>();
          for (size_t k = 0; k < weights.size(); ++k) {
            const double a = double{above[i].values<float>()[k]}, b = double{below[i].values<float>()[k]};
            sum += double{weights[k]} * (a - b);
            if (a != b) rounding += std::fabs(double{weights[k]}) * (std::fabs(a) + std::fabs(b)) * case_.units * kUnit;
          }
        }
        rounding /= moves;
        return sum / moves;
      };
      const double wide = difference(case_.step), narrow = difference(case_.step / 2);
      const double bound = std::fabs(wide - narrow) + rounding + 2 * case_.units * kUnit * most;
      loosest = std::max(loosest, bound);
      EXPECT_TRUE(within(double{found[v].values<float>()[e]}, narrow, bound)) << "input " << v << ", element " << e;
    }
    EXPECT_LE(loosest, 0.03 * most) << "the bound for input " << v << " says too little";
  }
}

namespace {

std::vector<OperatorCase> all_cases() {
  std::vector<OperatorCase> all;
  for (auto family : {activation_cases, arithmetic_cases, reduction_cases, product_cases, normalization_cases,
                      movement_cases, indexing_cases, recurrent_cases})
    for (OperatorCase& c : family()) all.push_back(std::move(c));
  return all;
}

TEST(Gradients, EveryOperatorHasACase) {
  NIBBLE_REQUIRE_TRAINING();
  std::set<std::string> covered;
  for (const OperatorCase& c : all_cases()) covered.insert(c.op);
  for (const std::string_view op : train::load_module().operators())
    EXPECT_TRUE(covered.count(std::string(op))) << op << " has a gradient and no case";
}

TEST(Gradients, TheComparisonCanFail) {
  EXPECT_TRUE(within(1.0, 1.01, 0.011));
  EXPECT_FALSE(within(1.0, 1.01, 0.009));
  EXPECT_FALSE(within(std::nan(""), 1, 1e9));
  EXPECT_FALSE(within(1, std::nan(""), 1e9));
}

TEST(Gradients, AStepThatIsTakenForSmoothIsFound) {
  // Relu at a kink: its difference is half the slope, libtorch's gradient all or nothing.
  NIBBLE_REQUIRE_TRAINING();
  const OperatorCase kink{"kink", "Relu", {Tensor::of<float>({2}, std::vector<float>{0.0f, 1.0f})}};
  testing::TestPartResultArray failures;
  {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
    OperatorCheck(kink).check_gradient();
  }
  EXPECT_GT(failures.size(), 0);
}

}  // namespace
}  // namespace nibble::test
