#include "kernels/depthwise_u8s8/depthwise_u8s8.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/random.h"
#include "support/guarded_buffer.h"

namespace nibble::kernels {
namespace {

std::vector<const DepthwiseU8S8*> available_kernels() {
  std::vector<const DepthwiseU8S8*> kernels;
  for (const DepthwiseU8S8* kernel : all_depthwise_u8s8())
    if (kernel->available()) kernels.push_back(kernel);
  return kernels;
}

class EveryDepthwise : public ::testing::TestWithParam<const DepthwiseU8S8*> {
 protected:
  template <typename A, typename B>
  void check(int64_t taps, int64_t stride, int64_t pixels, int64_t channels, A&& a_of, B&& b_of) {
    base::Random random(static_cast<uint64_t>(taps * 10007 + pixels * 101 + channels));
    // A guarded row of pixels for each tap: nothing past the last channel of the last pixel may be read.
    const int64_t row = ((pixels - 1) * stride + 1) * channels;
    std::vector<std::unique_ptr<test::GuardedBuffer<uint8_t>>> rows;
    std::vector<const uint8_t*> pointers;
    for (int64_t t = 0; t < taps; ++t) {
      rows.push_back(std::make_unique<test::GuardedBuffer<uint8_t>>(static_cast<size_t>(row)));
      for (auto& v : rows.back()->values()) v = a_of(random.next());
      pointers.push_back(rows.back()->data());
    }
    test::GuardedBuffer<int8_t> w(static_cast<size_t>(taps * channels));
    for (auto& v : w.values()) v = b_of(random.next());
    test::GuardedBuffer<int32_t> c(static_cast<size_t>(pixels * channels));
    GetParam()->multiply(pointers.data(), taps, stride * channels, pixels, w.data(), channels, c.data());
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t ch = 0; ch < channels; ++ch) {
        int64_t want = 0;
        for (int64_t t = 0; t < taps; ++t)
          want += int64_t{pointers[static_cast<size_t>(t)][p * stride * channels + ch]} *
                  w[static_cast<size_t>(t * channels + ch)];
        ASSERT_EQ(c[static_cast<size_t>(p * channels + ch)], want) << taps << " taps, " << channels << " channels";
      }
  }
};

std::string name_of(const ::testing::TestParamInfo<const DepthwiseU8S8*>& row) { return row.param->name; }
INSTANTIATE_TEST_SUITE_P(Available, EveryDepthwise, ::testing::ValuesIn(available_kernels()), name_of);

TEST_P(EveryDepthwise, EqualsThePlainSumAtOddSizes) {
  for (const int64_t taps : {1, 2, 9, 25})
    for (const int64_t stride : {1, 2})
      for (const int64_t pixels : {1, 3, 8})
        for (const int64_t channels : {1, 7, 8, 15, 16, 17, 32, 50})
          check(
              taps, stride, pixels, channels, [](uint64_t r) { return static_cast<uint8_t>(r); },
              [](uint64_t r) { return static_cast<int8_t>(r >> 11); });
}

TEST_P(EveryDepthwise, SaturatesNowhereAtTheExtremes) {
  for (const int b : {-128, -8, 7, 127})
    for (const int a : {0, 128, 255})
      check(
          9, 1, 2, 33, [a](uint64_t) { return static_cast<uint8_t>(a); },
          [b](uint64_t) { return static_cast<int8_t>(b); });
}

TEST_P(EveryDepthwise, NoTapsGiveZeros) {
  check(
      0, 1, 3, 20, [](uint64_t) { return uint8_t{1}; }, [](uint64_t) { return int8_t{1}; });
}

TEST(DepthwiseDispatch, ChoosesTheFirstAvailableAndEndsWithThePlainOne) {
  EXPECT_STREQ(all_depthwise_u8s8().back()->name, "generic");
  EXPECT_EQ(&depthwise_u8s8(), available_kernels().front());
}

}  // namespace
}  // namespace nibble::kernels
