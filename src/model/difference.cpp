#include <algorithm>
#include <cstring>
#include <map>

#include "base/error.h"
#include "model/save.h"
#include "tensor/quantization.h"

namespace nibble::model {
using graph::Attribute;
using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::ValueId;
using tensor::Tensor;

namespace {

std::string difference_of_graphs(const Graph& a, const Graph& b);

bool same_bytes(base::Bytes a, base::Bytes b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

bool same_tensor(const Tensor& a, const Tensor& b) {
  if (!a || !b) return !a && !b;
  if (a.dtype() != b.dtype() || a.shape() != b.shape() || !same_bytes(a.bytes(), b.bytes())) return false;
  const auto &p = a.quantization(), &q = b.quantization();
  if (!p || !q) return !p && !q;
  return p->format == q->format && p->code_shape == q->code_shape && p->axis == q->axis && p->block == q->block &&
         same_tensor(p->scale, q->scale) && same_tensor(p->zero, q->zero) && same_tensor(p->offset, q->offset) &&
         p->tensor_scale == q->tensor_scale;
}

bool same_attribute(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  if (const auto* t = std::get_if<Tensor>(&a)) return same_tensor(*t, std::get<Tensor>(b));
  if (const auto* g = std::get_if<std::shared_ptr<Graph>>(&a))
    return difference_of_graphs(**g, *std::get<std::shared_ptr<Graph>>(b)).empty();
  // Bits, so that a NaN equals itself and -0 differs from 0.
  if (const auto* f = std::get_if<float>(&a)) return std::memcmp(f, &std::get<float>(b), sizeof *f) == 0;
  if (const auto* f = std::get_if<std::vector<float>>(&a)) {
    const auto& h = std::get<std::vector<float>>(b);
    return f->size() == h.size() && (f->empty() || std::memcmp(f->data(), h.data(), f->size() * sizeof(float)) == 0);
  }
  if (const auto* i = std::get_if<int64_t>(&a)) return *i == std::get<int64_t>(b);
  if (const auto* i = std::get_if<std::vector<int64_t>>(&a)) return *i == std::get<std::vector<int64_t>>(b);
  if (const auto* s = std::get_if<std::string>(&a)) return *s == std::get<std::string>(b);
  return std::get<std::vector<std::string>>(a) == std::get<std::vector<std::string>>(b);
}

std::vector<std::string> names(const Graph& g, const std::vector<ValueId>& ids) {
  std::vector<std::string> result;
  for (const ValueId v : ids) result.push_back(v == kNoValue ? std::string() : g.value(v).name);
  return result;
}

/// Captured inputs stand in no particular order: sorted.
std::vector<std::string> input_names(const Graph& g, const Node& node) {
  auto list = names(g, node.inputs);
  std::sort(list.end() - static_cast<std::ptrdiff_t>(graph::captured_inputs(node)), list.end());
  return list;
}

std::vector<const Node*> live_nodes(const Graph& g) {
  std::vector<const Node*> nodes;
  for (graph::NodeId id = 0; id < g.node_count(); ++id)
    if (!g.node(id).removed) nodes.push_back(&g.node(id));
  return nodes;
}

std::map<std::string, const Tensor*> constants(const Graph& g) {
  std::map<std::string, const Tensor*> result;
  for (ValueId v = 0; v < g.value_count(); ++v)
    if (g.is_constant(v)) result[g.value(v).name] = &g.value(v).constant;
  return result;
}

std::string difference_of_nodes(const Graph& a, const Node& m, const Graph& b, const Node& n) {
  if (m.op != n.op || m.domain != n.domain || m.name != n.name) return m.describe() + " became " + n.describe();
  if (input_names(a, m) != input_names(b, n)) return m.describe() + " has other inputs";
  if (names(a, m.outputs) != names(b, n.outputs)) return m.describe() + " has other outputs";
  if (m.attributes.size() != n.attributes.size()) return m.describe() + " has another number of attributes";
  for (const auto& [key, value] : m.attributes) {
    const auto it = n.attributes.find(key);
    if (it == n.attributes.end() || !same_attribute(value, it->second))
      return m.describe() + " has another attribute " + base::in_quotes(key);
  }
  return {};
}

std::string difference_of_graphs(const Graph& a, const Graph& b) {
  const auto left = live_nodes(a), right = live_nodes(b);
  if (left.size() != right.size())
    return "there are " + std::to_string(left.size()) + " nodes against " + std::to_string(right.size());
  for (size_t i = 0; i < left.size(); ++i)
    if (std::string text = difference_of_nodes(a, *left[i], b, *right[i]); !text.empty()) return text;
  if (names(a, a.inputs) != names(b, b.inputs)) return "the inputs have other names";
  if (names(a, a.outputs) != names(b, b.outputs)) return "the outputs have other names";
  for (size_t i = 0; i < a.inputs.size(); ++i) {
    const auto &v = a.value(a.inputs[i]), &w = b.value(b.inputs[i]);
    if (v.dtype != w.dtype || v.shape_known != w.shape_known || (v.shape_known && v.shape != w.shape))
      return "the input " + base::in_quotes(v.name) + " has another type";
  }
  const auto p = constants(a), q = constants(b);
  if (p.size() != q.size())
    return "there are " + std::to_string(p.size()) + " constants against " + std::to_string(q.size());
  for (const auto& [name, tensor] : p) {
    const auto it = q.find(name);
    if (it == q.end()) return "the constant " + base::in_quotes(name) + " is missing";
    if (!same_tensor(*tensor, *it->second)) return "the constant " + base::in_quotes(name) + " differs";
  }
  return {};
}

}  // namespace

std::string first_difference(const Graph& a, const Graph& b) {
  if (std::string text = difference_of_graphs(a, b); !text.empty()) return text;
  if (a.opset != b.opset || a.domains != b.domains) return "the opsets differ";
  if (a.metadata != b.metadata) return "the metadata differ";
  return {};
}

}  // namespace nibble::model
