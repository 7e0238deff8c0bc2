#pragma once
#include <string>
#include <unordered_set>
#include <vector>

#include "graph/graph.h"

namespace nibble::model {

/// What a rule needs besides the node: the graph around it, and names that are free in the whole network.
class Rewriter {
 public:
  Rewriter(graph::Graph& g, std::unordered_set<std::string>& names) : g_(g), names_(names) {}

  graph::Graph& graph() { return g_; }
  graph::Node& node(graph::NodeId id) { return g_.node(id); }

  /// A new constant named after the node's first output.
  graph::ValueId add_constant(graph::NodeId near, const char* suffix, graph::Tensor tensor);
  graph::ValueId add_integers(graph::NodeId near, const char* suffix, std::span<const int64_t> values);
  /// A new value (an output to be) named after the node's first output.
  graph::ValueId add_value(graph::NodeId near, const char* suffix);
  /// Sets input `index`, filling with omitted inputs before it.
  void set_input(graph::NodeId id, size_t index, graph::ValueId value);
  /// True when some node reads `value` or it is an output of the graph; constant time after the first call.
  bool is_read(graph::ValueId value);
  /// Rank of a value where that follows without running the network, else -1.
  int64_t rank_of(graph::ValueId value);
  /// Floating-point type of a value: that of the nearest constant, stated value or Cast before it; f32 if there is
  /// none.
  graph::DType float_type_of(graph::ValueId value);

 private:
  std::string unique(const std::string& stem);
  void index();

  graph::Graph& g_;
  std::unordered_set<std::string>& names_;
  std::vector<graph::NodeId> producers_;
  std::vector<bool> read_;
};

#define NIBBLE_UPGRADE(until, op, rule) void rule(Rewriter& r, graph::NodeId id);
#include "model/upgrade_rules.def"
#undef NIBBLE_UPGRADE

}  // namespace nibble::model
