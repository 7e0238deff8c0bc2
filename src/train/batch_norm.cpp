#include "train/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "codec/format.h"
#include "graph/products.h"
#include "model/portable_form.h"
#include "runtime/infer_shapes.h"
#include "tensor/quantization.h"
#include "train/copy.h"

namespace nibble::train {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Tensor;

/// A normalisation and the convolution that alone feeds it, both with constants that nobody else reads.
struct Pair {
  NodeId conv, norm;
};

std::vector<Pair> pairs(const Graph& g) {
  std::vector<Pair> found;
  const auto producers = g.producers();
  const auto readers = g.consumers();
  const auto own = [&](ValueId v) { return g.is_constant(v) && readers[static_cast<size_t>(v)].size() == 1; };
  for (NodeId id = 0; id < g.node_count(); ++id) {
    const Node& norm = g.node(id);
    if (!norm.is("BatchNormalization") || norm.inputs.size() != 5) continue;
    const NodeId from = producers[static_cast<size_t>(norm.input(0))];
    if (from < 0 || !g.node(from).is("Conv") || readers[static_cast<size_t>(norm.input(0))].size() != 1 ||
        g.is_output(norm.input(0)))
      continue;
    const Node& conv = g.node(from);
    if (!own(conv.input(1)) || (conv.input(2) != kNoValue && !own(conv.input(2)))) continue;
    bool all = true;
    for (size_t i = 1; i < 5; ++i)
      all = all && own(norm.input(i)) && g.value(norm.input(i)).constant.dtype() == DType::f32;
    if (all) found.push_back({from, id});
  }
  return found;
}

/// A quantized weight whose scales and offsets are multiplied by one factor an output channel.
Tensor scaled(const Tensor& w, const std::vector<float>& factor) {
  const auto& q = *w.quantization();
  auto next = std::make_shared<tensor::Quantization>(q);
  const size_t scales = static_cast<size_t>(q.scale.elements()), channels = factor.size();
  // A convolution's codes are [O, ...]: scales are one, one a channel, or [O, groups].
  const bool per_tensor = scales == 1 && channels > 1;
  const size_t count = per_tensor ? channels : scales;
  Tensor scale(DType::f32, per_tensor ? tensor::Shape{static_cast<int64_t>(channels)} : q.scale.shape(), true);
  Tensor offset(DType::f32, scale.shape(), true);
  std::vector<int8_t> zeros(count);
  for (size_t i = 0; i < count; ++i) {
    const codec::GroupParams p = codec::params_at(q, static_cast<int64_t>(per_tensor ? 0 : i));
    const float f = factor[i * channels / count];
    scale.mutable_values<float>()[i] = p.scale * f;
    offset.mutable_values<float>()[i] = p.offset * f;
    zeros[i] = static_cast<int8_t>(p.zero);
  }
  next->scale = scale;
  if (q.offset) next->offset = offset;
  if (per_tensor) {
    next->axis = 0;
    if (q.zero) next->zero = codec::pack(q.zero.dtype(), scale.shape(), zeros);
  }
  return w.with_quantization(std::move(next));
}

}  // namespace

int64_t make_scales_positive(Graph& g) {
  int64_t turned = 0;
  for (const Pair& pair : pairs(g)) {
    const Node &conv = g.node(pair.conv), &norm = g.node(pair.norm);
    const Tensor& w = g.value(conv.input(1)).constant;
    if (w.dtype() != DType::f32 || w.quantization()) continue;
    const auto gamma = g.value(norm.input(1)).constant.values<float>();
    std::vector<bool> negative;
    for (const float v : gamma) negative.push_back(v < 0);
    const auto turn = [&](ValueId v) {
      if (v == kNoValue) return;
      Tensor& constant = g.value(v).constant;
      Tensor copy = copy_of(constant);
      auto to = copy.mutable_values<float>();
      for (size_t i = 0; i < to.size(); ++i)
        if (negative[i * negative.size() / to.size()]) to[i] = -to[i];
      constant = copy;
    };
    const auto count = std::count(negative.begin(), negative.end(), true);
    if (!count) continue;
    turned += count;
    turn(conv.input(1));
    turn(conv.input(2));
    turn(norm.input(1));
    turn(norm.input(3));  // the mean of what is turned
  }
  return turned;
}

int64_t fold_into_codes(Graph& g) {
  int64_t folded = 0;
  for (const Pair& pair : pairs(g)) {
    Node& conv = g.node(pair.conv);
    const Node& norm = g.node(pair.norm);
    Tensor& weight = g.value(conv.input(1)).constant;
    if (!weight.quantization()) continue;
    const auto values = [&](size_t i) { return g.value(norm.input(i)).constant.values<float>(); };
    const auto gamma = values(1), beta = values(2), mean = values(3), variance = values(4);
    if (std::any_of(gamma.begin(), gamma.end(), [](float v) { return !(v > 0); })) continue;
    const float epsilon = norm.real("epsilon", 1e-5f);
    std::vector<float> factor;
    Tensor bias(DType::f32, {static_cast<int64_t>(gamma.size())});
    for (size_t c = 0; c < gamma.size(); ++c) {
      factor.push_back(gamma[c] / std::sqrt(variance[c] + epsilon));
      const float old = conv.input(2) == kNoValue ? 0.0f : g.value(conv.input(2)).constant.values<float>()[c];
      bias.mutable_values<float>()[c] = (old - mean[c]) * factor[c] + beta[c];
    }
    weight = scaled(weight, factor);
    conv.inputs.resize(3, kNoValue);
    conv.inputs[2] = g.add_constant(g.unique_name(g.value(conv.input(1)).name + "_bias"), model::exact_bias(bias),
                                    graph::Role::kBias);
    conv.outputs[0] = norm.output(0);  // under its name
    g.remove_node(pair.norm);
    ++folded;
  }
  if (folded) {
    g.compact();
    runtime::infer_shapes(g);
  }
  return folded;
}

}  // namespace nibble::train
