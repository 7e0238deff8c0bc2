#include "kernels/gemm_u8s8/gemm_u8s8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/random.h"
#include "support/guarded_buffer.h"

namespace nibble::kernels {
namespace {

/// A matrix whose last byte is followed by a page that may not be touched.
template <typename T>
struct Guarded {
  Guarded(int64_t rows, int64_t columns, int64_t stride)
      : buffer(static_cast<size_t>(rows > 0 ? (rows - 1) * stride + columns : 0)) {}
  test::GuardedBuffer<T> buffer;
};

class EveryKernel : public ::testing::TestWithParam<const GemmU8S8*> {
 protected:
  /// Fills A and B by `a` and `b` (of a random number) and compares with the plain sum.
  template <typename A, typename B>
  void check(int64_t m, int64_t n, int64_t k, int64_t spare, A&& a_of, B&& b_of) {
    const GemmU8S8& kernel = *GetParam();
    const int64_t lda = k + spare, ldc = n + spare;
    base::Random random(static_cast<uint64_t>(m * 1000003 + n * 1009 + k));
    Guarded<uint8_t> a(m, k, lda);
    Guarded<int8_t> b(n, k, k);
    Guarded<int32_t> c(m, n, ldc);
    for (auto& v : a.buffer.values()) v = a_of(random.next());
    for (auto& v : b.buffer.values()) v = b_of(random.next());
    std::fill(c.buffer.values().begin(), c.buffer.values().end(), kUntouched);

    // Aligned to 64 at the front; what is left over at the end must stay as it is.
    const auto bytes = static_cast<size_t>(kernel.packed_bytes(n, k)), room = (bytes + 63) / 64 * 64;
    test::GuardedBuffer<int8_t> packed(room);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(packed.data()) % 64, 0u);
    std::fill(packed.values().begin(), packed.values().end(), int8_t{0x5A});
    kernel.pack(b.buffer.data(), n, k, packed.data());
    for (size_t i = bytes; i < room; ++i) ASSERT_EQ(packed[i], 0x5A);
    kernel.multiply(a.buffer.data(), lda, m, packed.data(), n, k, c.buffer.data(), ldc);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < ldc; ++j) {
        if (j >= n) {
          if (i + 1 < m) {
            ASSERT_EQ(c.buffer[static_cast<size_t>(i * ldc + j)], kUntouched) << "written past a row of C";
          }
          continue;
        }
        int64_t want = 0;
        for (int64_t x = 0; x < k; ++x)
          want += int64_t{a.buffer[static_cast<size_t>(i * lda + x)]} * b.buffer[static_cast<size_t>(j * k + x)];
        ASSERT_EQ(c.buffer[static_cast<size_t>(i * ldc + j)], want)
            << m << " x " << n << " x " << k << " at " << i << ", " << j;
      }
    }
  }
  static constexpr int32_t kUntouched = 0x5A5A5A5A;
};

std::vector<const GemmU8S8*> available_kernels() {
  std::vector<const GemmU8S8*> kernels;
  for (const GemmU8S8* kernel : all_gemm_u8s8())
    if (kernel->available()) kernels.push_back(kernel);
  return kernels;
}
std::string name_of(const ::testing::TestParamInfo<const GemmU8S8*>& row) { return row.param->name; }
INSTANTIATE_TEST_SUITE_P(Available, EveryKernel, ::testing::ValuesIn(available_kernels()), name_of);

TEST_P(EveryKernel, EqualsThePlainSumAtOddSizes) {
  for (const int64_t m : {1, 2, 5, 6, 7, 13})
    for (const int64_t n : {1, 3, 8, 15, 16, 17, 33, 50})
      for (const int64_t k : {1, 2, 3, 4, 5, 31, 64, 67})
        for (const int64_t spare : {0, 5})
          check(
              m, n, k, spare, [](uint64_t r) { return static_cast<uint8_t>(r); },
              [](uint64_t r) { return static_cast<int8_t>(static_cast<int>(r % 16) - 8); });
}

TEST_P(EveryKernel, EqualsThePlainSumForEightBitWeights) {
  for (const int64_t m : {1, 4, 7})
    for (const int64_t n : {1, 8, 19})
      for (const int64_t k : {1, 30, 129})
        check(
            m, n, k, 3, [](uint64_t r) { return static_cast<uint8_t>(r); },
            [](uint64_t r) { return static_cast<int8_t>(r >> 20); });
}

TEST_P(EveryKernel, SaturatesNowhereAtTheExtremes) {
  for (const int b : {-128, -127, -65, -64, -15, -8, 15, 64, 65, 127})
    for (const int a : {0, 127, 128, 255})
      check(
          7, 18, 66, 0, [a](uint64_t) { return static_cast<uint8_t>(a); },
          [b](uint64_t) { return static_cast<int8_t>(b); });
  // Signs that alternate by position, so that pairs of equal sign occur everywhere in a quad.
  check(
      6, 32, 64, 0, [](uint64_t) { return uint8_t{255}; },
      [](uint64_t r) { return static_cast<int8_t>(r & 1 ? 127 : -128); });
}

TEST_P(EveryKernel, IsExactOverLongSums) {
  check(
      3, 5, 65793, 0, [](uint64_t) { return uint8_t{255}; }, [](uint64_t) { return int8_t{-128}; });
  check(
      2, 17, 20000, 0, [](uint64_t r) { return static_cast<uint8_t>(r); },
      [](uint64_t r) { return static_cast<int8_t>(r >> 9); });
}

TEST_P(EveryKernel, ManyRowsCrossItsBlocksOfRows) {
  check(
      301, 20, 2000, 0, [](uint64_t r) { return static_cast<uint8_t>(r); },
      [](uint64_t r) { return static_cast<int8_t>(static_cast<int>(r % 16) - 8); });
}

TEST_P(EveryKernel, NothingIsDoneWhereThereIsNothing) {
  check(
      0, 5, 3, 0, [](uint64_t) { return uint8_t{1}; }, [](uint64_t) { return int8_t{1}; });
  check(
      3, 0, 3, 0, [](uint64_t) { return uint8_t{1}; }, [](uint64_t) { return int8_t{1}; });
  check(
      3, 5, 0, 0, [](uint64_t) { return uint8_t{1}; }, [](uint64_t) { return int8_t{1}; });
}

TEST(RowSums, AddUpEachRow) {
  const int8_t b[] = {1, -2, 3, -128, -128, 127};
  const uint8_t a[] = {1, 2, 3, 99, 255, 255, 0, 99};
  int32_t sums[2];
  row_sums_s8(b, 2, 3, sums);
  EXPECT_EQ(sums[0], 2);
  EXPECT_EQ(sums[1], -129);
  row_sums_u8(a, 4, 2, 3, sums);
  EXPECT_EQ(sums[0], 6);
  EXPECT_EQ(sums[1], 510);
}

TEST(Dispatch, ChoosesTheFirstAvailableAndEndsWithThePlainOne) {
  std::set<std::string_view> names;
  for (const GemmU8S8* kernel : all_gemm_u8s8()) EXPECT_TRUE(names.insert(kernel->name).second) << kernel->name;
  EXPECT_STREQ(all_gemm_u8s8().back()->name, "generic");
  EXPECT_TRUE(all_gemm_u8s8().back()->available());
  EXPECT_EQ(&gemm_u8s8(), available_kernels().front());
}

}  // namespace
}  // namespace nibble::kernels
