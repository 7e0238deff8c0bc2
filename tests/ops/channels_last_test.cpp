// What a Session runs on channels-last activations, against the same node as the file writes it, and against sums
// written out here: windows that hang over every edge, numbers of channels around the kernels' widths, work that is cut
// into bands.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "ops/one_node.h"

namespace nibble {
namespace {

using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using test::Ints;
using test::list;
using test::run_node;
using Attributes = std::map<std::string, graph::Attribute>;

Tensor random_tensor(Shape shape, uint64_t seed) {
  base::Random random(seed);
  Tensor t(DType::f32, std::move(shape), true);
  for (float& v : t.mutable_values<float>()) v = static_cast<float>(random.normal());
  return t;
}

const Attributes kWindows[] = {
    {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}},
    {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}},
    {{"kernel_shape", Ints{3, 2}}, {"pads", Ints{2, 0, 1, 1}}},
    {{"kernel_shape", Ints{2, 3}}, {"dilations", Ints{3, 2}}, {"pads", Ints{2, 3, 3, 1}}},
    {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{3, 2}}, {"ceil_mode", int64_t{1}}},
    {{"kernel_shape", Ints{9, 11}}},
};

TEST(ChannelsLast, PoolingsAreThoseOfTheFile) {
  uint64_t seed = 1;
  for (const Attributes& window : kWindows)
    for (const int64_t channels : {1, 3, 8, 16, 33, 64, 130}) {
      const Tensor x = random_tensor({2, channels, 9, 11}, ++seed);
      EXPECT_EQ(list<float>(run_node("MaxPool", {x}, window, true)[0]),
                list<float>(run_node("MaxPool", {x}, window)[0]));
      for (const int64_t count_padding : {0, 1}) {
        Attributes average = window;
        average["count_include_pad"] = count_padding;
        const auto found = list<float>(run_node("AveragePool", {x}, average, true)[0]);
        const auto expected = list<float>(run_node("AveragePool", {x}, average)[0]);
        ASSERT_EQ(found.size(), expected.size());
        // Sums of at most 99 normal numbers in float, each at most 6 in size here.
        for (size_t i = 0; i < found.size(); ++i)
          EXPECT_NEAR(found[i], expected[i], 99 * 6 * 6e-8) << channels << " " << i;
      }
    }
}

TEST(ChannelsLast, GlobalMeansAreThoseOfTheFile) {
  for (const int64_t channels : {1, 7, 32, 65, 200})
    for (const auto& size : {Shape{1, 1}, Shape{5, 3}, Shape{40, 40}}) {
      const Tensor x = random_tensor({3, channels, size[0], size[1]}, static_cast<uint64_t>(channels));
      EXPECT_EQ(list<float>(run_node("GlobalAveragePool", {x}, {}, true)[0]),
                list<float>(run_node("GlobalAveragePool", {x})[0]));
    }
}

struct Convolution {
  int64_t in_channels, out_channels, kernel, stride, pad, groups;
};

TEST(ChannelsLast, ConvolutionsAreSumsWhateverTheBandsAndThreads) {
  for (const Convolution& k : {Convolution{16, 24, 1, 1, 0, 1},
                               {512, 64, 1, 1, 0, 1},
                               {64, 256, 1, 1, 1, 1},
                               {32, 32, 3, 1, 1, 1},
                               {64, 64, 3, 2, 1, 1},
                               {3, 16, 3, 1, 1, 1},
                               {96, 96, 3, 1, 1, 96},
                               {1, 8, 5, 1, 2, 1},
                               {64, 64, 1, 2, 0, 1}}) {
    const int64_t rows = 23, columns = 17;
    const Tensor x = random_tensor({1, k.in_channels, rows, columns}, 5);
    const int64_t inner = k.in_channels / k.groups;
    const Tensor w = random_tensor({k.out_channels, inner, k.kernel, k.kernel}, 6),
                 b = random_tensor({k.out_channels}, 7);
    const Attributes attributes{
        {"strides", Ints{k.stride, k.stride}}, {"pads", Ints{k.pad, k.pad, k.pad, k.pad}}, {"group", k.groups}};
    const Tensor y = run_node("Conv", {x, w, b}, attributes, true, true)[0];
    for (const int threads : {1, 3})
      EXPECT_EQ(list<float>(run_node("Conv", {x, w, b}, attributes, true, true, "", 1, threads)[0]), list<float>(y));
    const int64_t out_rows = y.shape()[2], out_columns = y.shape()[3];
    const auto in = x.values<float>(), weight = w.values<float>(), bias = b.values<float>(), out = y.values<float>();
    for (int64_t i = 0; i < y.elements(); i += 37) {
      const int64_t c = i % out_columns, r = i / out_columns % out_rows, o = i / out_columns / out_rows;
      double sum = static_cast<double>(bias[static_cast<size_t>(o)]), size = std::fabs(sum);
      for (int64_t k_in = 0; k_in < inner; ++k_in)
        for (int64_t dr = 0; dr < k.kernel; ++dr)
          for (int64_t dc = 0; dc < k.kernel; ++dc) {
            const int64_t from_r = r * k.stride + dr - k.pad, from_c = c * k.stride + dc - k.pad;
            if (from_r < 0 || from_r >= rows || from_c < 0 || from_c >= columns) continue;
            const int64_t channel = o / (k.out_channels / k.groups) * inner + k_in;
            const double product =
                static_cast<double>(in[static_cast<size_t>((channel * rows + from_r) * columns + from_c)]) *
                static_cast<double>(weight[static_cast<size_t>(((o * inner + k_in) * k.kernel + dr) * k.kernel + dc)]);
            sum += product;
            size += std::fabs(product);
          }
      const double terms = static_cast<double>(inner * k.kernel * k.kernel + 1);
      EXPECT_NEAR(static_cast<double>(out[static_cast<size_t>(i)]), sum, terms * 6e-8 * size)
          << k.in_channels << " to " << k.out_channels << " channels, kernel " << k.kernel << ", output " << i;
    }
  }
}

TEST(Transpose, EveryPermutationOfOddShapes) {
  for (const Shape& shape : {Shape{2, 3, 37, 19}, Shape{1, 40, 5, 33}, Shape{3, 17, 1, 20}, Shape{2, 130, 9, 2}}) {
    const Tensor x = test::counting(shape);
    std::vector<int64_t> perm{0, 1, 2, 3};
    do {
      const auto y = run_node("Transpose", {x}, {{"perm", perm}})[0];
      const auto found = y.values<float>();
      for (int64_t i = 0; i < y.elements(); ++i) {
        std::vector<int64_t> at(4);
        int64_t rest = i;
        for (size_t d = 4; d-- > 0; rest /= y.shape()[d]) at[static_cast<size_t>(perm[d])] = rest % y.shape()[d];
        const int64_t from = ((at[0] * shape[1] + at[1]) * shape[2] + at[2]) * shape[3] + at[3];
        ASSERT_EQ(found[static_cast<size_t>(i)], static_cast<float>(from)) << tensor::to_string(perm) << " " << i;
      }
    } while (std::next_permutation(perm.begin(), perm.end()));
  }
}

}  // namespace
}  // namespace nibble
