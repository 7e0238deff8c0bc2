#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "data/expected_files.h"
#include "io/gguf/read.h"
#include "io/gguf/write.h"
#include "support/shared_data.h"

namespace nibble::io::gguf {
namespace {

using base::ErrorKind;
using tensor::DType;
using test::expect_error;

class Gguf : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / "nibble_gguf_test";
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static Metadata metadata() {
    Metadata m;
    m.set("general.architecture", std::string("llama"));
    m.set("a.u8", uint8_t{200});
    m.set("a.i64", int64_t{-5});
    m.set("a.f32", 0.5f);
    m.set("a.f64", 0.25);
    m.set("a.bool", true);
    m.set("a.words", Array(std::vector<std::string>{"one", "", "drei"}));
    m.set("a.numbers", Array(std::vector<int32_t>{1, -2, 3}));
    m.set("a.flags", Array(std::vector<bool>{true, false}));
    return m;
  }

  /// A file of two tensors.
  std::string bytes() const {
    const auto path = folder_ / "x.gguf";
    base::AtomicFile file(path, true);
    Writer writer(file, metadata(), {{"w", DType::q8_0, {2, 32}}, {"b", DType::f32, {3}}});
    std::string blocks(68, '\1');
    writer.append(base::as_bytes(blocks.substr(0, 10)));
    writer.append(base::as_bytes(blocks.substr(10)));
    writer.end_tensor();
    const float b[3] = {1, 2, 3};
    writer.append({reinterpret_cast<const std::byte*>(b), sizeof b});
    writer.end_tensor();
    EXPECT_EQ(file.size(), file_size(metadata(), {{"w", DType::q8_0, {2, 32}}, {"b", DType::f32, {3}}}));
    file.commit();
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  File read_bytes(const std::string& content, const char* name = "y.gguf") const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return read(folder_ / name, {});
  }

  std::filesystem::path folder_;
};

TEST_F(Gguf, reads_what_it_wrote) {
  const File file = read_bytes(bytes());
  EXPECT_EQ(file.metadata.pairs(), metadata().pairs());
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].name, "w");
  EXPECT_EQ(file.tensors[0].tensor.dtype(), DType::q8_0);
  EXPECT_EQ(file.tensors[0].tensor.shape(), (tensor::Shape{2, 32}));
  EXPECT_EQ(file.tensors[1].tensor.values<float>()[2], 3.0f);
  EXPECT_EQ(*file.metadata.integer("a.u8"), 200);
  EXPECT_EQ(*file.metadata.integers("a.numbers"), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_FALSE(file.metadata.integer("a.nothing"));
  expect_error(ErrorKind::kMalformed, "a.f32", [&] { file.metadata.integer("a.f32"); });
  expect_error(ErrorKind::kMalformed, "a.words", [&] { file.metadata.integers("a.words"); });
}

TEST_F(Gguf, refuses_every_truncation) {
  const std::string whole = bytes();
  const size_t end = whole.size() - 20;  // the last tensor's padding may be missing
  for (size_t size = 0; size < end; ++size) {
    SCOPED_TRACE(size);
    EXPECT_THROW(read_bytes(whole.substr(0, size)), base::Error);
  }
  EXPECT_NO_THROW(read_bytes(whole.substr(0, end)));
}

TEST_F(Gguf, refuses_what_ggml_refuses) {
  const std::string whole = bytes();
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = whole;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos);
    return text.replace(at, from.size(), to);
  };
  const auto number = [](uint64_t v) { return std::string(reinterpret_cast<const char*>(&v), 8); };
  const auto small = [](uint32_t v) { return std::string(reinterpret_cast<const char*>(&v), 4); };
  const auto refused = [&](ErrorKind kind, const std::string& part, const std::string& content) {
    expect_error(kind, part, [&] { read_bytes(content); });
  };
  refused(ErrorKind::kMalformed, "not a GGUF file", changed("GGUF", "GGML"));
  refused(ErrorKind::kUnsupported, "version 1", changed("GGUF" + small(3), "GGUF" + small(1)));
  refused(ErrorKind::kUnsupported, "big-endian", changed("GGUF" + small(3), "GGUF" + small(0x03000000)));
  refused(ErrorKind::kMalformed, "twice", changed("a.f64", "a.f32"));
  refused(ErrorKind::kMalformed, "twice", changed(number(1) + "b", number(1) + "w"));
  refused(ErrorKind::kMalformed, "UTF-8",
          changed("a.i64",
                  "a.\xff"
                  "64"));
  refused(ErrorKind::kMalformed, "offset", changed(small(0) + number(96), small(0) + number(64)));
  refused(ErrorKind::kUnsupported, "type 10", changed(small(8) + number(0), small(10) + number(0)));
  refused(ErrorKind::kMalformed, "multiples of 32", changed(number(32) + number(2), number(33) + number(2)));
  refused(ErrorKind::kMalformed, "lists", changed(small(9) + small(5), small(9) + small(9)));
  refused(ErrorKind::kMalformed, "truth value", changed("a.bool" + small(7) + "\1", "a.bool" + small(7) + "\2"));
  refused(ErrorKind::kMalformed, "needs",
          changed(small(9) + small(5) + number(3), small(9) + small(5) + number(1u << 25)));
}

TEST_F(Gguf, a_split_model_needs_all_its_parts) {
  const auto part = [&](int index, const char* tensor) {
    Metadata m;
    if (index == 0) m.set("general.architecture", std::string("llama"));
    m.set("split.no", static_cast<uint16_t>(index));
    m.set("split.count", uint16_t{2});
    m.set("split.tensors.count", int32_t{2});
    char name[40];
    std::snprintf(name, sizeof name, "m-%05d-of-00002.gguf", index + 1);
    base::AtomicFile file(folder_ / name, true);
    Writer writer(file, m, {{tensor, DType::f32, {1}}});
    writer.append(base::as_bytes("abcd"));
    writer.end_tensor();
    file.commit();
    return folder_ / name;
  };
  const auto first = part(0, "a");
  expect_error(ErrorKind::kIo, "m-00002-of-00002.gguf", [&] { read(first, {}); });
  const auto second = part(1, "b");
  const File whole = read(first, {});
  EXPECT_EQ(whole.tensors.size(), 2u);
  EXPECT_EQ(whole.paths.size(), 2u);
  EXPECT_FALSE(whole.metadata.has("split.count"));
  expect_error(ErrorKind::kUsage, "not the first part", [&] { read(second, {}); });
  part(1, "a");
  expect_error(ErrorKind::kMalformed, "twice", [&] { read(first, {}); });
}

TEST_F(Gguf, reads_files_of_llama_cpp) {
  const auto path = test::shared_data() / "lm/models/tale-5M-bf16.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path;
  const File file = read(path, {});
  EXPECT_EQ(*file.metadata.string("general.architecture"), "llama");
  EXPECT_EQ(file.metadata.strings("tokenizer.ggml.tokens")->size(), 4096u);
  EXPECT_EQ(file.tensors.size(), 39u);
  EXPECT_EQ(file.file_bytes, static_cast<int64_t>(std::filesystem::file_size(path)));
}

}  // namespace
}  // namespace nibble::io::gguf
