// Operators that read or write at computed places or make tensors from sizes: corners that the node tests of ONNX leave
// out, and what is refused.
#include <gtest/gtest.h>

#include "ops/one_node.h"

namespace nibble {
namespace {

using base::ErrorKind;
using graph::Attribute;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using test::counting;
using test::floats;
using test::integers;
using test::Ints;
using test::list;
using test::run_node;

struct Refusal {
  const char* op;
  std::vector<Tensor> inputs;
  std::map<std::string, Attribute> attributes;
  const char* says;
  ErrorKind kind = ErrorKind::kMalformed;
};

TEST(Places, Refusals) {
  const Tensor x = counting({3, 4}), none, truth = Tensor(DType::boolean, {3, 4});
  const Tensor matrix_of_3 = Tensor::of<int64_t>({1, 1}, std::vector<int64_t>{3});
  const std::vector<Refusal> all{
      {"Gather", {x, integers({3})}, {}, "index 3 is outside its axis of size 3"},
      {"Gather", {x, integers({-4})}, {}, "index -4"},
      {"Gather", {x, floats({1}, {0})}, {}, "must be 32- or 64-bit integers"},
      {"GatherElements", {x, matrix_of_3}, {}, "index 3"},
      {"GatherElements", {x, integers({0})}, {}, "differ in rank"},
      {"GatherElements", {x, Tensor(DType::i64, {1, 5})}, {}, "are larger than its data"},
      {"GatherND", {x, Tensor(DType::i64, {1, 3})}, {}, "name 3 dimensions"},
      {"GatherND", {x, Tensor(DType::i64, {1, 1})}, {{"batch_dims", int64_t{2}}}, "batch_dims is 2"},
      {"GatherND", {x, matrix_of_3}, {}, "index 3"},
      {"ScatterElements", {x, matrix_of_3, floats({1, 1}, {1})}, {}, "index 3"},
      {"ScatterElements", {x, matrix_of_3, floats({1, 2}, {1, 1})}, {}, "differ in shape"},
      {"ScatterElements", {x, matrix_of_3, Tensor(DType::f64, {1, 1})}, {}, "different element types"},
      {"ScatterND", {x, matrix_of_3, floats({1, 4}, {1, 1, 1, 1})}, {}, "index 3"},
      {"ScatterND", {x, matrix_of_3, floats({1, 3}, {1, 1, 1})}, {}, "[1,4] was expected"},
      {"ScatterND",
       {x, matrix_of_3, floats({1, 4}, {1, 1, 1, 1})},
       {{"reduction", std::string("sub")}},
       "reduction is \"sub\""},
      {"Expand", {x, integers({2, 4})}, {}, "cannot be broadcast"},
      {"Expand", {x, integers({-3, 4})}, {}, "a size of -3"},
      {"Tile", {x, integers({2})}, {}, "has 1 repeats for 2 dimensions"},
      {"Tile", {x, integers({int64_t{1} << 44, int64_t{1} << 44})}, {}, "too large"},
      {"Split", {x, integers({1, 1})}, {}, "1 outputs for 2 parts"},
      {"Split", {x, integers({2})}, {}, "add up to 2, the axis has 3"},
      {"DepthToSpace", {counting({1, 3, 2, 2})}, {{"blocksize", int64_t{2}}}, "does not divide its channels"},
      {"DepthToSpace", {counting({1, 4, 2, 2})}, {{"blocksize", int64_t{0}}}, "blocksize is 0"},
      {"SpaceToDepth", {counting({1, 1, 3, 2})}, {{"blocksize", int64_t{2}}}, "does not divide its input"},
      {"ConstantOfShape", {integers({-1})}, {}, "a size of -1"},
      {"ConstantOfShape", {integers({1})}, {{"value", floats({2}, {1, 2})}}, "single number"},
      {"Range", {Tensor::scalar(0.0f), Tensor::scalar(1.0f), Tensor::scalar(0.0f)}, {}, "delta is 0"},
      {"Range",
       {Tensor::scalar(0.0f), Tensor::scalar(1.0f), Tensor::scalar(1e-30f)},
       {},
       "too large",
       ErrorKind::kLimit},
      {"Range",
       {Tensor::scalar(0.0f), Tensor::scalar(1.0f), Tensor::scalar<int64_t>(1)},
       {},
       "different element types"},
      {"EyeLike", {counting({2})}, {}, "a matrix was expected"},
      {"OneHot", {x, Tensor::scalar<int64_t>(-1), floats({2}, {0, 1})}, {}, "depth is out of range"},
      {"OneHot", {x, Tensor::scalar<int64_t>(3), floats({3}, {0, 1, 2})}, {}, "must be two numbers"},
      {"Trilu", {counting({2})}, {}, "matrices were expected"},
      {"CumSum", {x, Tensor::scalar<int64_t>(2)}, {}, "axis 2 is outside"},
      {"TopK", {x, integers({5})}, {}, "asks for 5 of 4"},
      {"TopK", {x, integers({-1})}, {}, "asks for -1"},
      {"ReduceSum", {x, integers({2})}, {}, "axis 2 is outside"},
      {"ReduceSum", {x, floats({1}, {0})}, {}, "axes must be integers"},
      {"ArgMax", {Tensor(DType::f32, {0, 2})}, {}, "axis is empty"},
      {"Where", {x, x, x}, {}, "must be truth values"},
      {"Where", {truth, x, Tensor(DType::f64, {3, 4})}, {}, "different element types"},
      {"Not", {x}, {}, "must be truth values"},
      {"And", {x, x}, {}, "must be truth values"},
      {"Equal", {x, Tensor(DType::f64, {3, 4})}, {}, "different element types"},
      {"Mod", {integers({1}), integers({0})}, {}, "by zero"},
      {"BitShift", {integers({1}), integers({1})}, {}, "direction is \"\""},
      {"PRelu", {floats({2}, {1, 2}), counting({3, 2})}, {}, "more dimensions"},
      {"Gelu", {x}, {{"approximate", std::string("best")}}, "approximate is \"best\""},
      {"InstanceNormalization",
       {counting({1, 2, 3}), floats({1}, {1}), floats({2}, {1, 1})},
       {},
       "one value a channel"},
      {"GroupNormalization",
       {counting({1, 3, 2}), floats({3}, {1, 1, 1}), floats({3}, {1, 1, 1})},
       {{"num_groups", int64_t{2}}},
       "does not divide"},
      {"GroupNormalization",
       {counting({1, 3, 2}), floats({3}, {1, 1, 1}), floats({3}, {1, 1, 1})},
       {},
       "num_groups is 0"},
      {"LayerNormalization", {x, floats({3}, {1, 1, 1})}, {}, "cannot be broadcast"},
      {"LayerNormalization", {x, counting({2, 3, 4})}, {}, "does not fit rows"},
      {"Softmax", {x}, {{"axis", int64_t{2}}}, "axis 2 is outside"},
      {"Erf", {integers({1})}, {}, "type i64, which is not supported", ErrorKind::kUnsupported},
  };
  for (const Refusal& r : all) {
    SCOPED_TRACE(std::string(r.op) + ": " + r.says);
    for (const bool constants : {false, true})
      test::expect_refusal(r.kind, r.says, [&] { run_node(r.op, r.inputs, r.attributes, constants, constants); });
  }
}

TEST(Gather, EveryTypeAndAxis) {
  for (const int64_t type : {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16}) {
    const Tensor x = run_node("Cast", {counting({2, 3, 2})}, {{"to", type}})[0];
    for (const int64_t axis : {0, 1, 2, -1, -3}) {
      const Tensor index = Tensor::of<int32_t>({1, 2}, std::vector<int32_t>{1, -1});
      const auto y = run_node("Gather", {x, index}, {{"axis", axis}})[0];
      Shape shape{2, 3, 2};
      const auto d = static_cast<size_t>(axis < 0 ? axis + 3 : axis);
      shape[d] = 2;
      shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(d), 1);
      EXPECT_EQ(y.shape(), shape);
      const auto got = list<float>(run_node("Cast", {y}, {{"to", int64_t{1}}})[0]);
      const auto all = list<float>(run_node("Cast", {x}, {{"to", int64_t{1}}})[0]);
      std::vector<float> wanted;
      const int64_t sizes[] = {2, 3, 2};
      for (int64_t i = 0; i < 2; ++i)
        for (int64_t j = 0; j < 3; ++j)
          for (int64_t k = 0; k < 2; ++k) {
            int64_t at[] = {i, j, k};
            if (at[d] > 1) continue;  // two indices along the axis
            at[d] = at[d] == 0 ? 1 : sizes[d] - 1;
            wanted.push_back(all[static_cast<size_t>((at[0] * 3 + at[1]) * 2 + at[2])]);
          }
      EXPECT_EQ(got, wanted) << "type " << type << ", axis " << axis;
    }
  }
}

TEST(Reduce, EverySetOfAxesAgainstPlainLoops) {
  const Tensor x = counting({2, 3, 4, 5});
  for (int mask = 1; mask < 16; ++mask) {
    Ints axes;
    for (int d = 0; d < 4; ++d)
      if (mask >> d & 1) axes.push_back(d);
    std::map<int64_t, float> sums;
    const int64_t sizes[] = {2, 3, 4, 5};
    for (int64_t i = 0; i < 120; ++i) {
      int64_t rest = i, key = 0, step = 1;
      for (int d = 3; d >= 0; rest /= sizes[d], --d)
        if (!(mask >> d & 1)) key += rest % sizes[d] * step, step *= sizes[d];
      sums[key] += static_cast<float>(i);
    }
    std::vector<float> wanted;
    for (const auto& [key, sum] : sums) wanted.push_back(sum);
    EXPECT_EQ(list<float>(run_node("ReduceSum", {x, integers(axes)}, {{"keepdims", int64_t{0}}})[0]), wanted) << mask;
  }
}

TEST(Reduce, SumsAreKeptInDouble) {
  // 2^24 + 1 + 1 in float32 loses both ones.
  EXPECT_EQ(list<float>(run_node("ReduceSum", {floats({3}, {16777216, 1, 1})})[0]), std::vector<float>{16777218});
}

TEST(Integers, WrapAndDoNotTrap) {
  const Tensor lowest = integers({INT64_MIN}), minus = integers({-1});
  EXPECT_EQ(list<int64_t>(run_node("Mod", {lowest, minus})[0]), std::vector<int64_t>{0});
  uint64_t power = 1;
  for (int i = 0; i < 41; ++i) power *= 3;
  EXPECT_EQ(list<int64_t>(run_node("Pow", {integers({3}), integers({41})})[0])[0], static_cast<int64_t>(power));
  EXPECT_EQ(list<int64_t>(run_node("ReduceL1", {lowest})[0]), std::vector<int64_t>{INT64_MIN});
  EXPECT_EQ(
      list<int64_t>(run_node("BitShift", {integers({1}), integers({64})}, {{"direction", std::string("LEFT")}})[0]),
      std::vector<int64_t>{0});
}

}  // namespace
}  // namespace nibble
