#include "model/stored_weights.h"

#include "codec/format.h"
#include "graph/products.h"
#include "graph/subgraphs.h"
#include "tensor/quantization.h"

namespace nibble::model {
namespace {

using graph::Graph;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::Tensor;

StoredWeight of_constant(const Tensor& w) {
  StoredWeight s;
  s.shape = w.shape();
  s.elements = w.elements();
  s.bytes = codec::stored_bytes(w);
  s.format = format_text(w);
  if (w.quantization()) s.bits = tensor::bits_of(w.dtype());
  return s;
}

/// onnxruntime's packed form: codes, scales and zero points are inputs of the node.
StoredWeight of_nbits(const Graph& g, const Node& node) {
  StoredWeight s;
  s.shape = {node.integer("N", 0), node.integer("K", 0)};
  s.elements = tensor::element_count(s.shape);
  s.bits = static_cast<int>(node.integer("bits", 4));
  for (size_t i = 1; i <= 3; ++i)
    if (g.is_constant(node.input(i))) s.bytes += codec::stored_bytes(g.value(node.input(i)).constant);
  s.format = "uint" + std::to_string(s.bits) + ", group " + std::to_string(node.integer("block_size", 0));
  if (g.is_constant(node.input(3)))
    s.format += g.value(node.input(3)).constant.dtype() == tensor::DType::u8 ? ", zero point" : ", float zero point";
  return s;
}

}  // namespace

std::string format_text(const Tensor& t) {
  const auto& q = t.quantization();
  if (!q) return std::string(name_of(t.dtype()));
  std::string text(q->format->name);
  if (q->block)
    text += ", group " + std::to_string(q->block);
  else
    text += q->scale.elements() == 1 ? ", per tensor" : ", per channel";
  if (q->zero) text += ", zero point";
  if (q->offset) text += ", offset";
  return text;
}

bool is_constant_nbits(const Graph& g, const Node& node) {
  if (node.removed || node.op != "MatMulNBits" || node.domain != "com.microsoft") return false;
  return g.is_constant(node.input(1)) && g.is_constant(node.input(2)) &&
         (node.input(3) == graph::kNoValue || g.is_constant(node.input(3)));
}

StoredWeight stored_weight(const Graph& g, const Node& node) {
  const ValueId v = node.input(node.is("Gather") ? 0 : 1);
  StoredWeight s = is_constant_nbits(g, node) ? of_nbits(g, node) : of_constant(g.value(v).constant);
  s.layer = g.name_of(node);
  s.op = node.op;
  s.weight = g.value(v).name;
  return s;
}

std::vector<StoredWeight> stored_weights(const Graph& network) {
  std::vector<StoredWeight> weights;
  graph::for_each_graph(network, [&](const Graph& g, const graph::Path& path) {
    const std::string where = graph::place_text(network, path);
    for (NodeId id = 0; id < g.node_count(); ++id) {
      const Node& node = g.node(id);
      const bool product = graph::is_product(node) && g.is_constant(node.input(1));
      const bool table =
          node.is("Gather") && g.is_constant(node.input(0)) && g.value(node.input(0)).constant.quantization();
      if (!product && !table && !is_constant_nbits(g, node)) continue;
      weights.push_back(stored_weight(g, node));
      weights.back().layer += where;
    }
  });
  return weights;
}

}  // namespace nibble::model
