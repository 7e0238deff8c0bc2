#include "io/hf/safetensors.h"

#include <gtest/gtest.h>

#include <fstream>

#include "data/expected_files.h"
#include "io/hf/folder.h"

namespace nibble::io::hf {
namespace {

using base::ErrorKind;
using test::expect_error;

std::string file_of(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header + data;
}

std::vector<NamedTensor> read(const std::string& bytes) {
  const auto owner = std::make_shared<std::string>(bytes);
  return read_safetensors(base::as_bytes(*owner), owner, "x.safetensors", {});
}

constexpr const char* kTwo = R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},)"
                             R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})";

TEST(Safetensors, reads_tensors_in_the_order_of_their_bytes) {
  const auto tensors = read(file_of(kTwo, std::string("\0\0\x80\x3f\0\0\0\x40\0\x3c\0\x40", 12)));
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[0].tensor.shape(), (tensor::Shape{1, 2}));
  EXPECT_EQ(tensors[0].tensor.values<float>()[1], 2.0f);
  EXPECT_EQ(tensors[1].tensor.dtype(), tensor::DType::f16);
  EXPECT_EQ(tensors[1].tensor.values<uint16_t>()[0], 0x3c00);
}

TEST(Safetensors, refuses_every_truncation_and_what_follows_the_end) {
  const std::string whole = file_of(kTwo, std::string(12, 'x'));
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_THROW(read(whole.substr(0, size)), base::Error) << size;
  expect_error(ErrorKind::kMalformed, "incomplete", [&] { read(whole.substr(0, whole.size() - 1)); });
  expect_error(ErrorKind::kMalformed, "1 bytes after", [&] { read(whole + "x"); });
}

TEST(Safetensors, refuses_headers_that_lie) {
  const auto one = [](const std::string& tensor) { return file_of("{\"a\":" + tensor + "}", std::string(8, 'x')); };
  const auto refused = [&](ErrorKind kind, const std::string& part, const std::string& tensor) {
    expect_error(kind, part, [&] { read(one(tensor)); });
  };
  EXPECT_NO_THROW(read(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})")));
  refused(ErrorKind::kMalformed, "needs 12 bytes", R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})");
  refused(ErrorKind::kMalformed, "begins at byte 4", R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})");
  refused(ErrorKind::kMalformed, "data_offsets", R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})");
  refused(ErrorKind::kMalformed, "data_offsets", R"({"dtype":"F32","shape":[2]})");
  refused(ErrorKind::kUnsupported, "\"F4\"", R"({"dtype":"F4","shape":[2],"data_offsets":[0,8]})");
  refused(ErrorKind::kMalformed, "", R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})");
  refused(ErrorKind::kMalformed, "", R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})");
  expect_error(ErrorKind::kMalformed, "is it a safetensors file", [] { read("PK\3\4xxxxxxxxxxxxxxxx"); });
  expect_error(ErrorKind::kMalformed, "does not begin with {", [] { read(file_of(" {}", "")); });
  const std::string overlap =
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})";
  expect_error(ErrorKind::kMalformed, "the tensor before it ends at 8",
               [&] { read(file_of(overlap, std::string(8, 'x'))); });
}

class HfFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / "nibble_hf_test";
    std::filesystem::create_directories(folder_);
    put("config.json", "{}");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void put(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }
  static std::string tensor(const std::string& name) {
    return file_of("{\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x");
  }
  std::filesystem::path folder_;
};

TEST_F(HfFolder, reads_one_file_or_the_parts_of_an_index) {
  put("model.safetensors", tensor("w"));
  EXPECT_EQ(read_folder(folder_, {}).tensors.size(), 1u);
  put("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  put("1.safetensors", tensor("a"));
  expect_error(ErrorKind::kIo, "incomplete", [&] { read_folder(folder_, {}); });
  put("2.safetensors", tensor("b"));
  const Folder folder = read_folder(folder_, {});
  ASSERT_EQ(folder.tensors.size(), 2u);
  EXPECT_EQ(folder.tensors[1].name, "b");
  EXPECT_EQ(folder.weight_files.size(), 2u);
}

TEST_F(HfFolder, refuses_indexes_that_lie) {
  put("1.safetensors", tensor("a"));
  const auto refused = [&](const std::string& part, const std::string& map) {
    put("model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
    expect_error(ErrorKind::kMalformed, part, [&] { read_folder(folder_, {}); });
  };
  refused("own folder", R"("a":"../1.safetensors")");
  refused("own folder", R"("a":"/etc/passwd")");
  refused("own folder", R"("a":"1.bin")");
  refused("does not have it", R"("a":"1.safetensors","b":"1.safetensors")");
  refused("does not say", R"("b":"1.safetensors")");
  put("model.safetensors.index.json", "{}");
  expect_error(ErrorKind::kMalformed, "weight_map", [&] { read_folder(folder_, {}); });
}

TEST_F(HfFolder, never_opens_pickle_files) {
  put("pytorch_model.bin", "x");
  expect_error(ErrorKind::kUnsupported, "pickle", [&] { read_folder(folder_, {}); });
  std::filesystem::remove(folder_ / "pytorch_model.bin");
  expect_error(ErrorKind::kUsage, "no model.safetensors", [&] { read_folder(folder_, {}); });
  std::filesystem::remove(folder_ / "config.json");
  expect_error(ErrorKind::kUsage, "no config.json", [&] { read_folder(folder_, {}); });
}

}  // namespace
}  // namespace nibble::io::hf
