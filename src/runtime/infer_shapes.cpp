#include "runtime/infer_shapes.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "ops/operator.h"

namespace nibble::runtime {

using graph::kNoValue;
using graph::Node;
using graph::Value;
using graph::ValueId;

namespace {

void collect_unsupported(const graph::Graph& graph, std::vector<UnsupportedOperator>& list) {
  for (graph::NodeId id = 0; id < graph.node_count(); ++id) {
    const Node& node = graph.node(id);
    if (node.removed) continue;
    for (const auto& [key, attribute] : node.attributes)
      if (const auto* inner = std::get_if<std::shared_ptr<graph::Graph>>(&attribute))
        collect_unsupported(**inner, list);
    if (ops::find_operator(node.op, node.domain)) continue;
    const auto same = [&](const UnsupportedOperator& u) { return u.op == node.op && u.domain == node.domain; };
    auto it = std::find_if(list.begin(), list.end(), same);
    if (it == list.end()) it = list.insert(it, {node.op, node.domain, node.name, 0});
    ++it->count;
  }
}

/// Infers the subgraphs of one node, whose inputs are as the graph around knows them.
class Subgraphs : public ops::SubgraphInference {
 public:
  Subgraphs(const Node& node, std::span<const ops::InputFacts> facts) : node_(node), facts_(facts) {}

  std::vector<ops::OutputFacts> infer_subgraph(const std::string& key,
                                               std::span<const ops::InputFacts> inputs) override {
    graph::Graph inner = *graph::subgraph(node_, key);  // a copy: the same subgraph may be inferred with other inputs
    const auto learn = [&](ValueId v, const ops::InputFacts& f) {
      Value& value = inner.value(v);
      value.dtype = f.dtype;
      value.shape_known = f.shape_known;
      value.shape = f.shape;
      if (f.data) value.constant = *f.data;
    };
    for (size_t i = 0; i < inputs.size() && i < inner.inputs.size(); ++i) learn(inner.inputs[i], inputs[i]);
    const size_t first = facts_.size() - inner.captures.size();
    for (size_t k = 0; k < inner.captures.size(); ++k)
      if (inner.captures[k] != kNoValue) learn(inner.captures[k], facts_[first + k]);
    for (graph::NodeId id = 0; id < inner.node_count(); ++id)
      if (!inner.node(id).removed) infer_node(inner, id);
    std::vector<ops::OutputFacts> outputs;
    for (const ValueId v : inner.outputs)
      outputs.push_back({inner.value(v).dtype, inner.value(v).shape_known, inner.value(v).shape});
    return outputs;
  }

 private:
  const Node& node_;
  std::span<const ops::InputFacts> facts_;
};

}  // namespace

std::vector<UnsupportedOperator> unsupported_operators(const graph::Graph& graph) {
  std::vector<UnsupportedOperator> list;
  collect_unsupported(graph, list);
  return list;
}

std::string UnsupportedOperator::describe() const {
  return (domain.empty() ? "" : base::printable(domain, 40) + ".") + base::printable(op, 40) + " x" +
         std::to_string(count);
}

void require_supported(const graph::Graph& graph) {
  const auto list = unsupported_operators(graph);
  if (list.empty()) return;
  std::string names;
  for (const auto& u : list) {
    if (!names.empty()) names += ", ";
    names += u.describe();
  }
  const bool one = list.size() == 1;
  base::fail_unsupported("", std::to_string(list.size()) + (one ? " operator is" : " operators are") +
                                 " not supported: " + names + " (the first is node " +
                                 base::in_quotes(list[0].first_node) + ")");
}

std::string infer_node(graph::Graph& graph, graph::NodeId id) {
  const Node& node = graph.node(id);
  std::vector<ops::InputFacts> inputs(node.inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (node.inputs[i] == kNoValue) continue;
    const Value& v = graph.value(node.inputs[i]);
    inputs[i] = {true, v.dtype, v.shape_known, v.shape,
                 v.constant && !v.constant.quantization() ? &v.constant : nullptr};
  }
  std::vector<ops::OutputFacts> outputs(node.outputs.size());
  Subgraphs subgraphs(node, inputs);
  ops::infer_node(*ops::find_operator(node.op, node.domain), node, inputs, outputs, &subgraphs);
  std::string note;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue) continue;
    Value& v = graph.value(node.outputs[i]);
    const bool was_stated = v.shape_known;
    const auto stated = v.shape;
    v.dtype = outputs[i].dtype;
    v.shape_known = outputs[i].shape_known;
    v.shape = outputs[i].shape;
    if (!was_stated || !v.shape_known) continue;
    bool clash = stated.size() != v.shape.size();
    for (size_t d = 0; !clash && d < stated.size(); ++d)
      clash = stated[d] != v.shape[d] && stated[d] != tensor::kUnknown && v.shape[d] != tensor::kUnknown;
    if (clash)
      note = "value " + base::in_quotes(v.name) + " is stated as " + tensor::to_string(stated) + " but comes out as " +
             tensor::to_string(v.shape);
  }
  return note;
}

namespace {

void check_inputs(const graph::Graph& graph) {
  for (const ValueId v : graph.inputs)
    if (graph.value(v).shape_known && !ops::is_computable(graph.value(v).shape))
      base::fail_limit("input " + base::in_quotes(graph.value(v).name),
                       "its shape " + tensor::to_string(graph.value(v).shape) + " is too large");
}

/// Whether the table has the node's operator and all of its subgraphs.
bool is_supported(const Node& node) {
  std::vector<UnsupportedOperator> list;
  for (const auto& [key, attribute] : node.attributes)
    if (const auto* inner = std::get_if<std::shared_ptr<graph::Graph>>(&attribute)) collect_unsupported(**inner, list);
  return list.empty() && ops::find_operator(node.op, node.domain);
}

/// Nodes of which nothing can be said, and everything that reads what they write.
class Unknown {
 public:
  explicit Unknown(const graph::Graph& graph) : values_(static_cast<size_t>(graph.value_count()), false) {}
  void add(const Node& node, graph::Graph& graph) {
    for (const ValueId v : node.outputs) {
      if (v == kNoValue) continue;
      values_[static_cast<size_t>(v)] = true;
      graph.value(v).shape_known = false;
      graph.value(v).shape.clear();
    }
  }
  bool reaches(const Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId v) { return v != kNoValue && values_[static_cast<size_t>(v)]; });
  }

 private:
  std::vector<bool> values_;
};

/// Of the network's outputs that nothing else reads and whose rank does not come out of the nodes: the rank that the
/// file states, with open sizes. No node relies on it, and a file that is written must state one.
class StatedOutputs {
 public:
  explicit StatedOutputs(const graph::Graph& graph) {
    const auto readers = graph.consumers();
    for (const ValueId v : graph.outputs)
      if (graph.value(v).shape_known && readers[static_cast<size_t>(v)].empty())
        ranks_.emplace_back(v, graph.value(v).shape.size());
  }
  void restore(graph::Graph& graph) const {
    for (const auto& [v, rank] : ranks_) {
      Value& value = graph.value(v);
      if (value.shape_known) continue;
      value.shape_known = true;
      value.shape.assign(rank, tensor::kUnknown);
    }
  }

 private:
  std::vector<std::pair<ValueId, size_t>> ranks_;
};

}  // namespace

std::vector<std::string> infer_shapes(graph::Graph& graph, std::vector<base::Error>* problems) {
  if (!problems) require_supported(graph);
  std::vector<std::string> notes;
  const auto attempt = [&](const auto& step) {
    if (!problems) return step(), true;
    try {
      step();
    } catch (const base::Error& e) {
      problems->push_back(e);
      return false;
    }
    return true;
  };
  attempt([&] { check_inputs(graph); });
  const StatedOutputs stated(graph);
  Unknown unknown(graph);
  for (graph::NodeId id = 0; id < graph.node_count(); ++id) {
    const Node& node = graph.node(id);
    if (node.removed) continue;
    std::string note;
    if (unknown.reaches(node) || !is_supported(node) || !attempt([&] { note = infer_node(graph, id); })) {
      unknown.add(node, graph);
      continue;
    }
    if (!note.empty()) notes.push_back(note);
  }
  stated.restore(graph);
  return notes;
}

}  // namespace nibble::runtime
