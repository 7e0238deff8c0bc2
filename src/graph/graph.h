#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "tensor/tensor.h"

namespace nibble::graph {

using tensor::DType;
using tensor::Shape;
using tensor::Tensor;

class Graph;

/// What a constant is for; policy reads this, never parts of a name.
enum class Role : uint8_t {
  kNone,
  kWeight,
  kBias,
  kEmbedding,
  kNorm,
  kShape,
  // of language models
  kPosition,
  kOutput,
  kQuery,
  kKey,
  kValue,
  kQueryKeyValue,
  kAttentionOutput,
  kGate,
  kUp,
  kDown,
  kRopeFactors,
};

using ValueId = int32_t;
using NodeId = int32_t;
inline constexpr ValueId kNoValue = -1;  ///< an omitted optional input or output

/// An edge of the network: a constant, a network input, or the output of one node.
struct Value {
  std::string name;
  DType dtype = DType::f32;
  bool shape_known = false;  ///< whether the rank is known; sizes may still be tensor::kUnknown
  Shape shape;
  std::vector<std::string> symbols;  ///< names of unknown sizes ("N"), parallel to shape or empty
  Tensor constant;                   ///< present for constants
  Role role = Role::kNone;
  int32_t layer = -1;  ///< of a language model's constants: the block that it belongs to, -1 outside blocks
};

using Attribute = std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>,
                               std::vector<std::string>, Tensor, std::shared_ptr<Graph>>;

struct Node {
  std::string op, domain, name;
  std::vector<ValueId> inputs, outputs;
  std::map<std::string, Attribute> attributes;
  bool removed = false;

  int64_t integer(const std::string& key, int64_t fallback) const;
  float real(const std::string& key, float fallback) const;
  std::string text(const std::string& key, const std::string& fallback) const;
  std::vector<int64_t> integers(const std::string& key, std::vector<int64_t> fallback = {}) const;
  std::vector<float> reals(const std::string& key, std::vector<float> fallback = {}) const;
  bool has(const std::string& key) const { return attributes.count(key) != 0; }
  /// Whether it is the operator of that name in ONNX's own domain, and not removed.
  bool is(std::string_view name_of_operator) const { return !removed && domain.empty() && op == name_of_operator; }
  /// The output value, or kNoValue.
  ValueId input(size_t i) const { return i < inputs.size() ? inputs[i] : kNoValue; }
  ValueId output(size_t i) const { return i < outputs.size() ? outputs[i] : kNoValue; }
  /// `node "conv1" (Conv)`, for messages; untrusted text is escaped.
  std::string describe() const;
};

/// A network. Nodes are kept in topological order. A plain structure with a few operations that keep it consistent;
/// passes are free functions.
class Graph {
 public:
  std::string name;
  int64_t opset = 0;                            ///< canonical opset of the default domain after `model::open`
  std::map<std::string, int64_t> domains;       ///< other domains and their versions
  std::map<std::string, std::string> metadata;  ///< key-value pairs that travel with the network
  std::string producer;
  std::vector<ValueId> inputs, outputs;
  /// Of a subgraph: its values that stand for the last `captures.size()` inputs of the node that holds it, in their
  /// order; kNoValue where this subgraph does not read that input. All subgraphs of a node have as many.
  std::vector<ValueId> captures;

  ValueId add_value(Value value);
  ValueId add_constant(const std::string& value_name, Tensor tensor, Role role = Role::kNone);
  NodeId add_node(Node node);

  Value& value(ValueId id) { return values_[static_cast<size_t>(id)]; }
  const Value& value(ValueId id) const { return values_[static_cast<size_t>(id)]; }
  Node& node(NodeId id) { return nodes_[static_cast<size_t>(id)]; }
  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  int32_t value_count() const { return static_cast<int32_t>(values_.size()); }
  int32_t node_count() const { return static_cast<int32_t>(nodes_.size()); }

  bool is_constant(ValueId id) const { return id != kNoValue && static_cast<bool>(value(id).constant); }
  bool is_output(ValueId id) const;
  /// The batch that an input's first dimension fixes, or tensor::kUnknown: any.
  int64_t fixed_batch() const;
  /// What people call a node: its name, or its first output's name where it has none.
  std::string name_of(const Node& node) const;
  /// The value of that name, or kNoValue. Linear in the number of values.
  ValueId find_value(std::string_view value_name) const;
  /// A name that no value has yet, made from `stem`.
  std::string unique_name(const std::string& stem) const;

  /// Node that writes each value (-1: none), and nodes that read each value, of the nodes not removed.
  std::vector<NodeId> producers() const;
  std::vector<std::vector<NodeId>> consumers() const;

  /// Every reader of `from` (nodes and network outputs) reads `to` from now on.
  void replace_uses(ValueId from, ValueId to);
  void remove_node(NodeId id) { node(id).removed = true; }

  /// Drops removed nodes and the values that nothing uses, and sorts the nodes so that each follows its inputs. Ids
  /// change. Throws Error(kMalformed) naming a node of a cycle.
  void compact();

 private:
  std::vector<Value> values_;
  std::vector<Node> nodes_;
};

/// The subgraph in the attribute `key` of a node, or nullptr.
const Graph* subgraph(const Node& node, const std::string& key);
/// How many of the node's last inputs are there because its subgraphs read them; ONNX does not list these.
size_t captured_inputs(const Node& node);
/// Drops captured inputs that no subgraph reads, and gives every captured value in a subgraph the name of the value
/// outside that it stands for, as a file must have it. Subgraphs are copied before they are changed.
void name_captures(Graph& graph);

}  // namespace nibble::graph
