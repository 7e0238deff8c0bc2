#include "io/onnx/graph_reader.h"

#include <algorithm>

#include "base/error.h"
#include "io/onnx/dtypes.h"
#include "io/onnx/node_order.h"
#include "io/onnx/onnx_schema.pb.h"

namespace nibble::io::onnx {
namespace schema = ::nibble::onnx;
using graph::Attribute;
using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::Value;
using graph::ValueId;

namespace {

constexpr const char* kReexport = "the file is damaged or was written by a faulty tool, export it again";

using Type = schema::AttributeProto;

/// The type that an attribute states, or, where it states none (IR 1), that of its only field.
schema::AttributeProto::AttributeType type_of(const schema::AttributeProto& a) {
  if (a.has_type() && a.type() != Type::UNDEFINED) return a.type();
  if (a.has_f()) return Type::FLOAT;
  if (a.has_i()) return Type::INT;
  if (a.has_s()) return Type::STRING;
  if (a.has_t()) return Type::TENSOR;
  if (a.has_g()) return Type::GRAPH;
  if (a.floats_size()) return Type::FLOATS;
  if (a.ints_size()) return Type::INTS;
  if (a.strings_size()) return Type::STRINGS;
  return Type::UNDEFINED;
}

/// How many of the value fields are set besides that of `type`.
int stray_fields(const schema::AttributeProto& a, schema::AttributeProto::AttributeType type) {
  return (a.has_f() && type != Type::FLOAT) + (a.has_i() && type != Type::INT) + (a.has_s() && type != Type::STRING) +
         (a.has_t() && type != Type::TENSOR) + (a.has_g() && type != Type::GRAPH) +
         (a.floats_size() && type != Type::FLOATS) + (a.ints_size() && type != Type::INTS) +
         (a.strings_size() && type != Type::STRINGS);
}

const char* unsupported_attribute(schema::AttributeProto::AttributeType type) {
  switch (type) {
    case Type::TENSORS:
      return "attribute that is a list of tensors";
    case Type::GRAPHS:
      return "attribute that is a list of graphs";
    case Type::SPARSE_TENSOR:
    case Type::SPARSE_TENSORS:
      return "sparse tensor";
    case Type::TYPE_PROTO:
    case Type::TYPE_PROTOS:
      return "attribute that is a type";
    default:
      return nullptr;
  }
}

}  // namespace

std::string canonical_domain(const std::string& domain) { return domain == "ai.onnx" ? std::string() : domain; }

bool is_clean_text(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto at = [&](size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u; };
    const unsigned lead = at(0);
    if (lead == 0) return false;
    size_t n = lead < 0x80                    ? 1
               : lead >= 0xC2 && lead <= 0xDF ? 2
               : (lead & 0xF0) == 0xE0        ? 3
               : lead >= 0xF0 && lead <= 0xF4 ? 4
                                              : 0;
    if (n == 0) return false;
    for (size_t k = 1; k < n; ++k)
      if ((at(k) & 0xC0) != 0x80) return false;
    const bool overlong = (lead == 0xE0 && at(1) < 0xA0) || (lead == 0xF0 && at(1) < 0x90);
    const bool out_of_range = (lead == 0xED && at(1) > 0x9F) || (lead == 0xF4 && at(1) > 0x8F);
    if (overlong || out_of_range) return false;
    i += n;
  }
  return true;
}

const std::string& GraphReader::checked_name(const std::string& text, const char* what) {
  base::check_limit(static_cast<int64_t>(text.size()), limits_.name_bytes, "name-bytes", place_,
                    std::string("the length of ") + what);
  if (!is_clean_text(text))
    base::fail_malformed(place_, std::string(what) + " " + base::in_quotes(text) + " is not UTF-8 text", kReexport);
  return text;
}

void GraphReader::define(const std::string& name, ValueId id, Scope& scope) {
  if (!scope.values.emplace(checked_name(name, "the name of a value"), id).second)
    base::fail_malformed(place_, "two values have the name " + base::in_quotes(name), kReexport);
}

ValueId GraphReader::lookup(const std::string& name, Graph& g, Scope& scope, const std::string& place) {
  if (name.empty()) return kNoValue;
  const auto it = scope.values.find(name);
  if (it != scope.values.end()) return it->second;
  for (const Scope* outer = scope.outer; outer; outer = outer->outer) {
    if (!outer->values.count(name)) continue;
    Value v;  // stands for the value of that name outside
    v.name = name;
    const ValueId id = g.add_value(std::move(v));
    scope.values.emplace(name, id);
    g.captures.push_back(id);
    return id;
  }
  base::fail_malformed(place, "reads the value " + base::in_quotes(name) + ", which nothing defines", kReexport);
}

Value GraphReader::described(const schema::ValueInfoProto& info) {
  Value v;
  v.name = info.name();
  const std::string place = place_ + ": value " + base::in_quotes(info.name());
  if (!info.has_type()) return v;
  switch (info.type().value_case()) {
    case schema::TypeProto::kTensorType:
      break;
    case schema::TypeProto::VALUE_NOT_SET:
      return v;
    case schema::TypeProto::kSequenceType:
      unsupported_.add("sequence type");
      return v;
    case schema::TypeProto::kMapType:
      unsupported_.add("map type");
      return v;
    case schema::TypeProto::kOptionalType:
      unsupported_.add("optional type");
      return v;
    case schema::TypeProto::kSparseTensorType:
      unsupported_.add("sparse tensor type");
      return v;
    case schema::TypeProto::kOpaqueType:
      unsupported_.add("opaque type");
      return v;
  }
  const auto& type = info.type().tensor_type();
  if (type.elem_type() != 0) {
    const DTypeRow* row = find_dtype(type.elem_type());
    if (row)
      v.dtype = row->dtype;
    else
      unsupported_.add(onnx_type_name(type.elem_type()) + " tensor");
  }
  if (!type.has_shape()) return v;
  base::check_limit(type.shape().dim_size(), limits_.rank, "rank", place, "the number of its dimensions");
  v.shape_known = true;
  bool named = false;
  for (const auto& dim : type.shape().dim()) {
    int64_t size = tensor::kUnknown;
    if (dim.has_dim_value() && dim.dim_value() >= 0)
      size = dim.dim_value();
    else if (dim.has_dim_value())
      notes_.push_back(place + ": the dimension " + std::to_string(dim.dim_value()) + " is read as unknown");
    base::check_limit(size, limits_.tensor_elements, "tensor-elements", place, "a dimension");
    v.shape.push_back(size);
    v.symbols.push_back(dim.has_dim_param() ? checked_name(dim.dim_param(), "the name of a dimension") : std::string());
    named = named || !v.symbols.back().empty();
  }
  if (!named) v.symbols.clear();
  return v;
}

void GraphReader::read_inputs(const schema::GraphProto& proto, Graph& g, Scope& scope, bool outermost) {
  int64_t with_default = 0;
  for (const auto& info : proto.input()) {
    if (info.name().empty()) base::fail_malformed(place_, "an input of the network has no name", kReexport);
    const auto known = scope.values.find(info.name());
    if (known != scope.values.end() && g.is_constant(known->second)) {
      ++with_default;
      continue;
    }
    const ValueId id = g.add_value(described(info));
    define(info.name(), id, scope);
    g.inputs.push_back(id);
  }
  if (with_default && outermost && inputs_may_have_defaults_)
    notes_.push_back(place_ + ": " + std::to_string(with_default) +
                     " inputs have default values in the file and are read as constants");
}

void GraphReader::read_outputs(const schema::GraphProto& proto, Graph& g, Scope& scope) {
  for (const auto& info : proto.output()) {
    if (info.name().empty()) base::fail_malformed(place_, "an output of the network has no name", kReexport);
    const ValueId id = lookup(info.name(), g, scope, place_ + ": output " + base::in_quotes(info.name()));
    Value stated = described(info);
    Value& v = g.value(id);
    if (!v.constant && !v.shape_known && info.has_type()) {
      v.dtype = stated.dtype;
      v.shape_known = stated.shape_known;
      v.shape = std::move(stated.shape);
      v.symbols = std::move(stated.symbols);
    }
    g.outputs.push_back(id);
  }
}

Attribute GraphReader::read_attribute(const schema::AttributeProto& proto, const Scope& scope, int64_t depth,
                                      const std::string& place) {
  const auto type = type_of(proto);
  // The wire pass leaves no unknown fields, so one here is a type number that the schema does not know.
  if (!proto.unknown_fields().empty() || (type == Type::UNDEFINED && !proto.has_type()) || stray_fields(proto, type))
    base::fail_malformed(place, "does not say which type it has, or holds a value of another", kReexport);
  if (const char* what = unsupported_attribute(type)) {
    unsupported_.add(what);
    return int64_t{0};
  }
  switch (type) {
    case Type::FLOAT:
      return proto.f();
    case Type::INT:
      return proto.i();
    case Type::STRING:
      base::check_limit(static_cast<int64_t>(proto.s().size()), limits_.string_bytes, "string-bytes", place,
                        "its length");
      return proto.s();
    case Type::FLOATS:
      return std::vector<float>(proto.floats().begin(), proto.floats().end());
    case Type::INTS:
      return std::vector<int64_t>(proto.ints().begin(), proto.ints().end());
    case Type::STRINGS:
      return std::vector<std::string>(proto.strings().begin(), proto.strings().end());
    case Type::TENSOR:
      return tensors_.read(proto.t(), place, unsupported_);
    case Type::GRAPH:
      return std::make_shared<Graph>(read_graph(proto.g(), &scope, depth + 1));
    default:
      base::fail_malformed(place, "has no type", kReexport);
  }
}

void GraphReader::list_captures(Node& node, Graph& g, Scope& scope, const std::string& place) {
  std::vector<Graph*> inner;
  std::vector<std::string> names;
  for (auto& [key, attribute] : node.attributes)
    if (auto* shared = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
      inner.push_back(shared->get());
      for (const ValueId v : inner.back()->captures) names.push_back(inner.back()->value(v).name);
    }
  std::unordered_map<std::string_view, size_t> places;
  std::vector<std::string> distinct;
  for (const std::string& name : names)
    if (places.emplace(name, distinct.size()).second) distinct.push_back(name);
  for (const std::string& name : distinct) node.inputs.push_back(lookup(name, g, scope, place));
  for (Graph* graph : inner) {
    std::vector<ValueId> aligned(distinct.size(), kNoValue);
    for (const ValueId v : graph->captures) aligned[places.at(graph->value(v).name)] = v;
    graph->captures = std::move(aligned);
  }
}

void GraphReader::read_node(const schema::NodeProto& proto, Graph& g, Scope& scope, int64_t depth) {
  Node node;
  node.op = checked_name(proto.op_type(), "the operator of a node");
  node.domain = canonical_domain(checked_name(proto.domain(), "the domain of a node"));
  node.name = checked_name(proto.name(), "the name of a node");
  const std::string place = place_ + ": " + node.describe();
  if (node.op.empty()) base::fail_malformed(place, "has no operator", kReexport);
  if (!domains_.count(node.domain))
    base::fail_malformed(
        place, "its domain " + base::in_quotes(node.domain) + " has no version in the file's opset_import", kReexport);
  for (const std::string& name : proto.input()) node.inputs.push_back(lookup(name, g, scope, place));
  for (const auto& attribute : proto.attribute()) {
    const std::string& name = checked_name(attribute.name(), "the name of an attribute");
    const std::string where = place + ": attribute " + base::in_quotes(name);
    if (!attribute.ref_attr_name().empty())
      base::fail_malformed(where, "refers to an attribute of a function, outside of one", kReexport);
    if (name.empty() || !node.attributes.emplace(name, read_attribute(attribute, scope, depth, where)).second)
      base::fail_malformed(where, name.empty() ? "has no name" : "is given twice", kReexport);
  }
  list_captures(node, g, scope, place);
  for (const std::string& name : proto.output()) {
    if (name.empty()) {
      node.outputs.push_back(kNoValue);
      continue;
    }
    Value v;
    v.name = name;
    node.outputs.push_back(g.add_value(std::move(v)));
    define(name, node.outputs.back(), scope);
  }
  g.add_node(std::move(node));
}

Graph GraphReader::read_graph(const schema::GraphProto& proto, const Scope* outer, int64_t depth) {
  base::check_limit(depth, limits_.subgraph_depth, "subgraph-depth", place_, "the nesting of subgraphs");
  Graph g;
  g.name = checked_name(proto.name(), "the name of a graph");
  Scope scope;
  scope.outer = outer;
  for (int i = 0; i < proto.sparse_initializer_size(); ++i) unsupported_.add("sparse tensor");
  for (const auto& initializer : proto.initializer()) {
    const std::string& name = checked_name(initializer.name(), "the name of a tensor");
    const std::string place = place_ + ": tensor " + base::in_quotes(name);
    if (name.empty()) base::fail_malformed(place_, "a tensor of the network has no name", kReexport);
    tensor::Tensor tensor = tensors_.read(initializer, place, unsupported_);
    // One that is not supported is an error in the end; until then, a value without data lets the rest be checked.
    if (!tensor) tensor = tensor::Tensor(tensor::DType::f32, {0});
    define(name, g.add_constant(name, std::move(tensor)), scope);
  }
  read_inputs(proto, g, scope, outer == nullptr);
  const std::vector<int> order = node_order(proto, place_);
  if (!std::is_sorted(order.begin(), order.end()))
    notes_.push_back(place_ + ": the nodes are not in the order in which they run; they were sorted");
  for (const int i : order) read_node(proto.node(i), g, scope, depth);
  read_outputs(proto, g, scope);
  return g;
}

}  // namespace nibble::io::onnx
