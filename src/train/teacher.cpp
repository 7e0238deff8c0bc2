#include "train/teacher.h"

#include <algorithm>

#include "train/copy.h"

namespace nibble::train {
namespace {

runtime::SessionOptions options_for(const std::string& logits, const std::vector<std::string>& features,
                                    const base::Limits& limits) {
  runtime::SessionOptions o;
  o.watched = features;
  if (!logits.empty()) o.watched.push_back(logits);
  o.limits = limits;
  return o;
}

}  // namespace

Teacher::Teacher(const graph::Graph& graph, std::string logits, std::vector<std::string> features,
                 base::ThreadPool& pool, const base::Limits& limits)
    : logits_(std::move(logits)),
      features_(std::move(features)),
      session_(graph, pool, options_for(logits_, features_, limits)) {}

Teacher::Answers Teacher::answer(std::span<const tensor::Tensor> inputs) {
  Answers a;
  a.features.resize(features_.size());
  tensor::Tensor logits;
  session_.watch([&](const std::string& name, const tensor::Tensor& value) {
    if (name == logits_) logits = copy_of(value);
    for (size_t i = 0; i < features_.size(); ++i)
      if (features_[i] == name) a.features[i] = copy_of(value);
  });
  a.outputs = session_.run(inputs);
  if (logits) a.outputs = {logits};
  return a;
}

std::vector<std::string> block_outputs(const graph::Graph& teacher, const graph::Graph& student) {
  std::vector<std::string> additions, sizes;
  const auto readers = teacher.consumers();
  tensor::Shape last_shape;
  for (graph::NodeId id = 0; id < teacher.node_count(); ++id) {
    const graph::Node& node = teacher.node(id);
    if (node.removed || node.output(0) == graph::kNoValue) continue;
    const graph::Value& value = teacher.value(node.output(0));
    if (value.dtype != tensor::DType::f32 || !value.shape_known || value.shape.size() < 3) continue;
    const graph::ValueId there = student.find_value(value.name);
    if (there == graph::kNoValue || student.value(there).shape.size() != value.shape.size()) continue;
    if (node.is("Add") && !teacher.is_constant(node.input(0)) && !teacher.is_constant(node.input(1)))
      additions.push_back(value.name);
    const tensor::Shape spatial(value.shape.begin() + 1, value.shape.end());
    if (!sizes.empty() && spatial == last_shape)
      sizes.back() = value.name;
    else
      sizes.push_back(value.name);
    last_shape = spatial;
  }
  return additions.empty() ? sizes : additions;
}

}  // namespace nibble::train
