// Files that are damaged or made to do harm: each is an Error, never a crash, a hang or a large allocation.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "io/onnx/model_bytes.h"
#include "io/onnx/wire.h"

namespace nibble {
namespace {

using base::ErrorKind;
using namespace test;

/// A network with everything that has a length: attributes, subgraph, typed and raw tensors.
std::string rich_model() {
  GraphBytes body;
  body.nodes = {node_proto("Add", {"x", "w"}, {"inner"})};
  body.outputs = {value_info("inner")};
  GraphBytes net = small_graph();
  WireMessage typed;
  typed.integer(1, 3);
  typed.integer(2, 6);
  typed.text(5, std::string("\x01\x02\x03", 3));
  typed.text(8, "typed");
  net.initializers.push_back(typed);
  net.nodes.push_back(
      node_proto("If", {"x"}, {"z"}, {graph_attribute("then_branch", body.proto()), ints_attribute("i", {1, 2})}));
  return net.model();
}

/// True when reading gives a Graph or an Error that is not a bug of ours.
void read_or_error(const std::string& bytes) {
  try {
    read_text(bytes);
  } catch (const base::Error& e) {
    EXPECT_NE(e.kind(), ErrorKind::kInternal) << e.what();
  }
}

TEST(HostileOnnx, EveryPrefixIsReadOrRefused) {
  const std::string bytes = rich_model();
  ASSERT_NO_THROW(read_text(bytes));
  for (size_t n = 0; n < bytes.size(); ++n) {
    SCOPED_TRACE(n);
    read_or_error(bytes.substr(0, n));
  }
}

TEST(HostileOnnx, EveryChangedByteIsReadOrRefused) {
  const std::string bytes = rich_model();
  for (size_t n = 0; n < bytes.size(); ++n)
    for (const int value :
         {0x00, 0x01, 0x7f, 0x80, 0xff, static_cast<uint8_t>(bytes[n]) ^ 0x08, static_cast<uint8_t>(bytes[n]) + 1}) {
      SCOPED_TRACE(n);
      std::string changed = bytes;
      changed[n] = static_cast<char>(value);
      read_or_error(changed);
    }
}

TEST(HostileOnnx, RandomBytesAreRefused) {
  base::Random random(7);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(static_cast<size_t>(random.below(200)), '\0');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    read_or_error(bytes);
  }
}

TEST(HostileOnnx, AWireFormatThatBreaksItsRules) {
  NIBBLE_EXPECT_ERROR(read_text(std::string("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12)),
                      ErrorKind::kMalformed, "64 bits");
  NIBBLE_EXPECT_ERROR(read_text("\x08"), ErrorKind::kMalformed, "cut off");
  NIBBLE_EXPECT_ERROR(read_text("\x3a\x05"
                                "abc"),
                      ErrorKind::kMalformed, "5 bytes begins where 3 remain");
  NIBBLE_EXPECT_ERROR(read_text(std::string("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10)), ErrorKind::kMalformed,
                      "begins where");
  NIBBLE_EXPECT_ERROR(read_text("\x3b\x3c"), ErrorKind::kMalformed, "group");
  NIBBLE_EXPECT_ERROR(read_text("\x3e"), ErrorKind::kMalformed, "unknown wire type");
  NIBBLE_EXPECT_ERROR(read_text(std::string("\x00\x01", 2)), ErrorKind::kMalformed, "field number");
}

TEST(HostileOnnx, NestingIsLimited) {
  WireMessage graph = small_graph().proto();
  for (int i = 0; i < 60; ++i) {
    WireMessage attribute_message, node, around;
    attribute_message.text(1, "b");
    attribute_message.message(6, std::move(graph));
    node.message(5, std::move(attribute_message));
    around.message(1, std::move(node));
    graph = std::move(around);
  }
  WireMessage model;
  model.message(7, std::move(graph));
  NIBBLE_EXPECT_ERROR(read_text(bytes_of(model)), ErrorKind::kLimit, "proto-depth");
}

TEST(HostileOnnx, ManyEmptyMessagesAreNotManyObjects) {
  std::string graph;
  for (int i = 0; i < 1000; ++i) graph += std::string("\x0a\x00", 2);
  WireMessage model;
  model.text(7, graph);
  NIBBLE_EXPECT_ERROR(read_text(bytes_of(model)), ErrorKind::kMalformed, "empty");
}

TEST(HostileOnnx, DimensionsThatPromiseMoreThanIsThere) {
  const auto with = [](const std::vector<int64_t>& dims, const std::string& data, int64_t type = 1) {
    GraphBytes net = small_graph();
    net.initializers.push_back(tensor_proto("t", type, dims, data));
    return net.model();
  };
  const std::string four(16, '\0');
  NIBBLE_EXPECT_ERROR(read_text(with({5}, four)), ErrorKind::kMalformed,
                      "16 bytes of data, FLOAT of shape [5] needs 20");
  NIBBLE_EXPECT_ERROR(read_text(with({3}, four)), ErrorKind::kMalformed, "needs 12");
  NIBBLE_EXPECT_ERROR(read_text(with({-4}, four)), ErrorKind::kMalformed, "negative");
  NIBBLE_EXPECT_ERROR(read_text(with({int64_t{1} << 32, int64_t{1} << 32}, four)), ErrorKind::kMalformed, "exceeds");
  NIBBLE_EXPECT_ERROR(read_text(with({INT64_MAX, 4}, four)), ErrorKind::kMalformed, "exceeds");
  NIBBLE_EXPECT_ERROR(read_text(with({int64_t{1} << 41}, four)), ErrorKind::kLimit, "tensor-elements");
  NIBBLE_EXPECT_ERROR(read_text(with({0, -1}, "")), ErrorKind::kMalformed, "negative");
  NIBBLE_EXPECT_ERROR(read_text(with(std::vector<int64_t>(17, 1), std::string(4, '\0'))), ErrorKind::kLimit, "rank");
  NIBBLE_EXPECT_ERROR(read_text(with({4}, four, 0)), ErrorKind::kMalformed, "no data type");
  NIBBLE_EXPECT_ERROR(read_text(with({4}, four, 77)), ErrorKind::kUnsupported, "type 77");
  NIBBLE_EXPECT_ERROR(read_text(with({3}, std::string(3, '\0'), 22)), ErrorKind::kMalformed,
                      "INT4 of shape [3] needs 2");
  EXPECT_NO_THROW(read_text(with({0, 5}, "")));
}

class ExternalData : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) / ("nibble_external_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_ / "sub");
    write("weights.bin", std::string(64, 'w'));
    write("sub/inner.bin", std::string(64, 'w'));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }

  static WireMessage tensor(const std::string& name, std::vector<std::pair<std::string, std::string>> entries) {
    WireMessage t;
    t.integer(1, 2);
    t.integer(2, 1);
    t.text(8, name);
    for (const auto& [key, value] : entries) {
      WireMessage pair;
      pair.text(1, key);
      pair.text(2, value);
      t.message(13, std::move(pair));
    }
    t.integer(14, 1);
    return t;
  }

  graph::Graph read(std::vector<WireMessage> tensors) {
    GraphBytes net = small_graph();
    for (auto& t : tensors) net.initializers.push_back(std::move(t));
    write("net.onnx", net.model());
    notes_.clear();
    return io::onnx::read(folder_ / "net.onnx", {}, notes_);
  }

  std::filesystem::path folder_;
  io::Notes notes_;
};

TEST_F(ExternalData, IsReadAtItsOffset) {
  write("data.bin", std::string(8, '\0') + raw<float>({3.0f, 4.0f}));
  const auto g = read({tensor("t", {{"location", "data.bin"}, {"offset", "8"}, {"length", "8"}})});
  EXPECT_EQ(g.value(g.find_value("t")).constant.values<float>()[1], 4.0f);
  EXPECT_NO_THROW(read({tensor("t", {{"location", "sub/inner.bin"}})}));
}

TEST_F(ExternalData, StaysBelowItsDirectory) {
  for (const char* location : {"../weights.bin", "sub/../../x", "/etc/passwd", "", "a\\b", "c:x"})
    NIBBLE_EXPECT_ERROR(read({tensor("t", {{"location", location}})}), ErrorKind::kMalformed, "not a plain path");
  NIBBLE_EXPECT_ERROR(read({tensor("t", {{"location", std::string("weights.bin\0", 12)}})}), ErrorKind::kMalformed,
                      "not a plain path");
}

TEST_F(ExternalData, FollowsNoLink) {
  std::filesystem::create_symlink("/etc/hostname", folder_ / "link.bin");
  std::filesystem::create_directory_symlink("/etc", folder_ / "etc");
  EXPECT_THROW(read({tensor("t", {{"location", "link.bin"}})}), base::Error);
  EXPECT_THROW(read({tensor("t", {{"location", "etc/hostname"}})}), base::Error);
  EXPECT_THROW(read({tensor("t", {{"location", "sub"}})}), base::Error);
  EXPECT_THROW(read({tensor("t", {{"location", "missing.bin"}})}), base::Error);
}

TEST_F(ExternalData, NumbersAreChecked) {
  const auto with = [&](const std::string& offset, const std::string& length) {
    return read({tensor("t", {{"location", "weights.bin"}, {"offset", offset}, {"length", length}})});
  };
  EXPECT_NO_THROW(with("56", "8"));
  NIBBLE_EXPECT_ERROR(with("57", "8"), ErrorKind::kMalformed, "end at byte 65");
  NIBBLE_EXPECT_ERROR(with("0", "9"), ErrorKind::kMalformed, "9 bytes, its shape [2] needs 8");
  NIBBLE_EXPECT_ERROR(with("-8", "8"), ErrorKind::kMalformed, "decimal");
  NIBBLE_EXPECT_ERROR(with("0x8", "8"), ErrorKind::kMalformed, "decimal");
  NIBBLE_EXPECT_ERROR(with("18446744073709551615", "8"), ErrorKind::kMalformed, "decimal");
  NIBBLE_EXPECT_ERROR(with("9223372036854775807", "8"), ErrorKind::kMalformed, "the file is truncated");
  NIBBLE_EXPECT_ERROR(with("", "8"), ErrorKind::kMalformed, "decimal");
}

TEST_F(ExternalData, TensorsMayNotOverlap) {
  const auto at = [&](const std::string& name, const std::string& location, const std::string& offset) {
    return tensor(name, {{"location", location}, {"offset", offset}});
  };
  EXPECT_NO_THROW(read({at("s", "weights.bin", "0"), at("t", "weights.bin", "8")}));
  NIBBLE_EXPECT_ERROR(read({at("s", "weights.bin", "0"), at("t", "./weights.bin", "4")}), ErrorKind::kMalformed,
                      "overlap");
}

TEST_F(ExternalData, UnknownKeysAreNotedAndIgnored) {
  EXPECT_NO_THROW(read({tensor("t", {{"location", "weights.bin"}, {"checksum", "00"}, {"basepath", "/etc"}})}));
  ASSERT_EQ(notes_.size(), 1u);
  EXPECT_NE(notes_[0].find("basepath"), std::string::npos);
}

TEST_F(ExternalData, IsRefusedFromMemory) {
  GraphBytes net = small_graph();
  net.initializers.push_back(tensor("t", {{"location", "weights.bin"}}));
  NIBBLE_EXPECT_ERROR(read_text(net.model()), ErrorKind::kMalformed, "cannot be found from here");
}

}  // namespace
}  // namespace nibble
