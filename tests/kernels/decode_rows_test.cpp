// Every implementation against the codecs, bit for bit, and the product of a row against a sum in double.
#include "kernels/decode_rows/decode_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/random.h"
#include "codec/blocks.h"

namespace nibble::kernels {
namespace {

using tensor::DType;

TEST(DecodeRows, EveryImplementationGivesTheCodecsBits) {
  std::vector<DType> types = {DType::f16, DType::bf16};
  for (const codec::BlockFormat* format : codec::all_block_formats()) types.push_back(format->dtype);
  base::Random random(1);
  int compared = 0;
  for (const DType dtype : types) {
    const int64_t count = tensor::is_blocked(dtype) ? 3 * tensor::block_size(dtype).elements : 45;
    for (int round = 0; round < 50; ++round) {
      tensor::Tensor t(dtype, {count});
      for (std::byte& b : t.mutable_bytes()) b = static_cast<std::byte>(random.below(256));
      std::vector<float> expected(static_cast<size_t>(count)), found(expected.size(), 7.0f);
      codec::decode_range(t, 0, count, expected.data());
      for (const DecodeRows* kernel : all_decode_rows()) {
        if (!kernel->available()) continue;
        if (!kernel->decode(dtype, reinterpret_cast<const uint8_t*>(t.bytes().data()), count, found.data())) continue;
        ++compared;
        for (size_t i = 0; i < found.size(); ++i) {
          const bool both_nan = std::isnan(expected[i]) && std::isnan(found[i]);
          ASSERT_TRUE(both_nan || std::memcmp(&expected[i], &found[i], 4) == 0)
              << kernel->name << " " << tensor::name_of(dtype) << " value " << i << ": " << found[i] << ", "
              << expected[i] << " expected";
        }
      }
    }
  }
  const bool fast = all_decode_rows().front()->available() && all_decode_rows().size() > 1;
  EXPECT_GE(compared, fast ? 9 * 50 : 0);
}

TEST(DecodeRows, DotOfEveryLength) {
  base::Random random(2);
  for (const DecodeRows* kernel : all_decode_rows()) {
    if (!kernel->available()) continue;
    for (size_t n = 0; n < 140; ++n) {
      std::vector<float> a(n), b(n);
      double sum = 0, size = 0;
      for (size_t i = 0; i < n; ++i) {
        a[i] = static_cast<float>(random.normal());
        b[i] = static_cast<float>(random.normal());
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
        size += std::fabs(static_cast<double>(a[i]) * static_cast<double>(b[i]));
      }
      EXPECT_NEAR(kernel->dot(a.data(), b.data(), static_cast<int64_t>(n)), sum, 140 * 6e-8 * size)
          << kernel->name << " " << n;
    }
  }
}

}  // namespace
}  // namespace nibble::kernels
