#include "model/save.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "io/onnx/model_bytes.h"
#include "model/quantized_constants.h"
#include "model/quantized_networks.h"
#include "support/if_network.h"

namespace nibble {
namespace {

using base::ErrorKind;
using graph::Graph;
using namespace test;

class Save : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) / ("nibble_save_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Graph read(const std::string& name) {
    io::Notes notes;
    Graph g = io::onnx::read(folder_ / name, {}, notes);
    model::upgrade(g);
    model::fold_quantized_constants(g);
    return g;
  }
  std::string bytes(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder_ / name, std::ios::binary).rdbuf();
    return text.str();
  }
  size_t files() {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator()));
  }

  std::filesystem::path folder_;
};

Graph network() {
  QuantizedParts p;
  p.shape = {64, 32};
  p.block = 32;
  p.scale_shape = {2, 32};
  p.zero = true;
  return quantized_network(quantized_tensor(p));
}

TEST_F(Save, WhatIsSavedComesBack) {
  const auto result = model::save(network(), folder_ / "net.onnx", {});
  EXPECT_EQ(result.opset, 21);
  EXPECT_EQ(result.ir_version, 10);
  EXPECT_EQ(result.file_bytes, std::filesystem::file_size(folder_ / "net.onnx"));
  EXPECT_EQ(result.data_bytes, 0u);
  Graph expected = network();
  expected.compact();
  EXPECT_EQ(model::first_difference(expected, read("net.onnx")), "");
  EXPECT_EQ(files(), 1u);
}

TEST_F(Save, BranchesReadWhatTheirNodeReads) {
  IfNetwork net({2});
  // A pass made the branches read another value: one that the else branch has a name of its own for.
  net.outer.graph.node(0).inputs[1] = net.outer.input("negative", {2});
  Graph g = net.outer.finish({net.y});
  model::save(g, folder_ / "net.onnx", {});  // reads back and compares
  const Graph back = read("net.onnx");
  EXPECT_EQ(captured_names(back, 0), (std::vector<std::string>{"negative", "w"}));
  const Graph& no = *graph::subgraph(back.node(0), "else_branch");
  EXPECT_EQ(no.value(no.node(0).inputs[0]).name, "negative");
  EXPECT_EQ(no.value(no.outputs[0]).name, "negative_inner");
}

TEST_F(Save, TheFileIsSmall) {
  // 2048 weights of 4 bits, 64 scales of 16 bits, 64 zero points of 4; names and structure are counted apart.
  const auto result = model::save(network(), folder_ / "net.onnx", {});
  EXPECT_LE(result.file_bytes, 2048 / 2 + 64 * 2 + 64 / 2 + 600);
}

TEST_F(Save, TheSameGraphGivesTheSameBytes) {
  model::save(network(), folder_ / "a.onnx", {});
  model::save(network(), folder_ / "b.onnx", {});
  model::save(read("a.onnx"), folder_ / "c.onnx", {});
  EXPECT_EQ(bytes("a.onnx"), bytes("b.onnx"));
  EXPECT_EQ(bytes("a.onnx"), bytes("c.onnx"));
}

TEST_F(Save, RefusesWhatExistsAndWhatIsAnInput) {
  model::save(network(), folder_ / "net.onnx", {});
  NIBBLE_EXPECT_ERROR(model::save(network(), folder_ / "net.onnx", {}), ErrorKind::kUsage, "exists");
  model::SaveOptions options;
  options.force = true;
  EXPECT_NO_THROW(model::save(network(), folder_ / "net.onnx", options));
  options.inputs = {folder_ / "net.onnx"};
  NIBBLE_EXPECT_ERROR(model::save(network(), folder_ / "net.onnx", options), ErrorKind::kUsage, "input");
  EXPECT_EQ(files(), 1u);
}

TEST_F(Save, ANetworkReadFromTheOldFileMayReplaceIt) {
  // The weights are views of the mapping of the old file, which lives on after the rename.
  model::save(network(), folder_ / "net.onnx", {});
  const Graph g = read("net.onnx");
  model::SaveOptions options;
  options.force = true;
  model::save(g, folder_ / "net.onnx", options);
  Graph expected = network();
  expected.compact();
  EXPECT_EQ(model::first_difference(expected, read("net.onnx")), "");
}

TEST_F(Save, AFailureLeavesNothing) {
  QuantizedParts p;
  p.format = "nf4";
  p.scale_type = DType::f32;
  NIBBLE_EXPECT_ERROR(model::save(quantized_network(quantized_tensor(p)), folder_ / "net.onnx", {}),
                      ErrorKind::kUnsupported, "nf4");
  NIBBLE_EXPECT_ERROR(model::save(network(), folder_ / "missing" / "net.onnx", {}), ErrorKind::kIo, "missing");
  EXPECT_EQ(files(), 0u);
}

TEST_F(Save, AGraphThatCannotComeBackIsCaught) {
  // Two values of one name: the file could not be read, so it is not kept.
  Graph g = network();
  graph::Value twin;
  twin.name = "p";
  const auto id = g.add_value(twin);
  g.add_node({"Relu", "", "", {g.inputs[0]}, {id}, {}});
  EXPECT_THROW(model::save(g, folder_ / "net.onnx", {}), base::Error);
  EXPECT_EQ(files(), 0u);
}

TEST_F(Save, Int8HasTheSameValues) {
  model::SaveOptions options;
  options.also_int8 = folder_ / "wide.onnx";
  const auto result = model::save(network(), folder_ / "net.onnx", options);
  EXPECT_EQ(result.int8_file_bytes, std::filesystem::file_size(folder_ / "wide.onnx"));
  const Graph narrow = read("net.onnx"), wide = read("wide.onnx");
  const auto &a = narrow.value(narrow.find_value("w")).constant, &b = wide.value(wide.find_value("w")).constant;
  EXPECT_EQ(a.dtype(), DType::int4);
  EXPECT_EQ(b.dtype(), DType::i8);
  const Tensor p = codec::dequantize(a), q = codec::dequantize(b);
  EXPECT_EQ(base::as_text(p.bytes()), base::as_text(q.bytes()));
  options.also_int8 = folder_ / "net.onnx";
  NIBBLE_EXPECT_ERROR(model::save(network(), folder_ / "net.onnx", options), ErrorKind::kUsage, "two names");
}

TEST_F(Save, LargeNetworksGetADataFile) {
  model::SaveOptions options;
  options.largest_file = 1000;
  const auto result = model::save(network(), folder_ / "net.onnx", options);
  EXPECT_EQ(result.data_bytes, std::filesystem::file_size(folder_ / "net.onnx.data"));
  Graph expected = network();
  expected.compact();
  EXPECT_EQ(model::first_difference(expected, read("net.onnx")), "");
  EXPECT_EQ(files(), 2u);
  NIBBLE_EXPECT_ERROR(model::save(network(), folder_ / "net.onnx", options), ErrorKind::kUsage, "exists");
}

TEST(LowestOpset, FollowsOperatorsTypesAndAttributes) {
  Graph g = network();
  EXPECT_EQ(model::lowest_opset(g), 21);
  const auto with = [&](graph::Node node, DType type = DType::f32) {
    Graph h = network();
    node.inputs = {h.add_constant("c", Tensor(type, {1}))};
    h.add_node(std::move(node));
    return model::lowest_opset(h);
  };
  EXPECT_EQ(with({"Relu", "", "", {}, {}, {}}), 21);
  EXPECT_EQ(with({"Swish", "", "", {}, {}, {}}), 24);
  EXPECT_EQ(with({"Relu", "", "", {}, {}, {}}, DType::int2), 25);
  EXPECT_EQ(with({"Relu", "", "", {}, {}, {}}, DType::f4e2m1), 23);
  EXPECT_EQ(with({"Relu", "", "", {}, {}, {}}, DType::bf16), 22);
  EXPECT_EQ(with({"Range", "", "", {}, {}, {}}, DType::f16), 27);
  EXPECT_EQ(with({"Cast", "", "", {}, {}, {{"to", int64_t{23}}}}), 23);
  EXPECT_EQ(with({"Cast", "", "", {}, {}, {{"to", int64_t{1}}}}), 21);
  EXPECT_EQ(with({"DequantizeLinear", "", "", {}, {}, {{"output_dtype", int64_t{1}}}}), 23);
  EXPECT_EQ(with({"MaxPool", "", "", {}, {}, {{"ceil_mode", int64_t{1}}}}), 21);
  EXPECT_EQ(with({"MaxPool", "", "", {}, {}, {{"ceil_mode", int64_t{1}}, {"pads", std::vector<int64_t>{1, 1}}}}), 22);
  EXPECT_EQ(with({"MaxPool",
                  "",
                  "",
                  {},
                  {},
                  {{"ceil_mode", int64_t{1}},
                   {"kernel_shape", std::vector<int64_t>{1}},
                   {"strides", std::vector<int64_t>{2}}}}),
            22);
  EXPECT_EQ(with({"Swish", "other.domain", "", {}, {}, {}}), 21);
}

TEST(FirstDifference, SeesEveryKindOfChange) {
  const Graph a = network();
  EXPECT_EQ(model::first_difference(a, a), "");
  const auto changed = [&](auto edit) {
    Graph b = network();
    edit(b);
    return model::first_difference(a, b);
  };
  const auto w = a.find_value("w");
  EXPECT_NE(changed([](Graph& g) { g.node(0).op = "Gemm"; }), "");
  EXPECT_NE(changed([](Graph& g) { g.node(0).name = "other"; }), "");
  EXPECT_NE(changed([](Graph& g) { g.node(0).inputs.pop_back(); }), "");
  EXPECT_NE(changed([](Graph& g) { g.node(0).attributes["a"] = 1.0f; }), "");
  EXPECT_NE(changed([](Graph& g) { g.remove_node(0); }), "");
  EXPECT_NE(changed([](Graph& g) { g.inputs.clear(); }), "");
  EXPECT_NE(changed([](Graph& g) { g.outputs.clear(); }), "");
  EXPECT_NE(changed([](Graph& g) { g.opset = 21; }), "");
  EXPECT_NE(changed([](Graph& g) { g.metadata["k"] = "v"; }), "");
  EXPECT_NE(changed([](Graph& g) { g.value(g.inputs[0]).dtype = DType::f16; }), "");
  EXPECT_NE(changed([&](Graph& g) { g.value(w).constant = {}; }), "");
  EXPECT_NE(changed([&](Graph& g) {
              Tensor t(DType::int4, {64, 32});
              g.value(w).constant = t.with_quantization(g.value(w).constant.quantization());
            }),
            "");
  const auto with_quantization = [&](auto edit) {
    return changed([&](Graph& g) {
      auto q = std::make_shared<tensor::Quantization>(*g.value(w).constant.quantization());
      edit(*q);
      g.value(w).constant = g.value(w).constant.with_quantization(q);
    });
  };
  EXPECT_EQ(with_quantization([](tensor::Quantization&) {}), "");
  EXPECT_NE(with_quantization([](tensor::Quantization& q) { q.axis = 1; }), "");
  EXPECT_NE(with_quantization([](tensor::Quantization& q) { q.block = 16; }), "");
  EXPECT_NE(with_quantization([](tensor::Quantization& q) { q.zero = {}; }), "");
  EXPECT_NE(with_quantization([](tensor::Quantization& q) { q.scale = Tensor(DType::f16, {2, 32}); }), "");
}

TEST(FirstDifference, ComparesFloatsAsBits) {
  const auto with = [](float value) {
    Graph g = network();
    g.node(0).attributes["a"] = value;
    g.node(0).attributes["b"] = std::vector<float>{value};
    return g;
  };
  EXPECT_EQ(model::first_difference(with(NAN), with(NAN)), "");
  EXPECT_NE(model::first_difference(with(0.0f), with(-0.0f)), "");
}

}  // namespace
}  // namespace nibble
