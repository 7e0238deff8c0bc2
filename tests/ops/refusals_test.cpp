// What operators refuse: each an Error of the right kind that names the node.
#include <gtest/gtest.h>

#include "ops/one_node.h"

namespace nibble {
namespace {

using base::ErrorKind;
using graph::Attribute;
using tensor::DType;
using tensor::Tensor;
using test::counting;
using test::floats;
using test::integers;
using test::Ints;
using test::run_node;

struct Refusal {
  const char* what;
  const char* op;
  std::vector<Tensor> inputs;
  std::map<std::string, Attribute> attributes;
  const char* says;
  ErrorKind kind = ErrorKind::kMalformed;
  std::string domain = "";
};

const Tensor kImage = counting({1, 2, 4, 4});
const Tensor kWeight = counting({3, 2, 3, 3});

std::vector<Refusal> refusals() {
  const Tensor none;
  const Tensor bytes = Tensor::of<uint8_t>({4}, std::vector<uint8_t>{1, 2, 3, 4});
  const auto nbits = [](int64_t k, int64_t n, int64_t block) {
    return std::map<std::string, Attribute>{{"K", k}, {"N", n}, {"bits", int64_t{4}}, {"block_size", block}};
  };
  const Tensor codes = Tensor(DType::u8, {2, 1, 8}), scales = floats({2}, {1, 1});
  return {
      // Counts of inputs and outputs.
      {"too few inputs", "Add", {kImage}, {}, "has 1 inputs"},
      {"too many inputs", "Relu", {kImage, kImage}, {}, "has 2 inputs"},
      {"an omitted input that is needed", "Add", {kImage, none}, {}, "input 1 is missing"},
      // Attributes.
      {"an attribute of the wrong type", "LeakyRelu", {kImage}, {{"alpha", std::string("steep")}}, "wrong type"},
      {"a list of the wrong length",
       "Conv",
       {kImage, kWeight},
       {{"strides", Ints{1}}},
       "strides has 1 values, 2 were expected"},
      {"a stride of 0", "Conv", {kImage, kWeight}, {{"strides", Ints{0, 1}}}, "out of range"},
      {"a negative pad", "Conv", {kImage, kWeight}, {{"pads", Ints{-1, 0, 0, 0}}}, "out of range"},
      {"a huge pad", "Conv", {kImage, kWeight}, {{"pads", Ints{int64_t{1} << 40, 0, 0, 0}}}, "out of range"},
      {"a dilation of 0", "Conv", {kImage, kWeight}, {{"dilations", Ints{0, 1}}}, "out of range"},
      {"a kernel that is not the weight's",
       "Conv",
       {kImage, kWeight},
       {{"kernel_shape", Ints{2, 3}}},
       "kernel_shape differs"},
      {"an unknown auto_pad", "Conv", {kImage, kWeight}, {{"auto_pad", std::string("SAME")}}, "auto_pad is \"SAME\""},
      {"group 0", "Conv", {kImage, kWeight}, {{"group", int64_t{0}}}, "group is 0"},
      {"a group that does not divide", "Conv", {kImage, kWeight}, {{"group", int64_t{2}}}, "group does not divide"},
      {"other channels", "Conv", {kImage, counting({3, 1, 3, 3})}, {}, "expects another number"},
      {"another rank", "Conv", {kImage, counting({3, 2, 3})}, {}, "differ in rank"},
      {"a matrix as image", "Conv", {counting({2, 4}), counting({3, 2})}, {}, "at least 3 dimensions"},
      {"an empty weight", "Conv", {kImage, Tensor(DType::f32, {0, 2, 3, 3})}, {}, "is empty"},
      {"an empty image", "Conv", {Tensor(DType::f32, {1, 2, 0, 4}), kWeight}, {{"pads", Ints{2, 2, 2, 2}}}, "is empty"},
      {"a window larger than the input",
       "Conv",
       {kImage, kWeight},
       {{"dilations", Ints{2, 2}}},
       "larger than the padded input"},
      {"a bias of another length", "Conv", {kImage, kWeight, floats({2}, {1, 2})}, {}, "bias has shape [2]"},
      {"a bias of another type", "Conv", {kImage, kWeight, bytes}, {}, "different element types"},
      {"weights of another type", "Conv", {kImage, Tensor(DType::f64, {3, 2, 3, 3})}, {}, "different element types"},
      {"a type without a convolution",
       "Conv",
       {Tensor(DType::f64, {1, 2, 4, 4}), Tensor(DType::f64, {3, 2, 3, 3})},
       {},
       "32-bit floats",
       ErrorKind::kUnsupported},
      // Pooling.
      {"no kernel", "MaxPool", {kImage}, {}, "kernel_shape is missing"},
      {"a window larger than the input",
       "AveragePool",
       {kImage},
       {{"kernel_shape", Ints{5, 1}}},
       "larger than the padded input"},
      {"pads beyond the window",
       "AveragePool",
       {kImage},
       {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{2, 0, 0, 0}}},
       "padding 2 is not smaller"},
      {"pads beyond the window, at the end",
       "MaxPool",
       {kImage},
       {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{0, 0, 0, 3}}},
       "padding 3 is not smaller"},
      {"an empty input",
       "MaxPool",
       {Tensor(DType::f32, {1, 1, 0, 2})},
       {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}},
       "no positions"},
      {"an empty input", "GlobalAveragePool", {Tensor(DType::f32, {1, 1, 0, 2})}, {}, "no positions"},
      {"a vector", "GlobalAveragePool", {counting({3})}, {}, "at least 3 dimensions"},
      // Arithmetic.
      {"shapes that clash", "Add", {counting({2, 3}), counting({2, 4})}, {}, "cannot be broadcast"},
      {"types that clash", "Mul", {kImage, bytes}, {}, "different element types"},
      {"integer division by zero",
       "Div",
       {bytes, Tensor::of<uint8_t>({4}, std::vector<uint8_t>{1, 0, 1, 1})},
       {},
       "divides an integer by zero"},
      {"signed division by zero", "Div", {integers({1}), integers({0})}, {}, "divides an integer by zero"},
      {"truth values",
       "Add",
       {Tensor(DType::boolean, {2}), Tensor(DType::boolean, {2})},
       {},
       "not supported",
       ErrorKind::kUnsupported},
      {"limits of several numbers", "Clip", {kImage, floats({2}, {0, 1})}, {}, "single numbers"},
      {"no limit at all", "Clip", {kImage, Tensor(DType::f32, {0})}, {}, "single numbers"},
      {"limits of another type", "Clip", {kImage, integers({1})}, {}, "another type"},
      // Products.
      {"inner sizes that differ", "MatMul", {counting({2, 3}), counting({2, 3})}, {}, "cannot be multiplied"},
      {"a scalar", "MatMul", {counting({}), counting({2, 3})}, {}, "a scalar"},
      {"leading sizes that clash", "MatMul", {counting({2, 2, 3}), counting({3, 3, 2})}, {}, "cannot be broadcast"},
      {"inner sizes that differ", "Gemm", {counting({2, 3}), counting({2, 3})}, {}, "cannot be multiplied"},
      {"not matrices", "Gemm", {counting({2, 3, 1}), counting({3, 2})}, {}, "must be matrices"},
      {"an addend that does not fit", "Gemm", {counting({2, 3}), counting({3, 2}), counting({3, 2})}, {}, ""},
      {"an addend of higher rank",
       "Gemm",
       {counting({2, 3}), counting({3, 2}), counting({1, 2, 2})},
       {},
       "does not broadcast"},
      {"an addend of another type",
       "Gemm",
       {counting({2, 3}), counting({3, 2}), integers({1, 2})},
       {},
       "another element type"},
      {"K of 0",
       "MatMulNBits",
       {counting({1, 16}), codes, scales},
       nbits(0, 2, 16),
       "K or N is out of range",
       ErrorKind::kMalformed,
       "com.microsoft"},
      {"K times N beyond everything",
       "MatMulNBits",
       {counting({1, 16}), codes, scales},
       nbits(INT32_MAX, INT32_MAX, 16),
       "out of range",
       ErrorKind::kMalformed,
       "com.microsoft"},
      {"a block that is no power of two",
       "MatMulNBits",
       {counting({1, 16}), codes, scales},
       nbits(16, 2, 24),
       "block_size is 24",
       ErrorKind::kMalformed,
       "com.microsoft"},
      {"codes that do not fit",
       "MatMulNBits",
       {counting({1, 32}), codes, scales},
       nbits(32, 2, 16),
       "does not hold",
       ErrorKind::kMalformed,
       "com.microsoft"},
      {"scales that do not fit",
       "MatMulNBits",
       {counting({1, 16}), codes, floats({1}, {1})},
       nbits(16, 2, 16),
       "scales do not fit",
       ErrorKind::kMalformed,
       "com.microsoft"},
      {"zero points that do not fit",
       "MatMulNBits",
       {counting({1, 16}), codes, scales, bytes},
       nbits(16, 2, 16),
       "zero points do not fit",
       ErrorKind::kMalformed,
       "com.microsoft"},
      {"an input that does not end in K",
       "MatMulNBits",
       {counting({1, 15}), codes, scales},
       nbits(16, 2, 16),
       "does not end in K",
       ErrorKind::kMalformed,
       "com.microsoft"},
      {"a bias of another type",
       "MatMulNBits",
       {counting({1, 16}), codes, scales, none, none, Tensor(DType::u8, {2})},
       nbits(16, 2, 16),
       "different element types",
       ErrorKind::kMalformed,
       "com.microsoft"},
      {"a group index",
       "MatMulNBits",
       {counting({1, 16}), codes, scales, none, integers({0})},
       nbits(16, 2, 16),
       "group index",
       ErrorKind::kUnsupported,
       "com.microsoft"},
      // Quantization.
      {"a scale of 0", "QuantizeLinear", {kImage, floats({}, {0})}, {}, "a scale is 0"},
      {"a scale that is NaN", "QuantizeLinear", {kImage, floats({}, {NAN})}, {}, "a scale is"},
      {"scales for another axis", "QuantizeLinear", {kImage, floats({3}, {1, 1, 1})}, {}, "for each of the 2 places"},
      {"an axis outside", "QuantizeLinear", {kImage, floats({2}, {1, 1})}, {{"axis", int64_t{4}}}, "axis 4 is outside"},
      {"zero points of another shape",
       "DequantizeLinear",
       {bytes, floats({}, {1}), Tensor(DType::u8, {2})},
       {},
       "differ in shape"},
      {"a zero point of another type",
       "DequantizeLinear",
       {bytes, floats({}, {1}), Tensor(DType::i8, {})},
       {},
       "different types"},
      {"a negative block",
       "DequantizeLinear",
       {bytes, floats({2}, {1, 1})},
       {{"block_size", int64_t{-2}}, {"axis", int64_t{0}}},
       "block_size is -2"},
      {"blocks that do not fit",
       "DequantizeLinear",
       {bytes, floats({3}, {1, 1, 1})},
       {{"block_size", int64_t{2}}, {"axis", int64_t{0}}},
       "in blocks of 2"},
      {"the largest block",
       "DequantizeLinear",
       {bytes, floats({2}, {1, 1})},
       {{"block_size", INT64_MAX}, {"axis", int64_t{0}}},
       "in blocks of"},
      {"a type that does not exist",
       "Cast",
       {bytes},
       {{"to", int64_t{99}}},
       "element type 99",
       ErrorKind::kUnsupported},
      // Shapes.
      {"a shape with other elements", "Reshape", {kImage, integers({3, 5})}, {}, "cannot bring 32 elements"},
      {"an open size that does not divide", "Reshape", {kImage, integers({-1, 5})}, {}, "cannot bring 32 elements"},
      {"two open sizes", "Reshape", {kImage, integers({-1, -1})}, {}, "more than one dimension open"},
      {"a negative size", "Reshape", {kImage, integers({-2, 16})}, {}, "dimension of -2"},
      {"a size kept that is not there", "Reshape", {counting({4}), integers({4, 0})}, {}, "keeps dimension 1"},
      {"sizes beyond 64 bits", "Reshape", {kImage, integers({INT64_MAX, INT64_MAX})}, {}, "too large"},
      {"a shape of floats", "Reshape", {kImage, floats({1}, {32})}, {}, "64-bit integers"},
      {"an axis outside", "Flatten", {kImage}, {{"axis", int64_t{5}}}, "out of range"},
      {"a dimension that is not 1", "Squeeze", {kImage, integers({1})}, {}, "of size 2"},
      {"an axis named twice", "Unsqueeze", {kImage, integers({0, -6})}, {}, "named twice"},
      {"an axis outside", "Unsqueeze", {kImage, integers({7})}, {}, "is outside"},
      {"no permutation", "Transpose", {kImage}, {{"perm", Ints{0, 1, 1, 2}}}, "is not a permutation"},
      {"no axis", "Concat", {kImage, kImage}, {}, "axis is missing"},
      {"other ranks", "Concat", {kImage, counting({4})}, {{"axis", int64_t{0}}}, "differ in rank"},
      {"other sizes", "Concat", {kImage, counting({1, 3, 4, 5})}, {{"axis", int64_t{1}}}, "differ outside axis 1"},
      {"other types",
       "Concat",
       {kImage, Tensor(DType::u8, {1, 2, 4, 4})},
       {{"axis", int64_t{1}}},
       "different element types"},
      {"lists of other lengths", "Slice", {kImage, integers({0, 0}), integers({1})}, {}, "differ in length"},
      {"a step of 0", "Slice", {kImage, integers({0}), integers({1}), integers({0}), integers({0})}, {}, "a step is 0"},
      {"an axis outside", "Slice", {kImage, integers({0}), integers({1}), integers({4})}, {}, "axis 4 is outside"},
      {"positions that are floats", "Slice", {kImage, floats({1}, {0}), integers({1})}, {}, "integers"},
      {"pads of another length", "Pad", {kImage, integers({1, 1})}, {}, "8 were expected"},
      {"pads that take away too much", "Pad", {counting({3}), integers({-2, -2})}, {}, "takes away more"},
      {"pads beyond everything", "Pad", {counting({3}), integers({INT64_MAX, 0})}, {}, "out of range"},
      {"pads that are floats", "Pad", {counting({3}), floats({2}, {1, 1})}, {}, "integers"},
      {"an empty dimension to reflect",
       "Pad",
       {Tensor(DType::f32, {0}), integers({1, 1})},
       {{"mode", std::string("reflect")}},
       "empty dimension"},
      {"an unknown mode",
       "Pad",
       {counting({3}), integers({1, 1})},
       {{"mode", std::string("mirror")}},
       "mode is \"mirror\""},
      {"a constant of another type", "Pad", {counting({3}), integers({1, 1}), bytes}, {}, "another type"},
      {"an index outside",
       "Gather",
       {kImage, integers({2})},
       {{"axis", int64_t{1}}},
       "index 2 is outside its axis of size 2"},
      {"a negative index outside", "Gather", {kImage, integers({-3})}, {{"axis", int64_t{1}}}, "index -3 is outside"},
      {"an axis outside", "Gather", {kImage, integers({0})}, {{"axis", int64_t{-5}}}, "axis -5 is outside"},
      {"indices that are floats", "Gather", {kImage, floats({1}, {0})}, {}, "must be 32- or 64-bit integers"},
      // Normalization.
      {"parameters of another length",
       "BatchNormalization",
       {kImage, floats({3}, {1, 1, 1}), scales, scales, scales},
       {},
       "one value a channel"},
      {"training",
       "BatchNormalization",
       {kImage, scales, scales, scales, scales},
       {{"training_mode", int64_t{1}}},
       "trained networks",
       ErrorKind::kUnsupported},
      {"an axis outside", "Softmax", {kImage}, {{"axis", int64_t{4}}}, "axis 4 is outside"},
      {"training",
       "Dropout",
       {kImage, none, Tensor::of<bool>({}, std::array{true})},
       {},
       "trained networks",
       ErrorKind::kUnsupported},
      {"a training_mode of floats", "Dropout", {kImage, none, floats({}, {1})}, {}, "truth value"},
  };
}

TEST(OperatorRefusals, EachNamesTheNodeWithTheInputsComputed) {
  for (const Refusal& r : refusals()) {
    SCOPED_TRACE(std::string(r.op) + ": " + r.what);
    test::expect_refusal(r.kind, r.says, [&] { run_node(r.op, r.inputs, r.attributes, false, false, r.domain); });
  }
}

TEST(OperatorRefusals, EachNamesTheNodeInTheSessionsOwnFormToo) {
  for (const Refusal& r : refusals()) {
    SCOPED_TRACE(std::string(r.op) + ": " + r.what);
    test::expect_refusal(r.kind, r.says, [&] { run_node(r.op, r.inputs, r.attributes, true, true, r.domain); });
  }
}

TEST(OperatorRefusals, OutputsThatTheOperatorDoesNotHave) {
  test::expect_refusal(ErrorKind::kMalformed, "more outputs",
                       [] { run_node("Relu", {kImage}, {}, false, false, "", 2); });
}

TEST(OperatorRefusals, PaddingThatWouldNeedAnAbsurdCopy) {
  // The output is 2 x 2, but a copy of the padded input would have 2^40 elements.
  const int64_t far = int64_t{1} << 20;
  test::expect_refusal(ErrorKind::kUnsupported, "far beyond", [&] {
    run_node("Conv", {counting({1, 1, 1, 1}), counting({1, 1, 1, 1})},
             {{"pads", Ints{far, far, far, far}}, {"strides", Ints{2 * far, 2 * far}}}, true, true);
  });
}

TEST(OperatorRefusals, ShapesWhoseElementsCannotBeCounted) {
  const int64_t large = int64_t{1} << 40;
  const auto kind_of = [](graph::Graph g) {
    try {
      runtime::infer_shapes(g);
    } catch (const base::Error& e) {
      return e.kind();
    }
    return ErrorKind::kInternal;
  };
  test::GraphBuilder input;
  const auto x = input.input("x", {large, large});
  EXPECT_EQ(kind_of(input.finish({input.node("Relu", {x}, "y")})), ErrorKind::kLimit);
  test::GraphBuilder product;  // each input can be counted, their product's result cannot
  const auto a = product.input("a", {large, 1}), b = product.input("b", {1, large});
  EXPECT_EQ(kind_of(product.finish({product.node("MatMul", {a, b}, "y")})), ErrorKind::kLimit);
  test::GraphBuilder empty;  // nothing to count, but sizes that would overflow on the way
  const auto e = empty.input("e", {large, 0}), f = empty.input("f", {large, large / 2, 0});
  EXPECT_EQ(kind_of(empty.finish({empty.node("Relu", {e}, "y"), empty.node("Relu", {f}, "z")})), ErrorKind::kLimit);
}

TEST(OperatorRefusals, AHugePoolingWindowTakesNoLongerThanItsInput) {
  const int64_t side = int64_t{1} << 29;
  const std::map<std::string, Attribute> window{{"kernel_shape", Ints{side, side}},
                                                {"pads", Ints{side - 1, side - 1, side - 1, side - 1}},
                                                {"strides", Ints{side, side}}};
  for (const bool optimize : {false, true})
    EXPECT_EQ(test::list<float>(run_node("MaxPool", {floats({1, 1, 1, 1}, {-3})}, window, optimize)[0]),
              std::vector<float>{-3});
}

}  // namespace
}  // namespace nibble
