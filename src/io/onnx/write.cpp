#include "io/onnx/write.h"

#include <algorithm>
#include <array>
#include <memory>

#include "base/error.h"
#include "io/onnx/dtypes.h"
#include "io/onnx/wire_message.h"

namespace nibble::io::onnx {
using graph::Attribute;
using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::Value;
using graph::ValueId;
using tensor::Tensor;

namespace {

// AttributeProto.AttributeType
enum AttributeType : int64_t {
  kFloat = 1,
  kInt = 2,
  kString = 3,
  kTensor = 4,
  kGraph = 5,
  kFloats = 6,
  kInts = 7,
  kStrings = 8
};

constexpr uint64_t kExternalAlignment = 4096;  // what ONNX's page on external data recommends

class Writer {
 public:
  explicit Writer(const WriteOptions& options) : options_(options) {}

  struct External {
    base::Bytes bytes;
    uint64_t offset;
  };
  const std::vector<External>& external() const { return external_; }

  WireMessage model(const Graph& g) {
    WireMessage m;
    m.integer(1, ir_version_of(g.opset));
    m.text(2, options_.producer);
    m.message(7, graph(g, true));
    operator_set(m, "", g.opset);
    for (const auto& [domain, version] : g.domains) operator_set(m, domain, version);
    for (const auto& [key, value] : g.metadata) m.message(14, pair(key, value));
    return m;
  }

 private:
  static void operator_set(WireMessage& model, const std::string& domain, int64_t version) {
    WireMessage m;
    m.text(1, domain);
    m.integer(2, version);
    model.message(8, std::move(m));
  }

  static WireMessage pair(const std::string& key, const std::string& value) {
    WireMessage m;
    m.text(1, key);
    m.text(2, value);
    return m;
  }

  WireMessage graph(const Graph& g, bool outermost) {
    WireMessage m;
    for (NodeId id = 0; id < g.node_count(); ++id)
      if (!g.node(id).removed) m.message(1, node(g, g.node(id)));
    m.text(2, g.name.empty() ? "graph" : g.name);  // onnx.checker wants a name
    for (ValueId v = 0; v < g.value_count(); ++v)
      if (g.is_constant(v)) m.message(5, tensor(g.value(v).name, g.value(v).constant, outermost));
    for (const ValueId v : g.inputs) m.message(11, value_info(g.value(v), outermost));
    for (const ValueId v : g.outputs) m.message(12, value_info(g.value(v), outermost));
    return m;
  }

  WireMessage node(const Graph& g, const Node& n) {
    WireMessage m;
    const auto name = [&](ValueId v) { return v == kNoValue ? std::string() : g.value(v).name; };
    // What subgraphs read from outside they name themselves, see graph::name_captures.
    const size_t listed = n.inputs.size() - graph::captured_inputs(n);
    for (size_t i = 0; i < listed; ++i) m.text(1, name(n.inputs[i]));
    for (const ValueId v : n.outputs) m.text(2, name(v));
    if (!n.name.empty()) m.text(3, n.name);
    m.text(4, n.op);
    for (const auto& [key, value] : n.attributes) m.message(5, attribute(key, value));
    if (!n.domain.empty()) m.text(7, n.domain);
    return m;
  }

  WireMessage attribute(const std::string& key, const Attribute& value) {
    WireMessage m;
    m.text(1, key);
    int64_t type = 0;
    if (const auto* f = std::get_if<float>(&value))
      m.real(2, *f), type = kFloat;
    else if (const auto* i = std::get_if<int64_t>(&value))
      m.integer(3, *i), type = kInt;
    else if (const auto* s = std::get_if<std::string>(&value))
      m.text(4, *s), type = kString;
    else if (const auto* t = std::get_if<Tensor>(&value))
      m.message(5, tensor("", *t, false)), type = kTensor;
    else if (const auto* g = std::get_if<std::shared_ptr<Graph>>(&value))
      m.message(6, graph(**g, false)), type = kGraph;
    else if (const auto* floats = std::get_if<std::vector<float>>(&value)) {
      for (const float x : *floats) m.real(7, x);
      type = kFloats;
    } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
      for (const int64_t x : *ints) m.integer(8, x);
      type = kInts;
    } else if (const auto* strings = std::get_if<std::vector<std::string>>(&value)) {
      for (const std::string& x : *strings) m.text(9, x);
      type = kStrings;
    }
    m.integer(20, type);
    return m;
  }

  WireMessage tensor(const std::string& name, const Tensor& t, bool may_be_external) {
    NIBBLE_INVARIANT(t && !t.quantization());
    WireMessage m;
    for (const int64_t size : t.shape()) m.integer(1, size);
    m.integer(2, number_of(t.dtype()));
    if (!name.empty()) m.text(8, name);
    const bool external = may_be_external && options_.data && t.dtype() != tensor::DType::i64 &&
                          static_cast<int64_t>(t.bytes().size()) >= options_.external_bytes;
    if (!external) {
      m.view(9, t.bytes());
      return m;
    }
    const uint64_t offset = (end_ + kExternalAlignment - 1) / kExternalAlignment * kExternalAlignment;
    end_ = offset + t.bytes().size();
    external_.push_back({t.bytes(), offset});
    m.message(13, pair("location", options_.data_name));
    m.message(13, pair("offset", std::to_string(offset)));
    m.message(13, pair("length", std::to_string(t.bytes().size())));
    m.integer(14, 1);
    return m;
  }

  /// A subgraph need not state types, and for a value of unknown shape the type may be unknown too.
  static WireMessage value_info(const Value& v, bool outermost) {
    WireMessage m;
    m.text(1, v.name);
    if (!outermost && !v.shape_known) return m;
    WireMessage type;
    type.integer(1, number_of(v.dtype));
    if (v.shape_known) {
      WireMessage shape;
      for (size_t i = 0; i < v.shape.size(); ++i) {
        WireMessage dim;
        if (v.shape[i] != tensor::kUnknown)
          dim.integer(1, v.shape[i]);
        else if (i < v.symbols.size() && !v.symbols[i].empty())
          dim.text(2, v.symbols[i]);
        shape.message(1, std::move(dim));
      }
      type.message(2, std::move(shape));
    }
    WireMessage outer;
    outer.message(1, std::move(type));
    m.message(2, std::move(outer));
    return m;
  }

  const WriteOptions& options_;
  std::vector<External> external_;
  uint64_t end_ = 0;
};

}  // namespace

int64_t ir_version_of(int64_t opset) {
  // First opset of each IR version from 4 on, the first that allows initializers which are no inputs.
  constexpr std::array<int64_t, 11> first_opset = {9, 10, 11, 12, 15, 19, 21, 23, 24, 25, 28};
  int64_t version = 4;
  for (size_t i = 1; i < first_opset.size(); ++i)
    if (opset >= first_opset[i]) version = 4 + static_cast<int64_t>(i);
  return version;
}

uint64_t written_size(const Graph& g, const WriteOptions& options) { return Writer(options).model(g).size(); }

void write(const Graph& g, base::AtomicFile& file, const WriteOptions& options) {
  Writer writer(options);
  const WireMessage model = writer.model(g);
  if (model.size() > kLargestMessage)
    base::fail_unsupported(
        base::printable(g.name),
        "has " + std::to_string(model.size()) + " bytes, an ONNX file holds 2 GiB without external data",
        "write its tensors to a file of their own");
  if (options.data) {
    const std::string padding(kExternalAlignment, '\0');
    for (const auto& tensor : writer.external()) {
      const uint64_t gap = tensor.offset - options.data->size();
      options.data->write(std::string_view(padding).substr(0, gap));
      options.data->write(tensor.bytes);
    }
  }
  // Small pieces are gathered so that a network of many nodes is not as many system calls.
  std::string buffer;
  for (const auto& piece : model.pieces()) {
    buffer += piece.own;
    if (piece.view.size() >= 4096 || buffer.size() >= size_t{1} << 20) {
      file.write(buffer);
      buffer.clear();
    }
    if (piece.view.size() >= 4096)
      file.write(piece.view);
    else
      buffer += base::as_text(piece.view);
  }
  file.write(buffer);
}

}  // namespace nibble::io::onnx
