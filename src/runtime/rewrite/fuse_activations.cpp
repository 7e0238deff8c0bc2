#include "ops/numbers.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::runtime {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;

/// Writes the activation's attributes for `target` (see ops::read_activation); false when it cannot be fused.
bool describe_activation(const Graph& graph, const Node& node, Node& target) {
  if (!node.domain.empty()) return false;
  if (node.op == "Relu") {
    target.attributes["activation"] = std::string("Relu");
    return true;
  }
  if (node.op == "LeakyRelu") {
    target.attributes["activation"] = std::string("LeakyRelu");
    target.attributes["alpha"] = node.real("alpha", 0.01f);
    return true;
  }
  if (node.op != "Clip") return false;
  float limits[2];
  for (size_t i = 0; i < 2; ++i) {
    if (!graph.is_constant(node.input(i + 1))) return false;
    const tensor::Tensor& limit = graph.value(node.input(i + 1)).constant;
    if (limit.elements() != 1 || limit.quantization()) return false;
    limits[i] = static_cast<float>(ops::decode_numbers(limit).at(0));
  }
  target.attributes["activation"] = std::string("Clip");
  target.attributes["low"] = limits[0];
  target.attributes["high"] = limits[1];
  return limits[0] <= limits[1];
}

}  // namespace

void fuse_activations(Graph& graph) {
  const auto producers = graph.producers();
  const auto consumers = graph.consumers();
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    if (graph.node(id).removed || graph.node(id).input(0) == kNoValue) continue;
    const graph::ValueId value = graph.node(id).input(0);
    const NodeId producer = producers[static_cast<size_t>(value)];
    if (producer < 0 || consumers[static_cast<size_t>(value)].size() != 1 || graph.is_output(value)) continue;
    Node& target = graph.node(producer);
    const bool conv = target.op == "Conv" && target.domain.empty();
    const bool integer = target.domain == "nibble" && (target.op == "IntegerConv" || target.op == "IntegerMatMul");
    if ((!conv && !integer) || target.has("activation") || graph.value(value).dtype != tensor::DType::f32) continue;
    Node fused = target;
    if (!describe_activation(graph, graph.node(id), fused)) continue;
    if (conv) {
      fused.op = "FusedConv";
      fused.domain = "nibble";
    }
    fused.outputs[0] = graph.node(id).outputs[0];
    target = std::move(fused);
    graph.remove_node(id);
  }
}

}  // namespace nibble::runtime
