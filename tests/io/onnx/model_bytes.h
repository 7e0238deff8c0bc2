#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/onnx/read.h"
#include "io/onnx/wire_message.h"

namespace nibble::test {

using io::onnx::WireMessage;

inline std::string bytes_of(const WireMessage& message) {
  std::string text;
  for (const auto& piece : message.pieces()) {
    text += piece.own;
    text += base::as_text(piece.view);
  }
  return text;
}

template <typename T>
std::string raw(std::initializer_list<T> values) {
  return std::string(reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T));
}

/// A TensorProto with raw data; `type` is a TensorProto.DataType number.
inline WireMessage tensor_proto(const std::string& name, int64_t type, const std::vector<int64_t>& dims,
                                std::string_view data) {
  WireMessage m;
  for (const int64_t d : dims) m.integer(1, d);
  m.integer(2, type);
  m.text(8, name);
  m.text(9, data);
  return m;
}

inline WireMessage attribute(const std::string& name, int64_t type) {
  WireMessage m;
  m.text(1, name);
  m.integer(20, type);
  return m;
}
inline WireMessage float_attribute(const std::string& name, float value) {
  WireMessage m = attribute(name, 1);
  m.real(2, value);
  return m;
}
inline WireMessage int_attribute(const std::string& name, int64_t value) {
  WireMessage m = attribute(name, 2);
  m.integer(3, value);
  return m;
}
inline WireMessage ints_attribute(const std::string& name, const std::vector<int64_t>& values) {
  WireMessage m = attribute(name, 7);
  for (const int64_t v : values) m.integer(8, v);
  return m;
}
inline WireMessage graph_attribute(const std::string& name, WireMessage graph) {
  WireMessage m = attribute(name, 5);
  m.message(6, std::move(graph));
  return m;
}

inline WireMessage node_proto(const std::string& op, const std::vector<std::string>& inputs,
                              const std::vector<std::string>& outputs, std::vector<WireMessage> attributes = {},
                              const std::string& domain = "") {
  WireMessage m;
  for (const auto& name : inputs) m.text(1, name);
  for (const auto& name : outputs) m.text(2, name);
  m.text(3, op + "_node");
  m.text(4, op);
  for (auto& a : attributes) m.message(5, std::move(a));
  if (!domain.empty()) m.text(7, domain);
  return m;
}

/// A ValueInfoProto of a tensor; a negative size has no value, a name is put in its place.
inline WireMessage value_info(const std::string& name, const std::vector<int64_t>& dims = {2}, int64_t type = 1) {
  WireMessage shape, tensor, outer, m;
  for (const int64_t d : dims) {
    WireMessage dim;
    if (d >= 0)
      dim.integer(1, d);
    else
      dim.text(2, "N");
    shape.message(1, std::move(dim));
  }
  tensor.integer(1, type);
  tensor.message(2, std::move(shape));
  outer.message(1, std::move(tensor));
  m.text(1, name);
  m.message(2, std::move(outer));
  return m;
}

/// A GraphProto or the parts of one.
struct GraphBytes {
  std::vector<WireMessage> nodes, initializers, inputs, outputs;

  WireMessage proto() const {
    WireMessage g;
    for (const auto& n : nodes) g.message(1, n);
    g.text(2, "net");
    for (const auto& t : initializers) g.message(5, t);
    for (const auto& v : inputs) g.message(11, v);
    for (const auto& v : outputs) g.message(12, v);
    return g;
  }
  std::string model(int64_t opset = 21, int64_t ir = 10, std::vector<WireMessage> functions = {},
                    std::vector<std::string> domains = {}) const {
    WireMessage m;
    m.integer(1, ir);
    m.text(2, "test");
    m.message(7, proto());
    WireMessage set;
    set.text(1, "");
    set.integer(2, opset);
    m.message(8, std::move(set));
    for (const auto& d : domains) {
      WireMessage other;
      other.text(1, d);
      other.integer(2, 1);
      m.message(8, std::move(other));
    }
    for (auto& f : functions) m.message(25, std::move(f));
    return bytes_of(m);
  }
};

/// y = x + w, w a constant of two floats.
inline GraphBytes small_graph() {
  GraphBytes g;
  g.nodes.push_back(node_proto("Add", {"x", "w"}, {"y"}));
  g.initializers.push_back(tensor_proto("w", 1, {2}, raw<float>({1.5f, -2.0f})));
  g.inputs.push_back(value_info("x"));
  g.outputs.push_back(value_info("y"));
  return g;
}

inline graph::Graph read_text(const std::string& bytes, io::Notes* notes = nullptr, const base::Limits& limits = {}) {
  io::Notes own;
  const auto owner = std::make_shared<const std::string>(bytes);
  return io::onnx::read_bytes(base::as_bytes(*owner), owner, "net.onnx", std::nullopt, limits, notes ? *notes : own);
}

/// Names of what the subgraphs of a node read from outside: its last inputs.
inline std::vector<std::string> captured_names(const graph::Graph& g, graph::NodeId id) {
  std::vector<std::string> names;
  const auto& inputs = g.node(id).inputs;
  for (size_t i = inputs.size() - graph::captured_inputs(g.node(id)); i < inputs.size(); ++i)
    names.push_back(g.value(inputs[i]).name);
  return names;
}

/// The Error that `action` throws; a test failure when it throws none.
template <typename Action>
base::Error error_of(const Action& action) {
  try {
    action();
  } catch (const base::Error& e) {
    return e;
  }
  ADD_FAILURE() << "nothing was thrown";
  return base::Error(base::ErrorKind::kInternal, "", "nothing was thrown");
}

}  // namespace nibble::test

/// `action` throws an Error of `kind` whose text contains `fragment`.
#define NIBBLE_EXPECT_ERROR(action, error_kind, fragment)                                                 \
  do {                                                                                                    \
    const ::nibble::base::Error nibble_error = ::nibble::test::error_of([&] { (void)(action); });         \
    EXPECT_EQ(nibble_error.kind(), error_kind) << nibble_error.what();                                    \
    EXPECT_NE(std::string(nibble_error.what()).find(fragment), std::string::npos) << nibble_error.what(); \
  } while (false)
