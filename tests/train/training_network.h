#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "quant/apply.h"
#include "quant/calibrate/calibrate.h"
#include "quant/prepare/prepare.h"
#include "runtime/infer_shapes.h"
#include "support/graph_builder.h"

namespace nibble::test {

/// A small classifier of images [N, 2, 6, 6] in three classes: convolution, normalisation, depthwise convolution,
/// addition, product. `batch` may be fixed.
inline graph::Graph training_network(bool normalized = true, int64_t batch = tensor::kUnknown) {
  GraphBuilder b;
  const auto x = b.input("x", {batch, 2, 6, 6});
  auto at = b.node("Conv", {x, b.weights("w1", {8, 2, 3, 3}, 0.4), b.weights("b1", {8}, 0.1)}, "c1",
                   {{"pads", Ints{1, 1, 1, 1}}});
  if (normalized) {
    tensor::Tensor gamma = GraphBuilder::random_tensor("gamma", {8}, 0.2), variance(tensor::DType::f32, {8});
    for (float& v : gamma.mutable_values<float>()) v += 1;
    for (float& v : variance.mutable_values<float>()) v = 1.5f;
    at = b.node("BatchNormalization",
                {at, b.constant("gamma", gamma), b.weights("beta", {8}, 0.1), b.weights("mean", {8}, 0.1),
                 b.constant("variance", variance)},
                "n1");
  }
  const auto r = b.node("Relu", {at}, "r1");
  const auto d = b.node("Conv", {r, b.weights("wd", {8, 1, 3, 3}, 0.3), b.weights("bd", {8}, 0.1)}, "d",
                        {{"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{8}}});
  const auto sum = b.node("Add", {d, r}, "sum");
  const auto r2 = b.node("Relu", {sum}, "r2");
  const auto pool = b.node("GlobalAveragePool", {r2}, "pool");
  const auto flat = b.node("Flatten", {pool}, "flat");
  const auto m = b.node("MatMul", {flat, b.weights("w2", {8, 3}, 0.5)}, "m");
  auto g = b.finish({b.node("Add", {m, b.weights("b2", {3}, 0.1)}, "y")});
  runtime::infer_shapes(g);
  return g;
}

/// Images of three classes that a few steps tell apart: noise, and a stripe whose direction is the class.
struct Stripes {
  tensor::Tensor images;  ///< [n, 2, 6, 6]
  std::vector<int64_t> labels;
};
inline Stripes stripes(int64_t count, uint64_t seed) {
  base::Random random(seed);
  Stripes s{tensor::Tensor(tensor::DType::f32, {count, 2, 6, 6}, true), {}};
  auto v = s.images.mutable_values<float>();
  for (int64_t n = 0; n < count; ++n) {
    const auto label = static_cast<int64_t>(random.below(3));
    const auto at = static_cast<int64_t>(random.below(6));
    s.labels.push_back(label);
    for (int64_t c = 0; c < 2; ++c)
      for (int64_t y = 0; y < 6; ++y)
        for (int64_t x = 0; x < 6; ++x) {
          const bool on = label == 0 ? y == at : label == 1 ? x == at : (x + y) % 6 == at;
          v[static_cast<size_t>(((n * 2 + c) * 6 + y) * 6 + x)] =
              static_cast<float>(0.7 * random.normal() + (on ? 1.5 : 0.0));
        }
  }
  return s;
}

/// A network quantized as `nibble quantize` does it.
struct QuantizedNetwork {
  graph::Graph prepared, quantized;
  quant::Plan plan;
};
inline QuantizedNetwork quantize_network(graph::Graph g, const std::string& scheme, bool keep_normalizations = false) {
  const quant::Scheme s = quant::parse_scheme(scheme);
  quant::prepare(g, s.preparations, keep_normalizations);
  QuantizedNetwork q;
  q.plan = quant::make_plan(g, s, nullptr, {});
  base::ThreadPool pool(1);
  base::NoProgress silent;
  quant::Calibration calibration;
  const bool needed = !q.plan.activations.empty();
  if (needed) {
    int batches = 0;
    calibration = quant::calibrate(
        g, quant::observed_values(g, q.plan),
        [&]() -> std::vector<tensor::Tensor> {
          if (batches == 4) return {};
          return {
              stripes(g.value(g.inputs[0]).shape[0] > 0 ? g.value(g.inputs[0]).shape[0] : 16, 100 + batches++).images};
        },
        0, pool, silent, {});
    quant::use_calibration(q.plan, calibration);
  }
  q.prepared = g;
  q.quantized = std::move(g);
  quant::apply(q.quantized, q.plan, needed ? &calibration : nullptr, pool, silent);
  return q;
}

}  // namespace nibble::test
