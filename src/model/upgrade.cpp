#include "model/upgrade.h"

#include <memory>
#include <unordered_set>

#include "base/error.h"
#include "model/upgrade_rules.h"

namespace nibble::model {
using graph::Graph;
using graph::NodeId;

namespace {

struct Rule {
  int64_t until;
  const char* op;
  void (*apply)(Rewriter&, NodeId);
};

constexpr Rule kRules[] = {
#define NIBBLE_UPGRADE(until, op, rule) {until, op, rule},
#include "model/upgrade_rules.def"
#undef NIBBLE_UPGRADE
};

template <typename Visit>
void for_each_subgraph(Graph& g, const Visit& visit) {
  for (NodeId id = 0; id < g.node_count(); ++id)
    for (auto& [key, attribute] : g.node(id).attributes)
      if (auto* inner = std::get_if<std::shared_ptr<Graph>>(&attribute)) visit(**inner);
}

void collect_names(Graph& g, std::unordered_set<std::string>& names) {
  for (graph::ValueId v = 0; v < g.value_count(); ++v) names.insert(g.value(v).name);
  for_each_subgraph(g, [&](Graph& inner) { collect_names(inner, names); });
}

/// What only nibble itself may write into a Graph: its own operators, and the attributes by which it changes others.
void refuse_private_forms(const Graph& g) {
  for (NodeId id = 0; id < g.node_count(); ++id) {
    const auto& node = g.node(id);
    if (node.domain == "nibble")
      base::fail_unsupported(node.describe(), "belongs to the domain \"nibble\", which is for networks in memory only");
    for (const char* key : {"channels_last", "code_bits"})
      if (node.domain.empty() && node.has(key))
        base::fail_malformed(node.describe(),
                             "has the attribute " + base::in_quotes(key) + ", which ONNX does not define");
  }
}

void apply_rules(Graph& g, int64_t opset, std::unordered_set<std::string>& names) {
  refuse_private_forms(g);
  for_each_subgraph(g, [&](Graph& inner) { apply_rules(inner, opset, names); });
  for (const Rule& rule : kRules) {
    if (opset >= rule.until) continue;
    Rewriter rewriter(g, names);
    const NodeId count = g.node_count();  // what a rule adds has the newest form already
    for (NodeId id = 0; id < count; ++id)
      if (const auto& node = g.node(id); !node.removed && node.domain.empty() && node.op == rule.op)
        rule.apply(rewriter, id);
  }
  g.compact();
  g.opset = kCanonicalOpset;
}

}  // namespace

void upgrade(Graph& g) {
  if (g.opset == 0) g.opset = kCanonicalOpset;  // no operator of the default domain: nothing has another meaning
  if (g.opset < kOldestOpset || g.opset > kCanonicalOpset)
    base::fail_unsupported(g.name.empty() ? "the network" : "network " + base::in_quotes(g.name),
                           "uses opset " + std::to_string(g.opset) + ", nibble reads " + std::to_string(kOldestOpset) +
                               " to " + std::to_string(kCanonicalOpset),
                           "export it again with an opset in that range, for instance 17");
  std::unordered_set<std::string> names;
  collect_names(g, names);
  apply_rules(g, g.opset, names);
}

}  // namespace nibble::model
