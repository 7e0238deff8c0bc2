// Resize: what every mode must do whatever its formula, and what is refused. The node tests of ONNX check the formulas.
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

using Attributes = std::map<std::string, Attribute>;

Attributes modes(const std::string& mode, const std::string& coordinates, int64_t antialias = 0, int64_t exclude = 0) {
  return {{"mode", mode},
          {"coordinate_transformation_mode", coordinates},
          {"antialias", antialias},
          {"exclude_outside", exclude}};
}
const std::vector<std::string> kCoordinates{"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                            "asymmetric"};

TEST(Resize, AConstantImageStaysConstant) {
  const Tensor x = floats({1, 1, 3, 5}, std::vector<float>(15, 2.0f));
  for (const std::string mode : {"nearest", "linear", "cubic"})
    for (const std::string& coordinates : kCoordinates)
      for (const int64_t antialias : {0, 1})
        for (const Ints& sizes : {Ints{1, 1, 7, 2}, Ints{1, 1, 1, 11}, Ints{1, 1, 2, 4}}) {
          const auto y =
              list<float>(run_node("Resize", {x, {}, {}, integers(sizes)}, modes(mode, coordinates, antialias))[0]);
          for (const float v : y) EXPECT_NEAR(v, 2.0f, 2e-6) << mode << " " << coordinates;
        }
}

TEST(Resize, TheSameSizeIsTheSameImage) {
  const Tensor x = test::GraphBuilder::random_tensor("x", {2, 3, 4, 5});
  for (const std::string mode : {"nearest", "linear", "cubic"})
    for (const std::string& coordinates : kCoordinates)
      EXPECT_EQ(list<float>(run_node("Resize", {x, {}, floats({4}, {1, 1, 1, 1})}, modes(mode, coordinates))[0]),
                list<float>(x));
}

TEST(Resize, ARampStaysARamp) {
  // Away from the edges, linear and cubic interpolation reproduce a linear function.
  for (const std::string mode : {"linear", "cubic"}) {
    auto attributes = modes(mode, "asymmetric");
    attributes["cubic_coeff_a"] = -0.5f;  // Keys' choice, exact for quadratics
    const auto y = list<float>(run_node("Resize", {counting({8}), {}, floats({1}, {2})}, attributes)[0]);
    ASSERT_EQ(y.size(), 16u);
    for (size_t i = 2; i < 12; ++i) EXPECT_FLOAT_EQ(y[i], static_cast<float>(i) / 2) << mode;
  }
}

TEST(Resize, NearestCopiesEveryType) {
  for (const DType dtype : {DType::u8, DType::f16, DType::i32, DType::i64, DType::f64}) {
    const auto x = run_node("Cast", {counting({1, 3})},
                            {{"to", int64_t{dtype == DType::u8    ? 2
                                            : dtype == DType::f16 ? 10
                                            : dtype == DType::i32 ? 6
                                            : dtype == DType::i64 ? 7
                                                                  : 11}}})[0];
    const auto y = run_node("Resize", {x, {}, {}, integers({2, 6})}, modes("nearest", "asymmetric"))[0];
    EXPECT_EQ(list<float>(run_node("Cast", {y}, {{"to", int64_t{1}}})[0]),
              (std::vector<float>{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2}));
  }
}

TEST(Resize, NoIntermediateIsLargerThanInputOrOutput) {
  // 2^20 x 1 -> 1 x 2^20: a pass over the growing axis first would need 2^40 elements.
  const int64_t large = int64_t{1} << 20;
  for (const std::string mode : {"linear", "nearest"})
    EXPECT_EQ(
        run_node("Resize", {Tensor(DType::f32, {large, 1}), {}, {}, integers({1, large})}, modes(mode, "half_pixel"))[0]
            .shape(),
        (Shape{1, large}));
}

TEST(Resize, ThreadsDoNotChangeABit) {
  const Tensor x = test::GraphBuilder::random_tensor("x", {1, 8, 60, 61});
  const auto run = [&](int threads) {
    return list<float>(run_node("Resize", {x, {}, floats({4}, {1, 1, 2.3f, 1.7f})}, modes("cubic", "half_pixel"), false,
                                false, "", 1, threads)[0]);
  };
  EXPECT_EQ(run(1), run(3));
}

TEST(Resize, Refusals) {
  const Tensor x = counting({1, 1, 2, 2});
  const auto refuse = [&](const char* says, std::vector<Tensor> inputs, Attributes attributes = {},
                          ErrorKind kind = ErrorKind::kMalformed) {
    test::expect_refusal(kind, says, [&] { run_node("Resize", inputs, attributes); });
  };
  refuse("either scales or sizes", {x});
  refuse("either scales or sizes", {x, {}, floats({4}, {1, 1, 1, 1}), integers({1, 1, 2, 2})});
  refuse("has 2 scales or sizes for 4 axes", {x, {}, floats({2}, {2, 2})});
  refuse("a scale of", {x, {}, floats({4}, {1, 1, 0, 1})});
  refuse("a scale of", {x, {}, floats({4}, {1, 1, -1, 1})});
  refuse("a size of -2", {x, {}, {}, integers({1, 1, -2, 2})});
  refuse("too large", {x, {}, {}, integers({1, 1, int64_t{1} << 44, int64_t{1} << 44})}, {}, ErrorKind::kLimit);
  refuse("axis 4", {x, {}, {}, integers({2})}, {{"axes", Ints{4}}});
  refuse("mode is \"area\"", {x, {}, {}, integers({1, 1, 3, 3})}, {{"mode", std::string("area")}});
  refuse("coordinate_transformation_mode is", {x, {}, {}, integers({1, 1, 3, 3})},
         {{"coordinate_transformation_mode", std::string("other")}});
  refuse("nearest_mode is", {x, {}, {}, integers({1, 1, 3, 3})}, {{"nearest_mode", std::string("up")}});
  refuse("keep_aspect_ratio_policy is", {x, {}, {}, integers({1, 1, 3, 3})},
         {{"keep_aspect_ratio_policy", std::string("fit")}});
  refuse("its roi has 2 values", {x, floats({2}, {0, 1}), {}, integers({1, 1, 3, 3})});
  refuse("is empty", {Tensor(DType::f32, {1, 1, 0, 2}), {}, {}, integers({1, 1, 3, 3})});
}

}  // namespace
}  // namespace nibble
