#include "io/onnx/tensor_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/small_float.h"
#include "io/onnx/dtypes.h"
#include "io/onnx/model_bytes.h"

namespace nibble {
namespace {

using base::ErrorKind;
using tensor::DType;
using namespace test;

tensor::Tensor read_tensor(const WireMessage& proto) {
  GraphBytes net = small_graph();
  net.initializers = {proto};
  net.nodes = {node_proto("Relu", {"x"}, {"y"})};
  const auto g = read_text(net.model());
  return g.value(g.find_value("t")).constant;
}

std::string varints(std::initializer_list<int64_t> values) {
  std::string out;
  for (const int64_t v : values) {
    auto u = static_cast<uint64_t>(v);
    for (; u >= 0x80; u >>= 7) out.push_back(static_cast<char>(u | 0x80));
    out.push_back(static_cast<char>(u));
  }
  return out;
}

/// A tensor whose data are in field `field`, packed.
WireMessage typed(int64_t type, const std::vector<int64_t>& dims, uint32_t field, const std::string& data) {
  WireMessage m;
  for (const int64_t d : dims) m.integer(1, d);
  m.integer(2, type);
  m.text(8, "t");
  m.text(field, data);
  return m;
}

TEST(OnnxTensor, ReadsEveryTypeFromRawData) {
  for (int number = 1; number < 40; ++number) {
    const auto* row = io::onnx::find_dtype(number);
    if (!row) continue;
    EXPECT_EQ(io::onnx::number_of(row->dtype), number);
    const auto size = static_cast<size_t>(tensor::packed_bytes(row->dtype, 6));
    const std::string data(size, '\1');
    const auto t = read_tensor(tensor_proto("t", number, {2, 3}, data));
    EXPECT_EQ(t.dtype(), row->dtype);
    EXPECT_EQ(t.shape(), (tensor::Shape{2, 3}));
    EXPECT_EQ(base::as_text(t.bytes()), data) << row->name;
  }
}

TEST(OnnxTensor, ReadsTypedData) {
  EXPECT_EQ(read_tensor(typed(1, {2}, 4, raw<float>({1.0f, 2.5f}))).values<float>()[1], 2.5f);
  EXPECT_EQ(read_tensor(typed(11, {1}, 10, raw<double>({2.5}))).values<double>()[0], 2.5);
  EXPECT_EQ(read_tensor(typed(6, {2}, 5, varints({-1, 7}))).values<int32_t>()[0], -1);
  EXPECT_EQ(read_tensor(typed(3, {2}, 5, varints({-128, 127}))).values<int8_t>()[0], -128);
  EXPECT_EQ(read_tensor(typed(2, {2}, 5, varints({0, 255}))).values<uint8_t>()[1], 255);
  EXPECT_EQ(read_tensor(typed(5, {1}, 5, varints({-32768}))).values<int16_t>()[0], -32768);
  EXPECT_EQ(read_tensor(typed(4, {1}, 5, varints({65535}))).values<uint16_t>()[0], 65535);
  EXPECT_EQ(read_tensor(typed(10, {1}, 5, varints({0x3C00}))).values<uint16_t>()[0], 0x3C00);
  EXPECT_EQ(read_tensor(typed(7, {2}, 7, varints({-5, INT64_MAX}))).values<int64_t>()[1], INT64_MAX);
  EXPECT_EQ(read_tensor(typed(12, {1}, 11, varints({4294967295}))).values<uint32_t>()[0], 4294967295u);
  EXPECT_EQ(read_tensor(typed(13, {1}, 11, varints({-1}))).values<uint64_t>()[0], UINT64_MAX);
  EXPECT_EQ(read_tensor(typed(9, {2}, 5, varints({0, 1}))).bytes()[1], std::byte{1});
}

TEST(OnnxTensor, TypedPackedTypesHoldAByteAnEntry) {
  const auto t = read_tensor(typed(22, {3}, 5, varints({0x2F, 0x08})));  // -1, 2, -8
  EXPECT_EQ(t.bytes()[0], std::byte{0x2F});
  EXPECT_EQ(t.bytes()[1], std::byte{0x08});
  NIBBLE_EXPECT_ERROR(read_tensor(typed(22, {3}, 5, varints({-1, 2, -8}))), ErrorKind::kMalformed, "needs 2");
  NIBBLE_EXPECT_ERROR(read_tensor(typed(22, {2}, 5, varints({256}))), ErrorKind::kMalformed, "holds 0 to 255");
  EXPECT_EQ(read_tensor(typed(25, {5}, 5, varints({0xE4, 3}))).bytes().size(), 2u);
}

TEST(OnnxTensor, ClearsBitsAfterTheLastElement) {
  EXPECT_EQ(read_tensor(tensor_proto("t", 22, {3}, "\x21\xf3")).bytes()[1], std::byte{0x03});
  EXPECT_EQ(read_tensor(tensor_proto("t", 25, {5}, "\xff\xff")).bytes()[1], std::byte{0x03});
  EXPECT_EQ(read_tensor(tensor_proto("t", 22, {4}, "\x21\xf3")).bytes()[1], std::byte{0xf3});
}

TEST(OnnxTensor, RefusesValuesThatTheTypeCannotHold) {
  NIBBLE_EXPECT_ERROR(read_tensor(typed(3, {1}, 5, varints({128}))), ErrorKind::kMalformed, "element 0 is 128");
  NIBBLE_EXPECT_ERROR(read_tensor(typed(2, {1}, 5, varints({-1}))), ErrorKind::kMalformed, "element 0 is -1");
  NIBBLE_EXPECT_ERROR(read_tensor(typed(10, {1}, 5, varints({65536}))), ErrorKind::kMalformed, "65536");
  NIBBLE_EXPECT_ERROR(read_tensor(typed(12, {1}, 11, varints({4294967296}))), ErrorKind::kMalformed, "4294967296");
  NIBBLE_EXPECT_ERROR(read_tensor(typed(9, {1}, 5, varints({2}))), ErrorKind::kMalformed, "element 0 is 2");
  NIBBLE_EXPECT_ERROR(read_tensor(tensor_proto("t", 9, {2}, "\x01\x02")), ErrorKind::kMalformed, "neither 0 nor 1");
}

TEST(OnnxTensor, RefusesDataInTheWrongPlace) {
  NIBBLE_EXPECT_ERROR(read_tensor(typed(1, {2}, 5, varints({1, 2}))), ErrorKind::kMalformed,
                      "does not belong to its type");
  NIBBLE_EXPECT_ERROR(read_tensor(typed(1, {3}, 4, raw<float>({1, 2}))), ErrorKind::kMalformed, "holds 2 values");
  NIBBLE_EXPECT_ERROR(read_tensor(typed(1, {2}, 4, "")), ErrorKind::kMalformed, "holds 0 values");
  WireMessage both = typed(1, {2}, 4, raw<float>({1, 2}));
  both.text(9, raw<float>({1, 2}));
  NIBBLE_EXPECT_ERROR(read_tensor(both), ErrorKind::kMalformed, "more than one place");
  WireMessage unknown = tensor_proto("t", 1, {1}, raw<float>({1}));
  unknown.integer(14, 7);
  NIBBLE_EXPECT_ERROR(read_tensor(unknown), ErrorKind::kMalformed, "data_location");
  WireMessage segment = tensor_proto("t", 1, {1}, raw<float>({1}));
  segment.message(3, WireMessage());
  NIBBLE_EXPECT_ERROR(read_tensor(segment), ErrorKind::kUnsupported, "tensor in segments x1");
}

TEST(OnnxTensor, LastRawDataWins) {
  WireMessage twice = tensor_proto("t", 1, {1}, raw<float>({1}));
  twice.text(9, raw<float>({2}));
  EXPECT_EQ(read_tensor(twice).values<float>()[0], 2.0f);
}

TEST(OnnxTensor, ReadsATensorFile) {
  const auto path =
      std::filesystem::path(::testing::TempDir()) / ("nibble_tensor_" + std::to_string(::getpid()) + ".pb");
  std::ofstream(path, std::ios::binary) << bytes_of(tensor_proto("any", 7, {2}, raw<int64_t>({1, -2})));
  EXPECT_EQ(io::onnx::read_tensor_file(path).values<int64_t>()[1], -2);
  std::ofstream(path, std::ios::binary) << bytes_of(tensor_proto("any", 8, {1}, ""));
  NIBBLE_EXPECT_ERROR(io::onnx::read_tensor_file(path), ErrorKind::kUnsupported, "STRING");
  std::filesystem::remove(path);
}

TEST(OnnxDtypes, NamesWhatItDoesNotHold) {
  EXPECT_EQ(io::onnx::find_dtype(8), nullptr);
  EXPECT_EQ(io::onnx::onnx_type_name(8), "STRING");
  EXPECT_EQ(io::onnx::onnx_type_name(22), "INT4");
  EXPECT_EQ(io::onnx::onnx_type_name(99), "type 99");
}

}  // namespace
}  // namespace nibble
