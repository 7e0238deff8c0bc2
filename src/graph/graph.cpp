#include "graph/graph.h"

#include <algorithm>
#include <deque>
#include <unordered_set>

#include "base/error.h"

namespace nibble::graph {
namespace {

template <typename T>
const T* attribute_as(const Node& node, const std::string& key) {
  const auto it = node.attributes.find(key);
  if (it == node.attributes.end()) return nullptr;
  const T* value = std::get_if<T>(&it->second);
  if (!value) base::fail_malformed(node.describe(), "the attribute " + base::in_quotes(key) + " has the wrong type");
  return value;
}

}  // namespace

int64_t Node::integer(const std::string& key, int64_t fallback) const {
  const auto* v = attribute_as<int64_t>(*this, key);
  return v ? *v : fallback;
}
float Node::real(const std::string& key, float fallback) const {
  const auto* v = attribute_as<float>(*this, key);
  return v ? *v : fallback;
}
std::string Node::text(const std::string& key, const std::string& fallback) const {
  const auto* v = attribute_as<std::string>(*this, key);
  return v ? *v : fallback;
}
std::vector<int64_t> Node::integers(const std::string& key, std::vector<int64_t> fallback) const {
  const auto* v = attribute_as<std::vector<int64_t>>(*this, key);
  return v ? *v : fallback;
}
std::vector<float> Node::reals(const std::string& key, std::vector<float> fallback) const {
  const auto* v = attribute_as<std::vector<float>>(*this, key);
  return v ? *v : fallback;
}

std::string Node::describe() const { return "node " + base::in_quotes(name) + " (" + base::printable(op, 60) + ")"; }

ValueId Graph::add_value(Value v) {
  values_.push_back(std::move(v));
  return value_count() - 1;
}

ValueId Graph::add_constant(const std::string& value_name, Tensor tensor, Role role) {
  Value v;
  v.name = value_name;
  v.dtype = tensor.quantization() ? DType::f32 : tensor.dtype();
  v.shape_known = true;
  v.shape = tensor.shape();
  v.constant = std::move(tensor);
  v.role = role;
  return add_value(std::move(v));
}

NodeId Graph::add_node(Node n) {
  nodes_.push_back(std::move(n));
  return node_count() - 1;
}

std::string Graph::name_of(const Node& node) const {
  return !node.name.empty() || node.output(0) == kNoValue ? node.name : value(node.output(0)).name;
}

int64_t Graph::fixed_batch() const {
  for (const ValueId id : inputs)
    if (value(id).shape_known && !value(id).shape.empty() && value(id).shape[0] != tensor::kUnknown)
      return value(id).shape[0];
  return tensor::kUnknown;
}

bool Graph::is_output(ValueId id) const { return std::find(outputs.begin(), outputs.end(), id) != outputs.end(); }

ValueId Graph::find_value(std::string_view value_name) const {
  for (ValueId id = 0; id < value_count(); ++id)
    if (value(id).name == value_name) return id;
  return kNoValue;
}

std::string Graph::unique_name(const std::string& stem) const {
  if (find_value(stem) == kNoValue) return stem;
  for (int i = 1;; ++i) {
    std::string candidate = stem + "_" + std::to_string(i);
    if (find_value(candidate) == kNoValue) return candidate;
  }
}

std::vector<NodeId> Graph::producers() const {
  std::vector<NodeId> result(values_.size(), -1);
  for (NodeId id = 0; id < node_count(); ++id) {
    if (node(id).removed) continue;
    for (const ValueId v : node(id).outputs)
      if (v != kNoValue) result[static_cast<size_t>(v)] = id;
  }
  return result;
}

std::vector<std::vector<NodeId>> Graph::consumers() const {
  std::vector<std::vector<NodeId>> result(values_.size());
  for (NodeId id = 0; id < node_count(); ++id) {
    if (node(id).removed) continue;
    for (const ValueId v : node(id).inputs)
      if (v != kNoValue) result[static_cast<size_t>(v)].push_back(id);
  }
  return result;
}

void Graph::replace_uses(ValueId from, ValueId to) {
  for (Node& n : nodes_) std::replace(n.inputs.begin(), n.inputs.end(), from, to);
  std::replace(outputs.begin(), outputs.end(), from, to);
}

void Graph::compact() {
  // Kahn's algorithm, taking ready nodes in their present order so that the result is stable.
  const auto writer = producers();
  const auto readers = consumers();
  std::vector<int> waiting(nodes_.size(), 0);
  std::vector<NodeId> order;
  std::deque<NodeId> ready;
  for (NodeId id = 0; id < node_count(); ++id) {
    if (node(id).removed) continue;
    for (const ValueId v : node(id).inputs)
      if (v != kNoValue && writer[static_cast<size_t>(v)] >= 0) ++waiting[static_cast<size_t>(id)];
    if (waiting[static_cast<size_t>(id)] == 0) ready.push_back(id);
  }
  while (!ready.empty()) {
    const NodeId id = ready.front();
    ready.pop_front();
    order.push_back(id);
    for (const ValueId v : node(id).outputs) {
      if (v == kNoValue) continue;
      for (const NodeId reader : readers[static_cast<size_t>(v)])
        if (--waiting[static_cast<size_t>(reader)] == 0) ready.push_back(reader);
    }
  }
  for (NodeId id = 0; id < node_count(); ++id)
    if (!node(id).removed && waiting[static_cast<size_t>(id)] > 0)
      base::fail_malformed(node(id).describe(), "takes part in a cycle, a network must not have one");

  std::vector<bool> used(values_.size(), false);
  const auto use = [&](ValueId v) {
    if (v != kNoValue) used[static_cast<size_t>(v)] = true;
  };
  for (const ValueId v : inputs) use(v);
  for (const ValueId v : outputs) use(v);
  for (const NodeId id : order) {
    for (const ValueId v : node(id).inputs) use(v);
    for (const ValueId v : node(id).outputs) use(v);
  }
  std::vector<ValueId> renumbered(values_.size(), kNoValue);
  std::vector<Value> values;
  for (size_t i = 0; i < values_.size(); ++i) {
    if (!used[i]) continue;
    renumbered[i] = static_cast<ValueId>(values.size());
    values.push_back(std::move(values_[i]));
  }
  const auto renumber = [&](std::vector<ValueId>& ids) {
    for (ValueId& v : ids)
      if (v != kNoValue) v = renumbered[static_cast<size_t>(v)];
  };
  std::vector<Node> nodes;
  nodes.reserve(order.size());
  for (const NodeId id : order) {
    nodes.push_back(std::move(nodes_[static_cast<size_t>(id)]));
    renumber(nodes.back().inputs);
    renumber(nodes.back().outputs);
  }
  renumber(inputs);
  renumber(outputs);
  renumber(captures);
  values_ = std::move(values);
  nodes_ = std::move(nodes);
}

const Graph* subgraph(const Node& node, const std::string& key) {
  const auto* inner = attribute_as<std::shared_ptr<Graph>>(node, key);
  return inner ? inner->get() : nullptr;
}

size_t captured_inputs(const Node& node) {
  for (const auto& [key, attribute] : node.attributes)
    if (const auto* inner = std::get_if<std::shared_ptr<Graph>>(&attribute)) return (*inner)->captures.size();
  return 0;
}

namespace {

/// A captured value may get the name of another value inside, where a pass replaced what it stands for: that one moves
/// on.
void free_name(Graph& g, ValueId owner, const std::string& wanted) {
  for (ValueId v = 0; v < g.value_count(); ++v)
    if (v != owner && g.value(v).name == wanted) g.value(v).name = g.unique_name(wanted + "_inner");
}

}  // namespace

void name_captures(Graph& graph) {
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    Node& node = graph.node(id);
    const size_t count = captured_inputs(node);
    if (node.removed) continue;
    std::vector<bool> read(count, false);
    std::vector<Graph*> inner;
    for (auto& [key, attribute] : node.attributes)
      if (auto* shared = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        *shared = std::make_shared<Graph>(**shared);
        inner.push_back(shared->get());
        (*shared)->compact();
        for (size_t k = 0; k < count; ++k) read[k] = read[k] || (*shared)->captures[k] != kNoValue;
      }
    const size_t first = node.inputs.size() - count;
    for (Graph* g : inner)
      for (size_t k = count; k-- > 0;) {
        const ValueId v = g->captures[k];
        if (!read[k]) g->captures.erase(g->captures.begin() + static_cast<std::ptrdiff_t>(k));
        if (v == kNoValue) continue;
        const std::string& name = graph.value(node.inputs[first + k]).name;
        if (g->value(v).name == name) continue;
        free_name(*g, v, name);
        g->value(v).name = name;
      }
    for (size_t k = count; k-- > 0;)
      if (!read[k]) node.inputs.erase(node.inputs.begin() + static_cast<std::ptrdiff_t>(first + k));
    for (Graph* g : inner) name_captures(*g);
  }
}

}  // namespace nibble::graph
