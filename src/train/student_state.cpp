// A student as a list of tensors, for checkpoints, and its figures.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "train/copy.h"
#include "train/student.h"

namespace nibble::train {

using tensor::DType;
using tensor::Tensor;

std::vector<std::string> Student::parameter_names() const {
  std::vector<std::string> weights, others, scales, activations;
  for (const TrainedWeight& w : weights_) {
    weights.push_back(w.name());
    scales.push_back("scale of " + w.name());
    if (w.zero) scales.push_back("zero point of " + w.name());
  }
  for (const Other& o : others_) others.push_back(o.name);
  for (const Activation& a : activations_) {
    activations.push_back("scale of " + a.name);
    activations.push_back("zero point of " + a.name);
  }
  for (const auto* more : {&others, &scales, &activations}) weights.insert(weights.end(), more->begin(), more->end());
  return weights;
}

int64_t Student::parameter_count() const {
  int64_t count = 0;
  for (const auto& group : parameters())
    for (const Tensor& p : group.parameters) count += p.elements();
  return count;
}

int64_t Student::weight_count() const {
  int64_t count = 0;
  for (const TrainedWeight& w : weights_) count += w.masters.elements();
  return count;
}

int64_t Student::frozen() const {
  int64_t count = 0;
  for (const TrainedWeight& w : weights_) count += w.frozen();
  return count;
}

double Student::oscillating() const {
  double sum = 0;
  for (const TrainedWeight& w : weights_) sum += w.oscillating() * static_cast<double>(w.masters.elements());
  return weights_.empty() ? 0 : sum / static_cast<double>(weight_count());
}

std::vector<io::NamedTensor> Student::state() const {
  std::vector<io::NamedTensor> all;
  for (size_t i = 0; i < weights_.size(); ++i) weights_[i].save("weight." + std::to_string(i) + ".", all);
  for (size_t i = 0; i < others_.size(); ++i) {
    all.push_back({"constant." + std::to_string(i), others_[i].parameter});
    all.push_back({"constant." + std::to_string(i) + ".unit", Tensor::of<float>({1}, std::vector{others_[i].unit})});
  }
  for (size_t i = 0; i < activations_.size(); ++i) {
    const Activation& a = activations_[i];
    all.push_back({"activation." + std::to_string(i),
                   Tensor::of<float>({4}, std::vector{a.first_scale, static_cast<float>(a.first_zero),
                                                      a.log_scale.values<float>()[0], a.zero.values<float>()[0]})});
  }
  for (size_t i = 0; i < batch_norms_.size(); ++i)
    for (const size_t input : {3, 4})
      all.push_back({"batch_norm." + std::to_string(i) + "." + std::to_string(input),
                     graph_.value(graph_.node(batch_norms_[i].node).input(input)).constant});
  for (size_t i = 0; i < averages_.size(); ++i) all.push_back({"average." + std::to_string(i), averages_[i]});
  all.push_back({"averaged_steps", Tensor::scalar<int64_t>(averaged_steps_)});
  return all;
}

void Student::load(const std::vector<io::NamedTensor>& state) {
  std::map<std::string, Tensor> by_name;
  for (const auto& t : state) by_name[t.name] = t.tensor;
  const auto require = [](bool right, const std::string& name, const char* is) {
    if (!right) base::fail_malformed("tensor " + base::in_quotes(name), is);
  };
  const auto floats = [&](const std::string& name, int64_t count) {
    const auto it = by_name.find(name);
    require(it != by_name.end() && it->second.dtype() == DType::f32 && it->second.elements() == count, name,
            "is missing or does not fit this network");
    const auto v = it->second.values<float>();
    require(std::all_of(v.begin(), v.end(), [](float x) { return std::isfinite(x); }), name,
            "holds a number that is not finite");
    return v;
  };
  const auto copy = [&](const std::string& name, Tensor& to) {
    const auto from = floats(name, to.elements());
    std::copy(from.begin(), from.end(), to.mutable_values<float>().begin());
  };
  for (size_t i = 0; i < weights_.size(); ++i) weights_[i].load("weight." + std::to_string(i) + ".", by_name);
  for (size_t i = 0; i < others_.size(); ++i) {
    copy("constant." + std::to_string(i), others_[i].parameter);
    const std::string unit = "constant." + std::to_string(i) + ".unit";
    others_[i].unit = floats(unit, 1)[0];
    require(others_[i].unit > 0, unit, "is not above 0");
  }
  for (size_t i = 0; i < activations_.size(); ++i) {
    const std::string name = "activation." + std::to_string(i);
    const auto v = floats(name, 4);
    Activation& a = activations_[i];
    require(v[0] > 0 && v[1] >= 0 && v[1] < static_cast<float>(1 << a.bits), name,
            "holds a scale or zero point that quantization does not make");
    a.first_scale = v[0];
    a.first_zero = static_cast<int>(v[1]);
    fill(a.log_scale, v[2]);
    fill(a.zero, v[3]);
  }
  for (size_t i = 0; i < batch_norms_.size(); ++i)
    for (const size_t input : {3, 4}) {
      Tensor& constant = graph_.value(graph_.node(batch_norms_[i].node).input(input)).constant;
      const auto from = floats("batch_norm." + std::to_string(i) + "." + std::to_string(input), constant.elements());
      constant = Tensor::of<float>(constant.shape(), from);
    }
  averages_.clear();
  const auto parameters = all_parameters();
  for (size_t i = 0; i < parameters.size() && by_name.count("average.0"); ++i) {
    averages_.push_back(copy_of(*parameters[i]));
    copy("average." + std::to_string(i), averages_.back());
  }
  const auto steps = by_name.find("averaged_steps");
  require(steps != by_name.end() && steps->second.dtype() == DType::i64 && steps->second.elements() == 1 &&
              steps->second.values<int64_t>()[0] >= 0,
          "averaged_steps", "is missing or does not fit this network");
  averaged_steps_ = steps->second.values<int64_t>()[0];
}

}  // namespace nibble::train
