// 20 steps of training against PyPI's torch, whose numbers tests/train/make_steps.py stored in steps.json.
#include <cmath>
#include <fstream>
#include <sstream>

#include "codec/format.h"
#include "io/json/json.h"
#include "quant/apply.h"
#include "runtime/infer_shapes.h"
#include "support/graph_builder.h"
#include "train/module.h"
#include "train/options.h"
#include "train/student.h"

namespace nibble::train {
namespace {

using io::Json;
using tensor::Tensor;
using test::GraphBuilder;
using test::Ints;

constexpr const char* kFile = "steps.json";
const std::vector<std::string> kWeightNames{"w1", "w2", "w3", "w4"}, kBiasNames{"b1", "b2", "b3", "b4"},
    kPlaces{"x", "r1", "r2", "flat"};

const Json& member(const Json& object, const std::string& key) {
  const Json* found = object.find(key);
  if (!found) throw std::runtime_error(std::string(kFile) + " has no " + key);
  return *found;
}

double number(const Json& object, const std::string& key) { return member(object, key).number(kFile); }

template <typename T>
std::vector<T> numbers(const Json& array) {
  std::vector<T> all;
  for (const Json& v : array.array(kFile)) all.push_back(static_cast<T>(v.number(kFile)));
  return all;
}

Tensor tensor_of(const Json& array, tensor::Shape shape, float factor = 1) {
  auto values = numbers<float>(array);
  for (float& v : values) v *= factor;
  return Tensor::of<float>(std::move(shape), values);
}

const Json& file() {
  static const Json json = [] {
    std::ifstream in(std::string(NIBBLE_SOURCE_DIR) + "/tests/train/steps.json");
    std::stringstream text;
    text << in.rdbuf();
    return io::parse_json(text.str(), kFile, {});
  }();
  return json;
}

/// Convolution, depthwise convolution, 1x1 convolution, global average, product: with the numbers that a run starts
/// from.
graph::Graph network(const Json& run) {
  GraphBuilder b;
  const auto weight = [&](const std::string& name, tensor::Shape shape) {
    return b.constant(name, tensor_of(member(member(run, "weights"), name), std::move(shape)));
  };
  const auto bias = [&](const std::string& name) {
    const Json& values = member(member(run, "biases"), name);
    return b.constant(name, tensor_of(values, {static_cast<int64_t>(values.array(kFile).size())}));
  };
  const auto x = b.input("x", {tensor::kUnknown, 3, 6, 6});
  const auto c1 = b.node("Conv", {x, weight("w1", {6, 3, 3, 3}), bias("b1")}, "c1", {{"pads", Ints{1, 1, 1, 1}}});
  const auto r1 = b.node("Relu", {c1}, "r1");
  const auto c2 = b.node("Conv", {r1, weight("w2", {6, 1, 3, 3}), bias("b2")}, "c2",
                         {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}, {"group", int64_t{6}}});
  const auto r2 = b.node("Relu", {c2}, "r2");
  const auto c3 = b.node("Conv", {r2, weight("w3", {6, 6, 1, 1}), bias("b3")}, "c3");
  const auto flat = b.node("Flatten", {b.node("GlobalAveragePool", {c3}, "pool")}, "flat");
  auto g = b.finish({b.node("Gemm", {flat, weight("w4", {5, 6}), bias("b4")}, "logits", {{"transB", int64_t{1}}})});
  runtime::infer_shapes(g);
  return g;
}

/// The student with exactly the scales, zero points and units that the run starts from.
Student student_of(const Json& run) {
  const graph::Graph prepared = network(run);
  quant::Calibration ranges;
  for (const auto& name : kPlaces) ranges.activations[name] = {-1.0f, 1.0f, 0, {}, {}, {}};
  const quant::Plan plan = quant::make_plan(prepared, quant::parse_scheme("W4A4:bias-correction=off"), &ranges, {});
  graph::Graph quantized = prepared;
  base::ThreadPool pool(1);
  base::NoProgress progress;
  quant::apply(quantized, plan, &ranges, pool, progress);
  Student student(quantized, prepared, plan,
                  parse_quantizer(member(member(run, "options"), "quantizer").string(kFile)));

  std::map<std::string, float> units;
  for (const auto& name : kBiasNames) units[name] = static_cast<float>(number(member(run, "bias_units"), name));
  student.set_bias_units(units);
  std::map<std::string, Tensor> wanted;
  for (size_t i = 0; i < kWeightNames.size(); ++i) {
    const Json& scales = member(member(run, "weight_scales"), kWeightNames[i]);
    wanted["weight." + std::to_string(i) + ".first_scale"] =
        tensor_of(scales, {static_cast<int64_t>(scales.array(kFile).size())});
  }
  for (size_t i = 0; i < kPlaces.size(); ++i) {
    const Json& grid = member(member(run, "activations"), kPlaces[i]);
    wanted["activation." + std::to_string(i)] = Tensor::of<float>(
        {4},
        std::vector{static_cast<float>(number(grid, "scale")), static_cast<float>(number(grid, "zero")), 0.0f, 0.0f});
  }
  auto state = student.state();
  size_t replaced = 0;
  for (auto& t : state)
    if (const auto it = wanted.find(t.name); it != wanted.end()) {
      t.tensor = it->second;
      ++replaced;
    }
  EXPECT_EQ(replaced, wanted.size());
  student.load(state);
  return student;
}

/// What nibble gets where the file says what torch got.
struct Trained {
  std::vector<double> losses;
  graph::Graph graph;
};

Trained train_steps(const Json& run, Student& student, const Module& module) {
  const Json& o = member(run, "options");
  const bool sgd = member(o, "optimizer").string(kFile) == "sgd";
  auto groups = student.parameters();
  groups[Student::kWeights].weight_decay = number(o, "weight_decay");
  groups[Student::kWeightScales].rate_factor = groups[Student::kActivationScales].rate_factor = number(o, "scale_rate");
  const auto autograd = module.make_autograd(student.trainable({}));
  const auto optimizer =
      module.make_optimizer(sgd ? OptimizerKind::kSgd : OptimizerKind::kAdam, std::move(groups), number(o, "momentum"));
  std::vector<std::optional<int64_t>> labels;
  for (const int64_t l : numbers<int64_t>(member(run, "labels"))) labels.emplace_back(l);
  const auto batch = static_cast<int64_t>(labels.size());
  const int64_t slice = member(run, "slice").integer(kFile), steps = member(run, "steps").integer(kFile);
  const Tensor x = tensor_of(member(run, "inputs"), {batch, 3, 6, 6}, 1.0f / 64);
  const Tensor teacher = tensor_of(member(run, "teacher"), {batch, 5});
  const auto rows = [](const Tensor& t, int64_t begin, int64_t count) {
    tensor::Shape shape = t.shape();
    const auto row = static_cast<size_t>(t.elements() / shape[0]);
    shape[0] = count;
    return Tensor::of<float>(
        shape, t.values<float>().subspan(static_cast<size_t>(begin) * row, static_cast<size_t>(count) * row));
  };

  Trained out;
  for (int64_t step = 0; step < steps; ++step) {
    const auto constants = student.constants();
    const auto grids = student.grids();
    std::vector<SliceResult> results;
    double loss = 0;
    for (int64_t begin = 0; begin < batch; begin += slice) {
      const std::vector<Tensor> inputs{rows(x, begin, slice)};
      Slice s;
      s.inputs = inputs;
      s.constants = constants;
      s.activations = grids;
      s.batch = batch;
      s.labels = std::span(labels).subspan(static_cast<size_t>(begin), static_cast<size_t>(slice));
      s.label_weight = 1 - number(o, "distillation");
      s.label_smoothing = number(o, "label_smoothing");
      s.teacher = {rows(teacher, begin, slice)};
      s.teacher_weight = number(o, "distillation");
      s.temperature = number(o, "temperature");
      results.push_back(autograd->run(s));
      loss += results.back().loss();
    }
    out.losses.push_back(loss);
    const Regularisation r{number(o, "damping") * rising_share(step, steps, 0.25), number(o, "kurtosis")};
    optimizer->step(
        student.gradients(results, r),
        number(o, "learning_rate") * learning_rate_share(step, steps, number(o, "warm_up"), Schedule::kCosine));
    student.finish_step(results, {}, 0);
  }
  out.graph = student.graph();
  return out;
}

/// How far float32 may be from the file's float64: torch's own float32 differs by `float32_differs`, summing in another
/// order by as much again, and over 20 steps such errors grow alike; ten times that is still a thousand times below
/// what a step's loss changes by. No code may differ: the file's values stay away from the borders between codes.
double tolerance(const Json& run, const char* what) {
  return 10 * std::max(number(member(run, "float32_differs"), what), 1e-7);
}

std::vector<int> codes_of(const graph::Graph& g, const std::string& name) {
  const auto codes = codec::unpack(g.value(g.find_value(name)).constant);
  return {codes.begin(), codes.end()};
}

class Steps : public testing::TestWithParam<size_t> {};

TEST_P(Steps, EqualTorch) {
  NIBBLE_REQUIRE_TRAINING();
#ifdef NIBBLE_TRAIN_FOLDER
  const Json& run = member(file(), "runs").array(kFile).at(GetParam());
  const Json& expected = member(run, "expected");
  SCOPED_TRACE(member(run, "name").string(kFile));
  Student student = student_of(run);
  ASSERT_EQ(student.parameter_names(), (std::vector<std::string>{"w1",
                                                                 "w2",
                                                                 "w3",
                                                                 "w4",
                                                                 "b1",
                                                                 "b2",
                                                                 "b3",
                                                                 "b4",
                                                                 "scale of w1",
                                                                 "scale of w2",
                                                                 "scale of w3",
                                                                 "scale of w4",
                                                                 "scale of x",
                                                                 "zero point of x",
                                                                 "scale of r1",
                                                                 "zero point of r1",
                                                                 "scale of r2",
                                                                 "zero point of r2",
                                                                 "scale of flat",
                                                                 "zero point of flat"}));
  const graph::Graph before = student.graph();
  const Trained trained = train_steps(run, student, load_module(NIBBLE_TRAIN_FOLDER));

  const auto losses = numbers<double>(member(expected, "losses"));
  ASSERT_EQ(trained.losses.size(), losses.size());
  for (size_t i = 0; i < losses.size(); ++i)
    EXPECT_NEAR(trained.losses[i], losses[i], tolerance(run, "losses")) << "step " << i + 1;
  // The tolerance tells the steps apart, so agreement is not that nothing happens.
  EXPECT_GT(losses.front() - losses.back(), 1000 * tolerance(run, "losses"));

  int64_t changed = 0;
  std::vector<float> scales, biases, activation_scales;
  std::vector<int> zeros;
  for (const auto& name : kWeightNames) {
    const auto codes = codes_of(trained.graph, name), old = codes_of(before, name);
    EXPECT_EQ(codes, numbers<int>(member(member(expected, "codes"), name))) << name;
    for (size_t i = 0; i < codes.size(); ++i) changed += codes[i] != old[i];
    const auto& q = *trained.graph.value(trained.graph.find_value(name)).constant.quantization();
    for (int64_t g = 0; g < q.scale.elements(); ++g) scales.push_back(codec::params_at(q, g).scale);
  }
  EXPECT_EQ(changed, member(run, "codes_changed").integer(kFile));
  for (const auto& name : kBiasNames) {
    const auto values = trained.graph.value(trained.graph.find_value(name)).constant.values<float>();
    biases.insert(biases.end(), values.begin(), values.end());
  }
  for (const ActivationGrid& grid : student.grids()) {
    activation_scales.push_back(grid.scale);
    zeros.push_back(grid.zero);
  }
  EXPECT_EQ(zeros, numbers<int>(member(expected, "zeros")));
  const auto near = [&](const std::vector<float>& ours, const char* what) {
    const auto theirs = numbers<double>(member(expected, what));
    ASSERT_EQ(ours.size(), theirs.size()) << what;
    for (size_t i = 0; i < ours.size(); ++i)
      EXPECT_NEAR(double{ours[i]}, theirs[i], tolerance(run, what)) << what << " " << i;
  };
  near(scales, "weight_scales");
  near(biases, "biases");
  near(activation_scales, "activation_scales");
#endif
}

INSTANTIATE_TEST_SUITE_P(Runs, Steps, testing::Range<size_t>(0, 4));

}  // namespace
}  // namespace nibble::train
