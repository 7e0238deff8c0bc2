// Every implementation against sums and comparisons written out here, bit for bit, at every odd number of channels;
// nothing is read or written past the last channel.
#include "kernels/pool_rows/pool_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "base/random.h"
#include "support/guarded_buffer.h"

namespace nibble::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<const PoolRows*> available_kernels() {
  std::vector<const PoolRows*> kernels;
  for (const PoolRows* kernel : all_pool_rows())
    if (kernel->available()) kernels.push_back(kernel);
  return kernels;
}

class EveryPoolRows : public ::testing::TestWithParam<const PoolRows*> {
 protected:
  /// `count` rows of `channels` numbers, each ending where no memory follows.
  void make_rows(int64_t count, int64_t channels) {
    base::Random random(static_cast<uint64_t>(count * 1000 + channels));
    rows_.clear();
    pointers_.clear();
    for (int64_t r = 0; r < count; ++r) {
      rows_.push_back(std::make_unique<test::GuardedBuffer<float>>(static_cast<size_t>(channels)));
      for (int64_t k = 0; k < channels; ++k)
        rows_.back()->data()[k] = static_cast<float>(random.normal()) * (random.below(4) ? 1.0f : 1e6f);
      pointers_.push_back(rows_.back()->data());
    }
  }
  static void expect_bits(float found, float expected, int64_t channel) {
    ASSERT_EQ(std::memcmp(&found, &expected, sizeof found), 0)
        << GetParam()->name << " channel " << channel << ": " << found << ", " << expected << " expected";
  }

  std::vector<std::unique_ptr<test::GuardedBuffer<float>>> rows_;
  std::vector<const float*> pointers_;
};

TEST_P(EveryPoolRows, TheLargestAndTheMeanOfEveryShape) {
  for (const int64_t count : {1, 2, 4, 9, 25})
    for (int64_t channels = 1; channels <= 150; ++channels) {
      make_rows(count, channels);
      test::GuardedBuffer<float> largest(static_cast<size_t>(channels)), mean(static_cast<size_t>(channels));
      GetParam()->max(pointers_.data(), count, channels, largest.data());
      GetParam()->mean(pointers_.data(), count, channels, 7.0f, mean.data());
      for (int64_t k = 0; k < channels; ++k) {
        float top = -kInfinity, sum = 0;
        for (const float* row : pointers_) {
          top = std::max(top, row[k]);
          sum += row[k];
        }
        expect_bits(largest.data()[k], top, k);
        expect_bits(mean.data()[k], sum / 7.0f, k);
      }
    }
}

TEST_P(EveryPoolRows, TheMeanInDouble) {
  for (const int64_t count : {1, 3, 50})
    for (int64_t channels = 1; channels <= 100; ++channels) {
      const int64_t stride = channels + 5;
      const int64_t size = (count - 1) * stride + channels;
      make_rows(1, size);
      const float* x = pointers_[0];
      test::GuardedBuffer<float> mean(static_cast<size_t>(channels));
      GetParam()->mean_in_double(x, count, stride, channels, mean.data());
      for (int64_t k = 0; k < channels; ++k) {
        double sum = 0;
        for (int64_t r = 0; r < count; ++r) sum += static_cast<double>(x[r * stride + k]);
        expect_bits(mean.data()[k], static_cast<float>(sum / static_cast<double>(count)), k);
      }
    }
}

TEST_P(EveryPoolRows, NothingIsTheLargestOfNoRowsAndNaNGivesWay) {
  constexpr int64_t kChannels = 21;
  std::vector<float> y(kChannels, 1.0f);
  GetParam()->max(nullptr, 0, kChannels, y.data());
  for (const float v : y) EXPECT_EQ(v, -kInfinity);
  const std::vector<float> nan(kChannels, std::numeric_limits<float>::quiet_NaN()), two(kChannels, 2.0f);
  for (const auto& order : {std::vector{nan.data(), two.data()}, std::vector{two.data(), nan.data()}}) {
    GetParam()->max(order.data(), 2, kChannels, y.data());
    for (const float v : y) EXPECT_EQ(v, 2.0f);
  }
}

INSTANTIATE_TEST_SUITE_P(PoolRows, EveryPoolRows, ::testing::ValuesIn(available_kernels()),
                         [](const auto& tested) { return std::string(tested.param->name); });

}  // namespace
}  // namespace nibble::kernels
