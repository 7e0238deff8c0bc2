#include <algorithm>
#include <iterator>
#include <memory>

#include "io/onnx/dtypes.h"
#include "model/save.h"

namespace nibble::model {
using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;

namespace {

constexpr int64_t kLowestWritten = 21;  // the first opset with 4-bit types, which the most runtimes load

struct Since {
  int64_t opset;
  const char* op;
  const char* attribute;
};
constexpr Since kSince[] = {
#define NIBBLE_SINCE(opset, op, attribute) {opset, op, attribute},
#define NIBBLE_SINCE_TYPE(opset, op, type)
#include "model/since.def"
#undef NIBBLE_SINCE
#undef NIBBLE_SINCE_TYPE
};

struct SinceType {
  int64_t opset;
  const char* op;
  DType type;
};
constexpr SinceType kSinceType[] = {
#define NIBBLE_SINCE(opset, op, attribute)
#define NIBBLE_SINCE_TYPE(opset, op, type) {opset, op, DType::type},
#include "model/since.def"
#undef NIBBLE_SINCE
#undef NIBBLE_SINCE_TYPE
};

int64_t opset_of_type(DType type) {
  // Most operators of a network take bfloat16 from opset 22 on.
  return type == DType::bf16 ? 22 : io::onnx::row_of(type).min_opset;
}

bool is_float(DType t) { return t == DType::f32 || t == DType::f16 || t == DType::f64 || t == DType::bf16; }

/// What the tables cannot say: the first opset in which a node's inputs and attributes together mean what they do now.
int64_t opset_of_form(const Graph& g, const Node& node) {
  if (node.op == "Attention" && node.inputs.size() > 6) return 24;
  if ((node.op == "MaxPool" || node.op == "AveragePool") && node.integer("ceil_mode", 0) != 0) {
    // Until opset 21, a last window that begins past the input counts where sizes are rounded up.
    const auto pads = node.integers("pads"), strides = node.integers("strides"), kernel = node.integers("kernel_shape");
    bool beyond = std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; });
    for (size_t i = 0; i < strides.size() && i < kernel.size(); ++i) beyond = beyond || strides[i] > kernel[i];
    if (beyond) return 22;
  }
  if (node.op == "Mod" && node.input(0) != kNoValue && is_float(g.value(node.input(0)).dtype) &&
      node.integer("fmod", 0) == 0 && (g.value(node.input(0)).shape_known || g.is_constant(node.input(0))))
    return 28;
  return kLowestWritten;
}

}  // namespace

int64_t lowest_opset(const Graph& g) {
  int64_t opset = kLowestWritten;
  const auto need = [&](int64_t wanted) { opset = std::max(opset, wanted); };
  for (ValueId v = 0; v < g.value_count(); ++v)
    if (g.is_constant(v)) need(opset_of_type(g.value(v).constant.dtype()));
  for (const auto* ids : {&g.inputs, &g.outputs})
    for (const ValueId v : *ids) need(opset_of_type(g.value(v).dtype));
  for (NodeId id = 0; id < g.node_count(); ++id) {
    const Node& node = g.node(id);
    if (node.removed) continue;
    for (const auto& [key, attribute] : node.attributes)
      if (const auto* inner = std::get_if<std::shared_ptr<Graph>>(&attribute)) need(lowest_opset(**inner));
    if (!node.domain.empty()) continue;
    for (const char* key : {"to", "output_dtype"})
      if (node.has(key) && std::holds_alternative<int64_t>(node.attributes.at(key)))
        if (const auto type = tensor::dtype_of_number(node.integer(key, 0))) need(opset_of_type(*type));
    for (const Since& since : kSince)
      if (node.op == since.op && (*since.attribute == '\0' || node.has(since.attribute))) need(since.opset);
    for (const SinceType& since : kSinceType)
      for (const ValueId v : node.inputs)
        if (node.op == since.op && v != kNoValue && g.value(v).dtype == since.type) need(since.opset);
    need(opset_of_form(g, node));
  }
  return opset;
}

}  // namespace nibble::model
