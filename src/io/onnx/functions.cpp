#include "io/onnx/functions.h"

#include <set>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "io/onnx/graph_reader.h"
#include "io/onnx/onnx_schema.pb.h"
#include "io/onnx/tensor_reader.h"

namespace nibble::io::onnx {
namespace schema = ::nibble::onnx;

namespace {

constexpr const char* kReexport = "the file is damaged or was written by a faulty tool, export it again";
constexpr int kMaxCallDepth = 100;                 // as onnx.checker
constexpr int kMaxFunctions = 10'000;              // as onnx.checker
constexpr int64_t kMaxBytes = int64_t{256} << 20;  // of nodes written out: far above any network, far below a bomb

using Renames = std::unordered_map<std::string, std::string>;

class Inliner {
 public:
  Inliner(schema::ModelProto& model, const base::Limits& limits, const std::string& place)
      : limits_(limits), place_(place) {
    functions_.Swap(model.mutable_functions());
    for (const auto& function : functions_)
      if (!by_key_.emplace(key(function.domain(), function.name(), function.overload()), &function).second)
        base::fail_malformed(place_, "the function " + base::in_quotes(function.name()) + " is defined twice",
                             kReexport);
    collect_names(model.graph());
  }

  void expand(schema::GraphProto& graph, int depth) {
    google::protobuf::RepeatedPtrField<schema::NodeProto> nodes;
    nodes.Swap(graph.mutable_node());
    for (auto& node : nodes) expand_node(std::move(node), *graph.mutable_node(), depth);
  }

 private:
  using Nodes = google::protobuf::RepeatedPtrField<schema::NodeProto>;

  static std::string key(const std::string& domain, const std::string& name, const std::string& overload) {
    return canonical_domain(domain) + '\0' + name + '\0' + overload;
  }

  void collect_names(const schema::GraphProto& graph) {
    for (const auto& t : graph.initializer()) used_.insert(t.name());
    for (const auto& v : graph.input()) used_.insert(v.name());
    for (const auto& node : graph.node()) {
      used_.insert(node.output().begin(), node.output().end());
      for (const auto& a : node.attribute())
        if (a.has_g()) collect_names(a.g());
    }
  }

  void expand_node(schema::NodeProto node, Nodes& out, int depth) {
    for (auto& a : *node.mutable_attribute())
      if (a.has_g()) expand(*a.mutable_g(), depth);
    const auto it = by_key_.find(key(node.domain(), node.op_type(), node.overload()));
    if (it == by_key_.end()) {
      if (++nodes_ > limits_.nodes)
        base::check_limit(nodes_, limits_.nodes, "nodes", place_, "the number of nodes with functions written out");
      *out.Add() = std::move(node);
      return;
    }
    call(node, *it->second, out, depth);
  }

  void call(const schema::NodeProto& node, const schema::FunctionProto& f, Nodes& out, int depth) {
    const std::string place =
        place_ + ": node " + base::in_quotes(node.name()) + " (" + base::printable(node.op_type(), 60) + ")";
    if (depth >= kMaxCallDepth || active_.count(&f))
      base::fail_malformed(place, "the function calls itself or calls are nested too deeply", kReexport);
    if (node.input_size() > f.input_size() || node.output_size() > f.output_size())
      base::fail_malformed(place, "has more inputs or outputs than its function", kReexport);
    // A chain of functions that call twice each grows exponentially even where bodies are empty of other nodes.
    if (++calls_ > limits_.nodes)
      base::check_limit(calls_, limits_.nodes, "nodes", place_, "the number of function calls");
    active_.insert(&f);
    std::unordered_map<std::string, const schema::AttributeProto*> arguments;
    for (const auto& a : f.attribute_proto()) arguments[a.name()] = &a;
    for (const auto& a : node.attribute()) arguments[a.name()] = &a;

    Renames renames;
    for (int i = 0; i < f.input_size(); ++i)
      renames[f.input(i)] = i < node.input_size() ? node.input(i) : std::string();
    const std::string prefix = (node.name().empty() ? node.op_type() : node.name()) + "/";
    Nodes bodies;
    for (int i = 0; i < f.output_size(); ++i) {
      if (i >= node.output_size() || node.output(i).empty()) continue;
      // An output that is an input passes a value through.
      if (const auto passed = renames.find(f.output(i)); passed != renames.end()) {
        auto* identity = bodies.Add();
        identity->set_op_type("Identity");
        identity->add_input(passed->second);
        identity->add_output(node.output(i));
      } else {
        renames[f.output(i)] = node.output(i);
      }
    }
    for (const auto& body : f.node()) {
      bytes_ += static_cast<int64_t>(body.ByteSizeLong());
      if (bytes_ > kMaxBytes)
        base::fail_limit(place_, "its functions written out have more than 256 MiB of nodes", kReexport);
      schema::NodeProto copy = body;
      rename(copy, renames, prefix, arguments);
      expand_node(std::move(copy), out, depth + 1);
    }
    for (auto& identity : bodies) expand_node(std::move(identity), out, depth + 1);
    active_.erase(&f);
  }

  std::string fresh(const std::string& prefix, const std::string& name) {
    std::string candidate = prefix + name;
    for (int i = 1; !used_.insert(candidate).second; ++i) candidate = prefix + name + "_" + std::to_string(next_ += i);
    return candidate;
  }

  void rename(schema::NodeProto& node, Renames& renames, const std::string& prefix,
              const std::unordered_map<std::string, const schema::AttributeProto*>& arguments) {
    if (!node.name().empty()) node.set_name(prefix + node.name());
    for (auto& name : *node.mutable_input())
      if (const auto it = renames.find(name); it != renames.end()) name = it->second;
    for (int i = 0; i < node.attribute_size();) {
      auto& a = *node.mutable_attribute(i);
      if (a.has_g()) rename_graph(*a.mutable_g(), renames, prefix, arguments);
      if (a.ref_attr_name().empty()) {
        ++i;
        continue;
      }
      const auto it = arguments.find(a.ref_attr_name());
      if (it == arguments.end()) {  // an optional attribute that the call does not give
        node.mutable_attribute()->DeleteSubrange(i, 1);
        continue;
      }
      const std::string name = a.name();
      a = *it->second;
      a.set_name(name);
      ++i;
    }
    for (auto& name : *node.mutable_output()) {
      if (name.empty()) continue;
      const auto it = renames.find(name);
      if (it == renames.end()) renames[name] = fresh(prefix, name);
      name = renames[name];
    }
  }

  void rename_graph(schema::GraphProto& graph, const Renames& outer, const std::string& prefix,
                    const std::unordered_map<std::string, const schema::AttributeProto*>& arguments) {
    Renames renames = outer;
    const auto rename_own = [&](std::string* name) { *name = renames[*name] = fresh(prefix, *name); };
    for (auto& v : *graph.mutable_input()) rename_own(v.mutable_name());
    for (auto& t : *graph.mutable_initializer()) rename_own(t.mutable_name());
    for (auto& inner : *graph.mutable_node()) {
      for (const auto& name : inner.output()) renames.erase(name);
      rename(inner, renames, prefix, arguments);
    }
    for (auto& v : *graph.mutable_output())
      if (const auto it = renames.find(v.name()); it != renames.end()) v.set_name(it->second);
  }

  const base::Limits& limits_;
  const std::string& place_;
  google::protobuf::RepeatedPtrField<schema::FunctionProto> functions_;
  std::unordered_map<std::string, const schema::FunctionProto*> by_key_;
  std::set<const schema::FunctionProto*> active_;
  std::set<std::string> used_;
  int64_t nodes_ = 0, calls_ = 0, bytes_ = 0, next_ = 0;
};

}  // namespace

void inline_functions(schema::ModelProto& model, std::map<std::string, int64_t>& domains, const base::Limits& limits,
                      Unsupported& unsupported, const std::string& place) {
  if (model.functions_size() == 0) return;
  if (model.functions_size() > kMaxFunctions)
    base::fail_malformed(place,
                         "defines " + std::to_string(model.functions_size()) + " functions, at most 10000 are allowed");
  for (const auto& function : model.functions())
    for (const auto& entry : function.opset_import()) {
      const auto [it, added] = domains.emplace(canonical_domain(entry.domain()), entry.version());
      if (!added && it->second != entry.version()) unsupported.add("function with another opset than the network's");
    }
  Inliner inliner(model, limits, place);
  inliner.expand(*model.mutable_graph(), 0);
}

}  // namespace nibble::io::onnx
