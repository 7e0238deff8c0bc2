#include "model/portable_form.h"

#include <algorithm>
#include <cmath>

#include "base/small_float.h"
#include "codec/format.h"
#include "graph/products.h"

namespace nibble::model {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Tensor;

/// Exponent k of the grid of a bias: the largest magnitude is below 2^30 steps of 2^k. INT_MIN for a bias of zeros.
int grid_exponent(std::span<const float> values) {
  float largest = 0;
  for (const float v : values) largest = std::max(largest, std::fabs(v));
  if (!(largest > 0) || !std::isfinite(largest)) return INT32_MIN;
  return std::max(-126, std::ilogb(largest) - 29);
}

/// The node that writes a value, if it is an `op`.
NodeId producer_if(const Graph& graph, const std::vector<NodeId>& producers, ValueId v, const char* op) {
  const NodeId id = v == kNoValue ? -1 : producers[static_cast<size_t>(v)];
  return id >= 0 && graph.node(id).is(op) ? id : -1;
}

float scalar_of(const Graph& graph, ValueId v) { return graph.value(v).constant.values<float>()[0]; }

/// Puts Min (and Max, with `both`) with the limits of what 4-bit codes can stand for before the QuantizeLinear `id`.
/// Where the codes have 4 bits anyway this changes nothing, since they saturate there.
void limit_before(Graph& graph, NodeId id, bool both) {
  const Node quantize = graph.node(id);
  const float scale = scalar_of(graph, quantize.input(1));
  const int zero = codec::unpack(graph.value(quantize.input(2)).constant).at(0);
  ValueId v = quantize.input(0);
  const auto add = [&](const char* op, int code, const char* suffix) {
    graph::Value limited = graph.value(quantize.input(0));
    const ValueId limit = graph.add_constant(graph.unique_name(limited.name + suffix),
                                             Tensor::scalar<float>(static_cast<float>(code - zero) * scale));
    limited.name = graph.unique_name(limited.name + suffix + "ed");
    const ValueId out = graph.add_value(std::move(limited));
    Node node;
    node.op = op;
    node.name = graph.value(out).name;
    node.inputs = {v, limit};
    node.outputs = {out};
    graph.add_node(std::move(node));
    v = out;
  };
  add("Min", 15, "_most");
  if (both) add("Max", 0, "_least");
  graph.node(id).inputs[0] = v;
}

/// A QuantizeLinear to uint4 with one constant f32 scale and a zero point.
bool quantizes_to_uint4(const Graph& graph, const Node& node) {
  return node.is("QuantizeLinear") && graph.value(node.output(0)).dtype == DType::uint4 && node.input(2) != kNoValue &&
         graph.is_constant(node.input(1)) && graph.is_constant(node.input(2)) &&
         graph.value(node.input(1)).constant.elements() == 1 &&
         graph.value(node.input(1)).constant.dtype() == DType::f32;
}

}  // namespace

tensor::Tensor exact_bias(const Tensor& bias) {
  const auto from = bias.values<float>();
  const int k = grid_exponent(from);
  if (k == INT32_MIN) return bias;
  Tensor rounded(DType::f32, bias.shape(), true);
  auto to = rounded.mutable_values<float>();
  for (size_t i = 0; i < to.size(); ++i)
    to[i] = static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(static_cast<double>(from[i]), -k)), k)) + 0.0f;
  return rounded;
}

void write_integer_biases(Graph& graph) {
  const auto producers = graph.producers();
  const NodeId count = graph.node_count();
  for (NodeId id = 0; id < count; ++id) {
    const Node& node = graph.node(id);
    if (!node.is("Conv") && !node.is("Gemm")) continue;
    const ValueId bias = node.input(2);
    if (bias == kNoValue || !graph.is_constant(bias) ||
        producer_if(graph, producers, node.input(0), "DequantizeLinear") < 0)
      continue;
    const Tensor values = graph.value(bias).constant;
    if (values.dtype() != DType::f32 || values.quantization() || values.rank() != 1) continue;
    const int k = grid_exponent(values.values<float>());
    if (k == INT32_MIN) continue;
    std::vector<int32_t> integers;
    bool exact = true;
    for (const float v : values.values<float>()) {
      const double steps = std::ldexp(static_cast<double>(v), -k);
      exact = exact && steps == std::nearbyint(steps) && !(v == 0 && std::signbit(v));
      integers.push_back(static_cast<int32_t>(steps));
    }
    if (!exact) continue;
    const graph::Value source = graph.value(bias);
    const ValueId codes =
        graph.add_constant(graph.unique_name(source.name + "_int32"), Tensor::of<int32_t>(values.shape(), integers));
    const ValueId scale = graph.add_constant(graph.unique_name(source.name + "_int32_scale"),
                                             Tensor::scalar<float>(static_cast<float>(std::ldexp(1.0, k))));
    graph::Value real;
    real.name = graph.unique_name(source.name + "_dequantized");
    real.shape_known = true;
    real.shape = values.shape();
    const ValueId out = graph.add_value(std::move(real));
    Node dequantize;
    dequantize.op = "DequantizeLinear";
    dequantize.name = graph.value(out).name;
    dequantize.inputs = {codes, scale};
    dequantize.outputs = {out};
    graph.add_node(std::move(dequantize));
    graph.node(id).inputs[2] = out;
  }
  graph.compact();
}

void guard_narrow_activations(Graph& graph) {
  const auto producers = graph.producers();
  const NodeId count = graph.node_count();
  for (NodeId id = 0; id < count; ++id) {
    if (!quantizes_to_uint4(graph, graph.node(id))) continue;
    const NodeId before = producers[static_cast<size_t>(graph.node(id).input(0))];
    if (before < 0 || !graph.node(before).domain.empty()) continue;
    for (const char* op : {"MaxPool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice"})
      if (graph.node(before).is(op)) {
        limit_before(graph, id, false);
        break;
      }
  }
  graph.compact();
}

void use_byte_activations(Graph& graph) {
  const auto consumers = graph.consumers();
  const NodeId count = graph.node_count();
  for (NodeId id = 0; id < count; ++id) {
    if (!quantizes_to_uint4(graph, graph.node(id))) continue;
    const ValueId codes = graph.node(id).output(0);
    const auto& readers = consumers[static_cast<size_t>(codes)];
    if (graph.is_output(codes) ||
        !std::all_of(readers.begin(), readers.end(), [&](NodeId r) { return graph.node(r).is("DequantizeLinear"); }))
      continue;
    const std::string name = graph.value(graph.node(id).input(2)).name;
    const auto zero = static_cast<uint8_t>(codec::unpack(graph.value(graph.node(id).input(2)).constant).at(0));
    limit_before(graph, id, true);
    const ValueId wide = graph.add_constant(graph.unique_name(name + "_byte"), Tensor::scalar<uint8_t>(zero));
    graph.node(id).inputs[2] = wide;
    for (const NodeId r : readers) graph.node(r).inputs[2] = wide;
    graph.value(codes).dtype = DType::u8;
  }
  graph.compact();
}

void refine_integer_codes(Graph& graph) {
  const auto producers = graph.producers();
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    // Only where activations are quantized too does onnxruntime multiply integers.
    const Node& node = graph.node(id);
    if (!graph::is_product(node)) continue;
    if (producer_if(graph, producers, node.input(0), "DequantizeLinear") < 0 || !graph.is_constant(node.input(1)))
      continue;
    const ValueId v = node.input(1);
    const Tensor constant = graph.value(v).constant;
    if (!constant || !constant.quantization() || constant.dtype() != DType::i8) continue;
    const auto& q = *constant.quantization();
    if (q.zero || q.offset || q.scale.dtype() != DType::f16) continue;
    const auto codes = constant.values<int8_t>();
    if (std::any_of(codes.begin(), codes.end(), [](int8_t c) { return c < -8 || c > 7; }))
      continue;  // 8 bits, or done already
    Tensor scale(DType::f16, q.scale.shape(), true);
    bool exact = true;
    for (size_t i = 0; i < scale.mutable_values<uint16_t>().size(); ++i) {
      const float s = base::f16_to_f32(q.scale.values<uint16_t>()[i]);
      scale.mutable_values<uint16_t>()[i] = base::f32_to_f16(s / 8);
      exact = exact && base::f16_to_f32(scale.values<uint16_t>()[i]) == s / 8;
    }
    if (!exact) continue;
    Tensor finer(DType::i8, constant.shape(), true);
    for (size_t i = 0; i < codes.size(); ++i) finer.mutable_values<int8_t>()[i] = static_cast<int8_t>(codes[i] * 8);
    auto quantization = std::make_shared<tensor::Quantization>(q);
    quantization->scale = std::move(scale);
    graph.value(v).constant = finer.with_quantization(std::move(quantization));
  }
}

}  // namespace nibble::model
