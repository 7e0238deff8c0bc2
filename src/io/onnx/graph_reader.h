#pragma once
#include <string>
#include <unordered_map>

#include "graph/graph.h"
#include "io/onnx/tensor_reader.h"

namespace nibble::onnx {
class AttributeProto;
class GraphProto;
class NodeProto;
class ValueInfoProto;
}  // namespace nibble::onnx

namespace nibble::io::onnx {

/// Turns GraphProto messages into Graphs; one for a whole model.
class GraphReader {
 public:
  /// `inputs_may_have_defaults`: from IR 4 on, an input that is also an initializer could be given another value;
  /// reading it as a constant is then worth a note.
  GraphReader(TensorReader& tensors, Unsupported& unsupported, const base::Limits& limits, Notes& notes,
              std::string place, std::map<std::string, int64_t> domains, bool inputs_may_have_defaults)
      : tensors_(tensors),
        unsupported_(unsupported),
        limits_(limits),
        notes_(notes),
        place_(std::move(place)),
        domains_(std::move(domains)),
        inputs_may_have_defaults_(inputs_may_have_defaults) {}

  /// The outermost graph. Throws Error(kMalformed) or Error(kLimit).
  graph::Graph read(const nibble::onnx::GraphProto& proto) { return read_graph(proto, nullptr, 0); }

 private:
  /// Names of one graph, and the graph around it: what a node may read.
  struct Scope {
    std::unordered_map<std::string, graph::ValueId> values;
    const Scope* outer = nullptr;
  };

  graph::Graph read_graph(const nibble::onnx::GraphProto& proto, const Scope* outer, int64_t depth);
  void read_inputs(const nibble::onnx::GraphProto& proto, graph::Graph& g, Scope& scope, bool outermost);
  void read_outputs(const nibble::onnx::GraphProto& proto, graph::Graph& g, Scope& scope);
  void read_node(const nibble::onnx::NodeProto& proto, graph::Graph& g, Scope& scope, int64_t depth);
  /// Makes what the node's subgraphs read from the graphs around them inputs of the node.
  void list_captures(graph::Node& node, graph::Graph& g, Scope& scope, const std::string& place);
  graph::Attribute read_attribute(const nibble::onnx::AttributeProto& proto, const Scope& scope, int64_t depth,
                                  const std::string& place);
  graph::Value described(const nibble::onnx::ValueInfoProto& info);
  graph::ValueId lookup(const std::string& name, graph::Graph& g, Scope& scope, const std::string& place);
  void define(const std::string& name, graph::ValueId id, Scope& scope);
  /// Throws unless `text` is valid UTF-8 without NUL and of acceptable length; returns it.
  const std::string& checked_name(const std::string& text, const char* what);

  TensorReader& tensors_;
  Unsupported& unsupported_;
  const base::Limits& limits_;
  Notes& notes_;
  std::string place_;
  std::map<std::string, int64_t> domains_;
  bool inputs_may_have_defaults_;
};

/// "ai.onnx" is another spelling of the default domain "".
std::string canonical_domain(const std::string& domain);
/// Valid UTF-8 without a NUL.
bool is_clean_text(std::string_view text);

}  // namespace nibble::io::onnx
