#include "io/onnx/wire.h"

#include <gtest/gtest.h>

#include "io/onnx/model_bytes.h"

namespace nibble {
namespace {

using base::ErrorKind;
using namespace test;

io::onnx::Stripped strip(const std::string& bytes, io::onnx::WireRoot root = io::onnx::WireRoot::kModel) {
  return io::onnx::strip_raw_data(base::as_bytes(bytes), root, {}, "net.onnx");
}

TEST(OnnxWire, TakesRawDataOutAndSaysWhereTheyAre) {
  GraphBytes net = small_graph();
  const std::string weights(1000, 'w'), inner(500, 'i');
  net.initializers.push_back(tensor_proto("big", 2, {1000}, weights));
  WireMessage t = attribute("value", 4);
  t.message(5, tensor_proto("", 2, {500}, inner));
  net.nodes.push_back(node_proto("Constant", {}, {"k"}, {t}));
  const std::string bytes = net.model();
  const auto stripped = strip(bytes);
  ASSERT_EQ(stripped.raw.size(), 3u);  // in the order of the file: the node's, then the initializers'
  EXPECT_EQ(base::as_text(stripped.raw[0]), inner);
  EXPECT_EQ(base::as_text(stripped.raw[2]), weights);
  EXPECT_EQ(reinterpret_cast<const char*>(stripped.raw[2].data()), bytes.data() + bytes.find(weights));
  EXPECT_EQ(stripped.message.find("www"), std::string::npos);
  EXPECT_EQ(stripped.message.find("iii"), std::string::npos);
  EXPECT_LT(stripped.message.size(), 1000u);
}

TEST(OnnxWire, DropsWhatNibbleDoesNotNeed) {
  WireMessage graph, model;
  graph.text(10, "documentation of the graph");
  model.message(7, std::move(graph));
  model.text(6, "documentation of the model");
  const auto stripped = strip(bytes_of(model));
  EXPECT_EQ(stripped.message.find("documentation"), std::string::npos);
  EXPECT_EQ(stripped.unknown_fields, 0);
}

TEST(OnnxWire, CountsUnknownFieldsAndFieldsOfAnotherWireType) {
  WireMessage model;
  model.integer(77, 1);  // no such field
  model.integer(7, 1);   // graph is a message
  EXPECT_EQ(strip(bytes_of(model)).unknown_fields, 2);
  EXPECT_EQ(strip(bytes_of(model)).message, "");
}

TEST(OnnxWire, RawDataFromTheFileCannotPoseAsTheNumberOfASpan) {
  // A raw_data that holds the number of another tensor's span is itself a span.
  const uint64_t zero = 0;
  const std::string forged(reinterpret_cast<const char*>(&zero), sizeof zero);
  const auto stripped = strip(bytes_of(tensor_proto("t", 7, {1}, forged)) + bytes_of(tensor_proto("t", 7, {1}, forged)),
                              io::onnx::WireRoot::kTensor);
  EXPECT_EQ(stripped.raw.size(), 2u);
}

TEST(OnnxWire, StringsAreLimited) {
  WireMessage model;
  model.text(2, std::string(100, 'p'));
  base::Limits limits;
  limits.string_bytes = 99;
  const std::string bytes = bytes_of(model);
  NIBBLE_EXPECT_ERROR(io::onnx::strip_raw_data(base::as_bytes(bytes), io::onnx::WireRoot::kModel, limits, "net.onnx"),
                      ErrorKind::kLimit, "string-bytes");
}

}  // namespace
}  // namespace nibble
