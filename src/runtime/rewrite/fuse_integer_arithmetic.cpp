// Integer execution. A product that reads a dequantized activation and a quantized constant weight,
//     QuantizeLinear -> DequantizeLinear -> Conv / MatMul / Gemm,
// becomes one integer operator that reads the codes; what the file says is computed, with exact sums instead of rounded
// ones. 4-bit activations are held one to a byte in between.
#include "codec/format.h"
#include "ops/integer_product.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::runtime {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Tensor;

/// Constant scale and zero point, one for the whole tensor.
bool per_tensor(const Graph& graph, const Node& node) {
  if (node.integer("block_size", 0) != 0 || !graph.is_constant(node.input(1)) ||
      graph.value(node.input(1)).constant.elements() != 1)
    return false;
  if (graph.value(node.input(1)).constant.dtype() != DType::f32) return false;
  return node.input(2) == kNoValue ||
         (graph.is_constant(node.input(2)) && graph.value(node.input(2)).constant.elements() == 1);
}

/// A 4-bit zero point as the 8-bit type of the same sign.
ValueId widened(Graph& graph, ValueId zero) {
  const Tensor narrow = graph.value(zero).constant;
  const auto code = codec::unpack(narrow).at(0);
  const Tensor wide = narrow.dtype() == DType::int4 ? Tensor::scalar<int8_t>(code)
                                                    : Tensor::scalar<uint8_t>(static_cast<uint8_t>(code));
  return graph.add_constant(graph.unique_name(graph.value(zero).name + "_wide"), wide);
}

/// 4-bit activations between one QuantizeLinear and only DequantizeLinears: held in bytes, in the range of 4 bits.
void widen_activations(Graph& graph) {
  const auto consumers = graph.consumers();
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    if (!graph.node(id).is("QuantizeLinear") || !per_tensor(graph, graph.node(id)) ||
        graph.node(id).input(2) == kNoValue)
      continue;
    const ValueId codes = graph.node(id).output(0);
    const DType type = graph.value(codes).dtype;
    if ((type != DType::uint4 && type != DType::int4) || graph.is_output(codes)) continue;
    bool all = true;
    for (const NodeId reader : consumers[static_cast<size_t>(codes)])
      all = all && graph.node(reader).is("DequantizeLinear") && per_tensor(graph, graph.node(reader)) &&
            graph.node(reader).input(2) != kNoValue;
    if (!all) continue;
    const auto widen = [&](NodeId n) {
      const ValueId zero = widened(graph, graph.node(n).input(2));
      graph.node(n).inputs[2] = zero;
    };
    widen(id);
    graph.node(id).attributes["code_bits"] = int64_t{4};
    for (const NodeId reader : consumers[static_cast<size_t>(codes)]) widen(reader);
    graph.value(codes).dtype = type == DType::int4 ? DType::i8 : DType::u8;
  }
}

/// Bias of a product that the integer operator can add: absent, or one constant float an output.
bool plain_bias(const Graph& graph, const Node& node, int64_t outputs) {
  if (node.input(2) == kNoValue) return true;
  if (!graph.is_constant(node.input(2))) return false;
  const Tensor& b = graph.value(node.input(2)).constant;
  return b.dtype() == DType::f32 && !b.quantization() && b.elements() == outputs &&
         (b.rank() == 1 || b.shape().back() == outputs);
}

}  // namespace

void fuse_integer_arithmetic(Graph& graph) {
  widen_activations(graph);
  const auto producers = graph.producers();
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    const Node& node = graph.node(id);
    const bool conv = node.is("Conv"), gemm = node.is("Gemm"), matmul = node.is("MatMul");
    if (!conv && !gemm && !matmul) continue;
    const NodeId before = producers[static_cast<size_t>(node.input(0))];
    if (before < 0 || !graph.node(before).is("DequantizeLinear") || !per_tensor(graph, graph.node(before))) continue;
    const DType type = graph.value(graph.node(before).input(0)).dtype;
    if (type != DType::u8 && type != DType::i8) continue;
    if (!graph.is_constant(node.input(1))) continue;
    const Tensor& weight = graph.value(node.input(1)).constant;
    const bool outputs_last = matmul || (gemm && node.integer("transB", 0) == 0);
    if (weight.elements() == 0 || !ops::is_integer_weight(weight, outputs_last)) continue;
    if (conv && weight.rank() != 4) continue;
    if (!conv && weight.rank() != 2) continue;
    const int64_t outputs = weight.shape()[outputs_last ? 1 : 0];
    if (gemm && (node.integer("transA", 0) != 0 || node.real("alpha", 1.0f) != 1.0f || node.real("beta", 1.0f) != 1.0f))
      continue;
    if (!plain_bias(graph, node, outputs)) continue;
    constexpr int64_t kLargestInner = 65536;  // sums stay inside 32 bits
    if (weight.elements() / outputs > kLargestInner) continue;
    const Node source = graph.node(before);
    ValueId bias = matmul ? kNoValue : node.input(2);
    if (bias != kNoValue && graph.value(bias).constant.rank() != 1)
      bias = graph.add_constant(graph.unique_name(graph.value(bias).name + "_flat"),
                                graph.value(bias).constant.reshaped({outputs}));
    Node& fused = graph.node(id);
    fused.inputs = {source.input(0), source.input(1), source.input(2), fused.inputs[1], bias};
    fused.op = conv ? "IntegerConv" : "IntegerMatMul";
    fused.domain = "nibble";
    if (!conv) {
      fused.attributes.clear();
      fused.attributes["outputs_last"] = int64_t{outputs_last};
    }
  }
}

void fuse_requantization(Graph& graph) {
  const auto producers = graph.producers();
  const auto consumers = graph.consumers();
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    if (!graph.node(id).is("QuantizeLinear") || !per_tensor(graph, graph.node(id))) continue;
    const ValueId value = graph.node(id).input(0), codes = graph.node(id).output(0);
    const NodeId before = producers[static_cast<size_t>(value)];
    if (before < 0 || consumers[static_cast<size_t>(value)].size() != 1 || graph.is_output(value)) continue;
    Node& product = graph.node(before);
    if (product.domain != "nibble" || (product.op != "IntegerConv" && product.op != "IntegerMatMul") ||
        product.inputs.size() > 5)
      continue;
    const DType type = graph.value(codes).dtype;
    if (type != DType::u8 && type != DType::i8) continue;
    product.inputs.resize(5, kNoValue);
    product.inputs.push_back(graph.node(id).input(1));
    product.inputs.push_back(graph.node(id).input(2));
    product.attributes["code_bits"] = graph.node(id).integer("code_bits", 8);
    product.outputs[0] = codes;
    graph.remove_node(id);
  }
}

}  // namespace nibble::runtime
