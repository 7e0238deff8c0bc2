#include "io/onnx/read.h"

#include <gtest/gtest.h>

#include "io/onnx/model_bytes.h"

namespace nibble {
namespace {

using base::ErrorKind;
using graph::Graph;
using graph::kNoValue;
using tensor::DType;
using namespace test;

TEST(OnnxRead, GivesNodesInputsOutputsAndConstants) {
  const Graph g = read_text(small_graph().model());
  EXPECT_EQ(g.name, "net");
  EXPECT_EQ(g.opset, 21);
  EXPECT_EQ(g.producer, "test");
  ASSERT_EQ(g.node_count(), 1);
  EXPECT_EQ(g.node(0).op, "Add");
  EXPECT_EQ(g.node(0).name, "Add_node");
  ASSERT_EQ(g.inputs.size(), 1u);
  EXPECT_EQ(g.value(g.inputs[0]).name, "x");
  EXPECT_EQ(g.value(g.inputs[0]).shape, (tensor::Shape{2}));
  ASSERT_EQ(g.outputs.size(), 1u);
  EXPECT_EQ(g.outputs[0], g.node(0).output(0));
  const auto& w = g.value(g.node(0).input(1));
  ASSERT_TRUE(w.constant);
  EXPECT_EQ(w.constant.values<float>()[0], 1.5f);
  EXPECT_EQ(w.constant.values<float>()[1], -2.0f);
}

TEST(OnnxRead, KeepsWeightsAsViewsOfTheFile) {
  // Of several equal weights at consecutive offsets, those at a multiple of 4 need no copy.
  for (int shift = 0; shift < 4; ++shift) {
    GraphBytes net = small_graph();
    net.initializers.insert(net.initializers.begin(),
                            tensor_proto("pad", 2, {shift}, std::string(static_cast<size_t>(shift), 'p')));
    const auto owner = std::make_shared<const std::string>(net.model());
    io::Notes notes;
    const Graph g = io::onnx::read_bytes(base::as_bytes(*owner), owner, "net.onnx", std::nullopt, {}, notes);
    const auto bytes = g.value(g.find_value("w")).constant.bytes();
    const char* at = reinterpret_cast<const char*>(bytes.data());
    const size_t offset = owner->find(raw<float>({1.5f, -2.0f}));
    const bool aligned = reinterpret_cast<uintptr_t>(owner->data() + offset) % 4 == 0;
    EXPECT_EQ(at == owner->data() + offset, aligned);
  }
}

TEST(OnnxRead, NamesUnknownDimensions) {
  GraphBytes net = small_graph();
  net.inputs = {value_info("x", {-1, 3})};
  const Graph g = read_text(net.model());
  const auto& x = g.value(g.inputs[0]);
  EXPECT_EQ(x.shape, (tensor::Shape{tensor::kUnknown, 3}));
  EXPECT_EQ(x.symbols, (std::vector<std::string>{"N", ""}));
}

TEST(OnnxRead, TreatsAnInputWithAValueAsConstant) {
  GraphBytes net = small_graph();
  net.inputs.push_back(value_info("w"));
  io::Notes notes;
  EXPECT_EQ(read_text(net.model(8, 3), &notes).inputs.size(), 1u);
  EXPECT_TRUE(notes.empty()) << "before IR 4 every initializer is an input";
  EXPECT_EQ(read_text(net.model(21, 10), &notes).inputs.size(), 1u);
  EXPECT_EQ(notes.size(), 1u);
}

TEST(OnnxRead, SortsNodesAndSaysSo) {
  GraphBytes net = small_graph();
  net.nodes = {node_proto("Relu", {"t"}, {"y"}), node_proto("Add", {"x", "w"}, {"t"})};
  io::Notes notes;
  const Graph g = read_text(net.model(), &notes);
  EXPECT_EQ(g.node(0).op, "Add");
  EXPECT_EQ(g.node(1).op, "Relu");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("sorted"), std::string::npos);
}

TEST(OnnxRead, RefusesACycleAndNamesIt) {
  GraphBytes net = small_graph();
  net.nodes = {node_proto("Add", {"x", "b"}, {"a"}), node_proto("Relu", {"a"}, {"b"}), node_proto("Neg", {"b"}, {"y"})};
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed,
                      "cycle: \"Add_node\" (Add) -> \"Relu_node\" (Relu) -> \"Add_node\" (Add)");
  net.nodes = {node_proto("Relu", {"y"}, {"y"})};
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "cycle");
}

TEST(OnnxRead, RefusesNamesThatAreUndefinedOrTwice) {
  GraphBytes net = small_graph();
  net.nodes = {node_proto("Add", {"x", "nowhere"}, {"y"})};
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "\"nowhere\", which nothing defines");
  net = small_graph();
  net.outputs = {value_info("nowhere")};
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "which nothing defines");
  net = small_graph();
  net.nodes.push_back(node_proto("Relu", {"x"}, {"y"}));
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "written twice");
  net = small_graph();
  net.nodes.push_back(node_proto("Relu", {"x"}, {"w"}));
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "two values have the name \"w\"");
  net = small_graph();
  net.initializers.push_back(net.initializers[0]);
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "two values have the name \"w\"");
  net = small_graph();
  net.inputs.push_back(value_info("x"));
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "two values have the name \"x\"");
}

TEST(OnnxRead, RefusesNamesThatAreNoText) {
  GraphBytes net = small_graph();
  net.nodes.push_back(node_proto("Relu", {"x"}, {"bad\xff"}));
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "not UTF-8");
  net = small_graph();
  net.nodes.push_back(node_proto("Relu", {"x"}, {std::string("a\0b", 3)}));
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "not UTF-8");
  net = small_graph();
  net.nodes.push_back(node_proto("Relu", {"x"}, {std::string(5000, 'a')}));
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kLimit, "name-bytes");
}

TEST(OnnxRead, ReadsEveryKindOfAttribute) {
  GraphBytes net = small_graph();
  WireMessage s = attribute("s", 3), floats = attribute("floats", 6), strings = attribute("strings", 8),
              t = attribute("t", 4);
  s.text(4, "linear");
  floats.real(7, 1.0f);
  floats.real(7, 2.0f);
  strings.text(9, "a");
  strings.text(9, "b");
  t.message(5, tensor_proto("", 7, {1}, raw<int64_t>({42})));
  net.nodes = {node_proto(
      "Add", {"x", "w"}, {"y"},
      {float_attribute("f", 0.5f), int_attribute("i", -3), s, t, floats, ints_attribute("ints", {1, -2}), strings})};
  const Graph g = read_text(net.model());
  const auto& node = g.node(0);
  EXPECT_EQ(node.real("f", 0), 0.5f);
  EXPECT_EQ(node.integer("i", 0), -3);
  EXPECT_EQ(node.text("s", ""), "linear");
  EXPECT_EQ(node.reals("floats"), (std::vector<float>{1, 2}));
  EXPECT_EQ(node.integers("ints"), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(std::get<std::vector<std::string>>(node.attributes.at("strings")), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(std::get<tensor::Tensor>(node.attributes.at("t")).values<int64_t>()[0], 42);
}

TEST(OnnxRead, RefusesAttributesThatContradictThemselves) {
  GraphBytes net = small_graph();
  WireMessage wrong = attribute("a", 1);
  wrong.integer(3, 7);
  net.nodes = {node_proto("Add", {"x", "w"}, {"y"}, {wrong})};
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "which type");
  net.nodes = {node_proto("Add", {"x", "w"}, {"y"}, {attribute("a", 99)})};
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "which type");
  net.nodes = {node_proto("Add", {"x", "w"}, {"y"}, {int_attribute("a", 1), int_attribute("a", 2)})};
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "given twice");
  WireMessage reference = attribute("a", 2);
  reference.text(21, "outer");
  net.nodes = {node_proto("Add", {"x", "w"}, {"y"}, {reference})};
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "refers to an attribute of a function");
}

TEST(OnnxRead, NamesAllThatIsNotSupportedAtOnce) {
  GraphBytes net = small_graph();
  net.initializers.push_back(tensor_proto("s", 8, {1}, ""));
  net.initializers.push_back(tensor_proto("c", 14, {1}, std::string(8, '\0')));
  net.initializers.push_back(tensor_proto("d", 14, {1}, std::string(8, '\0')));
  net.nodes.push_back(node_proto("Relu", {"x"}, {"z"}, {attribute("types", 13)}));
  const auto error = error_of([&] { read_text(net.model()); });
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  for (const char* part : {"3 things", "STRING tensor x1", "COMPLEX64 tensor x2", "attribute that is a type x1"})
    EXPECT_NE(error.sentence().find(part), std::string::npos) << error.sentence();
}

TEST(OnnxRead, RefusesASequenceInput) {
  GraphBytes net = small_graph();
  WireMessage type, info;
  type.message(4, WireMessage());
  info.text(1, "seq");
  info.message(2, type);
  net.inputs.push_back(info);
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kUnsupported, "sequence type x1");
}

TEST(OnnxRead, ReadsASubgraphWithItsOuterReferences) {
  GraphBytes body;
  body.nodes = {node_proto("Add", {"x", "w"}, {"inner"})};
  body.outputs = {value_info("inner")};
  GraphBytes net = small_graph();
  net.nodes = {node_proto("If", {"x"}, {"y"}, {graph_attribute("then_branch", body.proto())})};
  const Graph g = read_text(net.model());
  EXPECT_EQ(captured_names(g, 0), (std::vector<std::string>{"x", "w"}));
  body.nodes = {node_proto("Add", {"x", "nowhere"}, {"inner"})};
  net.nodes = {node_proto("If", {"x"}, {"y"}, {graph_attribute("then_branch", body.proto())})};
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "nowhere");
}

TEST(OnnxRead, SortsByWhatSubgraphsRead) {
  GraphBytes body;
  body.nodes = {node_proto("Relu", {"late"}, {"inner"})};
  body.outputs = {value_info("inner")};
  GraphBytes net = small_graph();
  net.nodes = {node_proto("If", {"x"}, {"y"}, {graph_attribute("then_branch", body.proto())}),
               node_proto("Neg", {"x"}, {"late"})};
  const Graph g = read_text(net.model());
  EXPECT_EQ(g.node(0).op, "Neg");
}

TEST(OnnxRead, LimitsTheNestingOfSubgraphs) {
  WireMessage inner = GraphBytes{{}, {}, {}, {}}.proto();
  for (int i = 0; i < 20; ++i) {
    GraphBytes around;
    around.nodes = {node_proto("If", {}, {}, {graph_attribute("body", std::move(inner))})};
    inner = around.proto();
  }
  GraphBytes net = small_graph();
  net.nodes.push_back(node_proto("If", {"x"}, {"z"}, {graph_attribute("body", std::move(inner))}));
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kLimit, "subgraph-depth");
}

TEST(OnnxRead, RefusesADomainWithoutAVersion) {
  GraphBytes net = small_graph();
  net.nodes.push_back(node_proto("MatMulNBits", {"x"}, {"z"}, {}, "com.microsoft"));
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "com.microsoft");
  EXPECT_EQ(read_text(net.model(21, 10, {}, {"com.microsoft"})).domains.at("com.microsoft"), 1);
}

TEST(OnnxRead, TakesAiOnnxForTheDefaultDomain) {
  GraphBytes net = small_graph();
  net.nodes.push_back(node_proto("Relu", {"x"}, {"z"}, {}, "ai.onnx"));
  EXPECT_EQ(read_text(net.model()).node(1).domain, "");
}

TEST(OnnxRead, KeepsMetadata) {
  std::string bytes = small_graph().model();
  WireMessage pair, tail;
  pair.text(1, "nibble.data");
  pair.text(2, "{}");
  tail.message(14, pair);
  EXPECT_EQ(read_text(bytes + bytes_of(tail)).metadata.at("nibble.data"), "{}");
  NIBBLE_EXPECT_ERROR(read_text(bytes + bytes_of(tail) + bytes_of(tail)), ErrorKind::kMalformed, "given twice");
}

TEST(OnnxRead, NeedsANetwork) {
  NIBBLE_EXPECT_ERROR(read_text(""), ErrorKind::kMalformed, "holds no network");
  NIBBLE_EXPECT_ERROR(io::onnx::read("/nonexistent/net.onnx", {}, *std::make_unique<io::Notes>()), ErrorKind::kIo,
                      "cannot be opened");
}

TEST(OnnxRead, LimitsNodesAndTensors) {
  GraphBytes net = small_graph();
  for (int i = 0; i < 10; ++i) net.nodes.push_back(node_proto("Relu", {"x"}, {std::to_string(i) + "z"}));
  base::Limits limits;
  limits.nodes = 10;
  NIBBLE_EXPECT_ERROR(read_text(net.model(), nullptr, limits), ErrorKind::kLimit, "nodes");
  net = small_graph();
  for (int i = 0; i < 10; ++i) net.initializers.push_back(tensor_proto(std::to_string(i) + "t", 1, {0}, ""));
  limits.nodes = 1000;
  limits.tensors = 10;
  NIBBLE_EXPECT_ERROR(read_text(net.model(), nullptr, limits), ErrorKind::kLimit, "tensors");
}

TEST(OnnxRead, CountsUnknownFieldsAndIgnoresThem) {
  WireMessage unknown;
  unknown.integer(900, 1);
  unknown.text(901, "future");
  io::Notes notes;
  EXPECT_EQ(read_text(small_graph().model() + bytes_of(unknown), &notes).node_count(), 1);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("2 fields"), std::string::npos);
}

}  // namespace
}  // namespace nibble
