#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/small_float.h"
#include "codec/format.h"
#include "graph/graph.h"
#include "model/upgrade.h"
#include "tensor/quantization.h"

namespace nibble::test {

using tensor::DType;
using tensor::Shape;
using tensor::Tensor;

struct QuantizedParts {
  std::string format = "int4";
  Shape shape = {6, 4};
  Shape code_shape = {};  ///< default: shape
  Shape scale_shape = {};
  DType scale_type = DType::f16;
  int64_t axis = 0, block = 0;
  bool zero = false, offset = false;
};

/// A tensor with random codes and parameters.
inline Tensor quantized_tensor(const QuantizedParts& p, uint64_t seed = 1) {
  base::Random random(seed);
  auto q = std::make_shared<tensor::Quantization>();
  q->format = codec::find_format(p.format);
  q->code_shape = p.code_shape.empty() ? p.shape : p.code_shape;
  q->axis = p.axis;
  q->block = p.block;
  const auto codes = [&](const Shape& shape) {
    std::vector<int8_t> values(static_cast<size_t>(tensor::element_count(shape)));
    for (auto& v : values)
      v = static_cast<int8_t>(q->format->lowest_code + static_cast<int>(random.below(q->format->levels.size())));
    return codec::pack(q->format->code, shape, values);
  };
  q->scale = Tensor(p.scale_type, p.scale_shape);
  for (int64_t i = 0; i < q->scale.elements(); ++i) {
    const auto value = static_cast<float>(0.01 + random.uniform());
    if (p.scale_type == DType::f32)
      q->scale.mutable_values<float>()[static_cast<size_t>(i)] = value;
    else
      q->scale.mutable_values<uint16_t>()[static_cast<size_t>(i)] = base::f32_to_f16(value);
  }
  if (p.zero) q->zero = codes(p.scale_shape);
  if (p.offset) {
    q->offset = Tensor(DType::f32, p.scale_shape);
    for (float& x : q->offset.mutable_values<float>()) x = static_cast<float>(random.normal());
  }
  return codes(p.shape).with_quantization(std::move(q));
}

/// y = x MatMul w for as many outputs as `readers`, w a quantized constant.
inline graph::Graph quantized_network(const Tensor& weight, int readers = 1) {
  graph::Graph g;
  g.name = "net";
  g.opset = model::kCanonicalOpset;
  graph::Value x;
  x.name = "x";
  x.shape_known = true;
  x.shape = {1, weight.shape().empty() ? 1 : weight.shape()[0]};
  g.inputs = {g.add_value(std::move(x))};
  const auto w = g.add_constant("w", weight);
  for (int i = 0; i < readers; ++i) {
    graph::Value y;
    y.name = std::string(1, static_cast<char>('p' + i));
    const auto id = g.add_value(std::move(y));
    g.add_node({"MatMul", "", std::to_string(i) + "m", {g.inputs[0], w}, {id}, {}});
    g.outputs.push_back(id);
  }
  return g;
}

}  // namespace nibble::test
