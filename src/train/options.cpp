#include "train/options.h"

#include <array>
#include <cmath>

#include "base/error.h"

namespace nibble::train {
namespace {

template <typename T>
struct Name {
  const char* name;
  T value;
};
constexpr auto kQuantizers = std::to_array<Name<Quantizer>>(
    {{"lsq", Quantizer::kLsq}, {"lsq+", Quantizer::kLsqPlus}, {"pact", Quantizer::kPact}, {"ste", Quantizer::kSte}});
constexpr auto kGraduals = std::to_array<Name<Gradual>>({{"none", Gradual::kNone},
                                                         {"activations", Gradual::kActivations},
                                                         {"bits", Gradual::kBits},
                                                         {"float", Gradual::kFloat}});
constexpr auto kBatchNorms = std::to_array<Name<BatchNorm>>(
    {{"fold", BatchNorm::kFold}, {"follow", BatchNorm::kFollow}, {"freeze", BatchNorm::kFreeze}});
constexpr auto kOptimizers =
    std::to_array<Name<OptimizerKind>>({{"adam", OptimizerKind::kAdam}, {"sgd", OptimizerKind::kSgd}});
constexpr auto kSchedules =
    std::to_array<Name<Schedule>>({{"cosine", Schedule::kCosine}, {"constant", Schedule::kConstant}});

template <typename T, size_t N>
T parse(const std::array<Name<T>, N>& names, std::string_view text, const char* flag) {
  std::string all;
  for (const auto& n : names) {
    if (text == n.name) return n.value;
    all += (all.empty() ? "" : ", ") + std::string(n.name);
  }
  base::fail_usage(flag, "takes no " + base::in_quotes(text), "there are " + all);
}

template <typename T, size_t N>
std::string name_of(const std::array<Name<T>, N>& names, T value) {
  for (const auto& n : names)
    if (n.value == value) return n.name;
  return {};
}

std::string number(double v) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", v);
  return text;
}

}  // namespace

Quantizer parse_quantizer(std::string_view text) { return parse(kQuantizers, text, "--quantizer"); }
Gradual parse_gradual(std::string_view text) { return parse(kGraduals, text, "--gradual"); }
BatchNorm parse_batch_norm(std::string_view text) { return parse(kBatchNorms, text, "--batch-norm"); }
OptimizerKind parse_optimizer(std::string_view text) { return parse(kOptimizers, text, "--optimizer"); }
Schedule parse_schedule(std::string_view text) { return parse(kSchedules, text, "--schedule"); }

std::string to_text(const Options& o) {
  std::string t = "epochs=" + std::to_string(o.epochs) + " batch=" + std::to_string(o.batch) +
                  " slice=" + std::to_string(o.slice) + " seed=" + std::to_string(o.seed) +
                  " optimizer=" + name_of(kOptimizers, o.optimizer);
  const auto add = [&](const char* key, double v, double unless) {
    if (v != unless) t += std::string(" ") + key + "=" + number(v);
  };
  add("learning-rate", o.learning_rate, -1);
  add("warm-up", o.warm_up, -1);
  if (o.schedule != Schedule::kCosine) t += " schedule=" + name_of(kSchedules, o.schedule);
  add("scale-rate", o.scale_rate, 1);
  if (o.optimizer == OptimizerKind::kSgd) add("momentum", o.momentum, -1);
  add("weight-decay", o.weight_decay, 0);
  add("clip-gradient", o.clip_gradient, 0);
  t += o.quantize ? " quantizer=" + name_of(kQuantizers, o.quantizer) : " float";
  if (o.gradual != Gradual::kNone) t += " gradual=" + name_of(kGraduals, o.gradual) + ":" + number(o.gradual_share);
  t += " batch-norm=" + name_of(kBatchNorms, o.batch_norm);
  add("reestimate", static_cast<double>(o.reestimate_batches), 0);
  add("distill", o.distillation, 0);
  if (o.distillation > 0) add("temperature", o.temperature, -1);
  add("distill-features", o.features, 0);
  add("label-smoothing", o.label_smoothing, 0);
  add("damping", o.damping, 0);
  add("kurtosis", o.kurtosis, 0);
  add("freeze", o.freeze, 0);
  add("average", o.averaging, 0);
  t += " augment=" + to_text(o.augmentation);
  if (o.patience) t += " patience=" + std::to_string(o.patience);
  return t;
}

void check(const Options& o) {
  const auto require = [](bool right, const char* flag, const char* wants) {
    if (!right) base::fail_usage(flag, wants);
  };
  const auto finite = [](double v) { return std::isfinite(v) && v >= 0; };
  require(o.epochs >= 1 && o.epochs <= 1'000'000, "--epochs", "takes a number from 1");
  require(o.batch >= 1 && o.batch <= 1'000'000, "--batch", "takes a number of samples from 1");
  require(o.slice >= 1 && o.slice <= 1'000'000, "--slice", "takes a number of samples from 1");
  require(std::isfinite(o.learning_rate) && o.learning_rate > 0, "--learning-rate", "takes a number above 0");
  require(o.warm_up >= 0 && o.warm_up < 1, "--warm-up", "takes a share of the steps, from 0 to below 1");
  require(finite(o.scale_rate), "--scale-rate", "takes a factor from 0");
  require(o.momentum >= 0 && o.momentum < 1, "--momentum", "takes a number from 0 to below 1");
  require(finite(o.weight_decay), "--weight-decay", "takes a number from 0");
  require(finite(o.clip_gradient), "--clip-gradient", "takes a norm, or 0 for none");
  require(o.gradual_share > 0 && o.gradual_share < 1, "--gradual", "takes a share of the epochs between 0 and 1");
  require(o.distillation >= 0 && o.distillation <= 1, "--distill", "takes a weight from 0 (labels alone) to 1");
  require(std::isfinite(o.temperature) && o.temperature > 0, "--temperature", "takes a number above 0");
  require(finite(o.features), "--distill-features", "takes a weight from 0");
  require(o.label_smoothing >= 0 && o.label_smoothing < 1, "--label-smoothing", "takes a number from 0 to below 1");
  require(finite(o.damping), "--damping", "takes a weight from 0");
  require(finite(o.kurtosis), "--kurtosis", "takes a weight from 0");
  require(finite(o.freeze) && o.freeze < 1, "--freeze", "takes a frequency from 0 to below 1");
  require(o.averaging >= 0 && o.averaging < 1, "--average", "takes a number from 0 (off) to below 1");
  require(o.patience >= 0, "--patience", "takes a number of epochs, or 0");
  require(o.reestimate_batches >= 0, "--reestimate", "takes a number of batches, or 0");
}

}  // namespace nibble::train
