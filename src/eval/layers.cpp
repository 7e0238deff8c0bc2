#include "eval/layers.h"

#include <algorithm>
#include <map>

#include "eval/output_errors.h"
#include "graph/products.h"
#include "model/stored_weights.h"
#include "runtime/session.h"

namespace nibble::eval {

std::vector<LayerError> compare_layers(const graph::Graph& before, const graph::Graph& after,
                                       const data::Dataset& dataset, int64_t samples, int64_t batch,
                                       const base::Limits& limits, base::ThreadPool& pool) {
  std::vector<LayerError> layers;
  std::vector<std::string> values;
  for (graph::NodeId id = 0; id < after.node_count(); ++id) {
    const graph::Node& node = after.node(id);
    const bool nbits = model::is_constant_nbits(after, node);
    if (!graph::is_product(node) && !nbits) continue;
    const graph::Value& out = after.value(node.output(0));
    const graph::ValueId twin = before.find_value(out.name);
    if (twin == graph::kNoValue || out.dtype != tensor::DType::f32 || before.value(twin).dtype != tensor::DType::f32)
      continue;
    LayerError layer;
    layer.name = after.name_of(node);
    layer.op = node.op;
    const graph::ValueId w = node.input(1);
    layer.four_bit = nbits ? node.integer("bits", 4) == 4
                           : after.is_constant(w) && after.value(w).constant.quantization() &&
                                 tensor::bits_of(after.value(w).constant.dtype()) == 4;
    layers.push_back(std::move(layer));
    values.push_back(out.name);
  }
  if (layers.empty()) return layers;
  runtime::SessionOptions session_options;
  session_options.watched = values;
  session_options.limits = limits;
  runtime::Session a(before, pool, session_options), b(after, pool, session_options);
  std::map<std::string, ErrorSums> sums;
  std::map<std::string, tensor::Tensor> seen;
  a.watch([&](const std::string& name, const tensor::Tensor& value) { seen[name] = value; });
  b.watch([&](const std::string& name, const tensor::Tensor& value) {
    const tensor::Tensor& x = seen.at(name);
    if (x.elements() == value.elements()) sums[name].add(x.values<float>(), value.values<float>());
  });
  for (int64_t at = 0; at < samples; at += batch) {
    const data::Batch data = dataset.batch(at, std::min(batch, samples - at), pool);
    if (data.empty()) continue;
    a.run(data.inputs);
    b.run(data.inputs);
    seen.clear();
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    layers[i].sqnr_db = sums[values[i]].sqnr_db();
    layers[i].cosine = sums[values[i]].cosine();
  }
  return layers;
}

}  // namespace nibble::eval
