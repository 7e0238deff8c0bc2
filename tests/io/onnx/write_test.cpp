#include "io/onnx/write.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "io/onnx/model_bytes.h"

namespace nibble {
namespace {

using base::ErrorKind;
using graph::Graph;
using graph::Node;
using tensor::DType;
using tensor::Tensor;
using namespace test;

class OnnxWrite : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) / ("nibble_write_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const Graph& g, const io::onnx::WriteOptions& options = {}) {
    base::AtomicFile file(folder_ / "net.onnx", true);
    io::onnx::write(g, file, options);
    EXPECT_EQ(file.size(), io::onnx::written_size(g, options));
    file.commit();
    std::ostringstream text;
    text << std::ifstream(folder_ / "net.onnx", std::ios::binary).rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
};

/// A Graph that uses every kind of thing that a file can hold.
Graph rich_graph() {
  Graph g;
  g.name = "net";
  g.opset = 21;
  g.domains["com.microsoft"] = 1;
  g.metadata["key"] = "value";
  graph::Value x;
  x.name = "x";
  x.shape_known = true;
  x.shape = {tensor::kUnknown, 4, tensor::kUnknown};
  x.symbols = {"batch", "", ""};
  g.inputs = {g.add_value(x)};
  const auto w = g.add_constant("w", Tensor::of<float>({4}, std::vector<float>{1, 2, 3, 4}));
  Tensor packed(DType::int4, {3});
  packed.mutable_bytes()[0] = std::byte{0x21};
  packed.mutable_bytes()[1] = std::byte{0x03};
  const auto codes = g.add_constant("codes", packed);
  const auto scalar = g.add_constant("scalar", Tensor::scalar<int64_t>(-7));
  const auto empty = g.add_constant("empty", Tensor(DType::f32, {0, 3}));
  graph::Value y, z;
  y.name = "y";
  z.name = "z";
  const auto yid = g.add_value(y), zid = g.add_value(z);
  Node node{"Thing",
            "com.microsoft",
            "thing",
            {g.inputs[0], graph::kNoValue, w, codes, scalar, empty, g.inputs[0]},  // the last: read inside
            {yid, graph::kNoValue, zid},
            {}};
  node.attributes["f"] = 0.1f;
  node.attributes["i"] = int64_t{-1};
  node.attributes["s"] = std::string("text");
  node.attributes["floats"] = std::vector<float>{1.5f, -0.0f};
  node.attributes["ints"] = std::vector<int64_t>{1, -2, INT64_MIN};
  node.attributes["no_ints"] = std::vector<int64_t>{};
  node.attributes["strings"] = std::vector<std::string>{"", "b"};
  node.attributes["t"] = Tensor::scalar(2.0f);
  auto inner = std::make_shared<Graph>();
  inner->name = "inner";
  graph::Value outside, result;
  outside.name = "x";
  result.name = "result";
  const auto oid = inner->add_value(outside), rid = inner->add_value(result);
  inner->add_node({"Relu", "", "relu", {oid}, {rid}, {}});
  inner->captures = {oid};
  inner->outputs = {rid};
  node.attributes["g"] = inner;
  g.add_node(std::move(node));
  g.outputs = {zid};
  return g;
}

TEST_F(OnnxWrite, WhatIsWrittenIsReadBack) {
  const Graph back = read_text(write(rich_graph()));
  EXPECT_EQ(back.name, "net");
  EXPECT_EQ(back.opset, 21);
  EXPECT_EQ(back.domains.at("com.microsoft"), 1);
  EXPECT_EQ(back.metadata.at("key"), "value");
  EXPECT_EQ(back.producer, "nibble");
  const auto& x = back.value(back.inputs[0]);
  EXPECT_EQ(x.shape, (tensor::Shape{tensor::kUnknown, 4, tensor::kUnknown}));
  EXPECT_EQ(x.symbols, (std::vector<std::string>{"batch", "", ""}));
  const auto& node = back.node(0);
  ASSERT_EQ(node.inputs.size(), 7u);
  EXPECT_EQ(node.input(1), graph::kNoValue);
  EXPECT_EQ(node.output(1), graph::kNoValue);
  EXPECT_EQ(back.value(node.input(3)).constant.dtype(), DType::int4);
  EXPECT_EQ(back.value(node.input(3)).constant.bytes()[1], std::byte{0x03});
  EXPECT_EQ(back.value(node.input(4)).constant.shape(), tensor::Shape{});
  EXPECT_EQ(back.value(node.input(4)).constant.values<int64_t>()[0], -7);
  EXPECT_EQ(back.value(node.input(5)).constant.shape(), (tensor::Shape{0, 3}));
  EXPECT_EQ(node.real("f", 0), 0.1f);
  EXPECT_EQ(node.text("s", ""), "text");
  EXPECT_TRUE(std::signbit(node.reals("floats")[1]));
  EXPECT_EQ(node.integers("ints"), (std::vector<int64_t>{1, -2, INT64_MIN}));
  EXPECT_TRUE(node.has("no_ints"));
  EXPECT_EQ(node.integers("no_ints", {9}), std::vector<int64_t>{});
  EXPECT_EQ(std::get<Tensor>(node.attributes.at("t")).values<float>()[0], 2.0f);
  EXPECT_EQ(captured_names(back, 0), std::vector<std::string>{"x"});
}

TEST_F(OnnxWrite, TheSameGraphGivesTheSameBytes) {
  const std::string first = write(rich_graph());
  EXPECT_EQ(first, write(rich_graph()));
  EXPECT_EQ(first, write(read_text(first)));
}

TEST_F(OnnxWrite, ExternalDataLieAtPagesOfTheirOwn) {
  Graph g;
  g.opset = 21;
  graph::Value x;
  x.name = "x";
  g.inputs = {g.add_value(x)};
  g.outputs = g.inputs;
  std::vector<float> values(600);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const auto a = g.add_constant("a", Tensor::of<float>({600}, values)),
             b = g.add_constant("b", Tensor::of<float>({600}, values));
  const auto shape = g.add_constant("shape", Tensor(DType::i64, {400})),
             small = g.add_constant("small", Tensor(DType::f32, {4}));
  graph::Value y;
  y.name = "y";
  const auto out = g.add_value(y);
  g.add_node({"Concat", "", "", {a, b, shape, small}, {out}, {}});
  {
    base::AtomicFile file(folder_ / "net.onnx", true), data(folder_ / "net.onnx.data", true);
    io::onnx::WriteOptions options;
    options.data = &data;
    options.data_name = "net.onnx.data";
    io::onnx::write(g, file, options);
    EXPECT_EQ(data.size(), 4096u + 2400u);
    data.commit();
    file.commit();
  }
  io::Notes notes;
  const Graph back = io::onnx::read(folder_ / "net.onnx", {}, notes);
  for (const char* name : {"a", "b"})
    EXPECT_EQ(back.value(back.find_value(name)).constant.values<float>()[599], 599.0f);
  std::filesystem::resize_file(folder_ / "net.onnx.data", 6000);
  NIBBLE_EXPECT_ERROR(io::onnx::read(folder_ / "net.onnx", {}, notes), ErrorKind::kMalformed, "truncated");
}

TEST_F(OnnxWrite, AFileWithoutExternalDataEndsAt2GiB) {
  // A tensor that claims more than it has; its bytes are never touched because the size is checked first.
  Graph g;
  g.opset = 21;
  static const std::byte nothing{};
  const int64_t size = int64_t{1} << 31;
  g.add_constant("huge", Tensor(DType::u8, {size}, base::Bytes(&nothing, static_cast<size_t>(size)), nullptr));
  base::AtomicFile file(folder_ / "net.onnx", true);
  NIBBLE_EXPECT_ERROR(io::onnx::write(g, file), ErrorKind::kUnsupported, "2 GiB");
}

TEST(OnnxIrVersion, FollowsTheReleases) {
  // Release -> (IR, opset): 1.16 (10,21), 1.17 (10,22), 1.18 (11,23), 1.19 (12,24), 1.20 (13,25), 1.21 (13,26), 1.22
  // (13,27), 1.23 (14,28)
  const int64_t pairs[][2] = {{21, 10}, {22, 10}, {23, 11}, {24, 12}, {25, 13}, {26, 13},
                              {27, 13}, {28, 14}, {9, 4},   {13, 7},  {17, 8},  {7, 4}};
  for (const auto& [opset, ir] : pairs) EXPECT_EQ(io::onnx::ir_version_of(opset), ir) << opset;
}

}  // namespace
}  // namespace nibble
