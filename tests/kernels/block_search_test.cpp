#include "kernels/block_search/block_search.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/small_float.h"
#include "codec/blocks.h"
#include "support/guarded_buffer.h"

namespace nibble::kernels {
namespace {

using codec::BlockFormat;
using codec::DType;

SearchBlocks search_of(const BlockSearch& search, DType dtype) {
#define NIBBLE_BLOCK(name, elements, bytes, number, what) \
  if (dtype == DType::name) return search.name;
#include "tensor/blocks.def"
#undef NIBBLE_BLOCK
  return nullptr;
}

const BlockSearch& generic() {
  const BlockSearches all = all_block_searches();
  return *all.first[all.count - 1];
}

std::vector<const BlockSearch*> available_searches() {
  std::vector<const BlockSearch*> searches;
  const BlockSearches all = all_block_searches();
  for (int i = 0; i < all.count; ++i)
    if (all.first[i]->available()) searches.push_back(all.first[i]);
  return searches;
}

enum class Kind { kNormal, kOutliers, kBfloat16, kFewValues, kPositive, kConstant, kZero, kTiny, kLarge, kOneValue };
constexpr Kind kKinds[] = {Kind::kNormal,   Kind::kOutliers, Kind::kBfloat16, Kind::kFewValues, Kind::kPositive,
                           Kind::kConstant, Kind::kZero,     Kind::kTiny,     Kind::kLarge,     Kind::kOneValue};

float value_of(Kind kind, base::Random& random, int64_t i, float largest) {
  const auto normal = static_cast<float>(random.normal());
  switch (kind) {
    case Kind::kNormal:
      return normal;
    case Kind::kOutliers:
      return random.below(50) == 0 ? 30.0f * normal : normal;
    case Kind::kBfloat16:
      return base::bf16_to_f32(base::f32_to_bf16(normal));
    case Kind::kFewValues:
      return std::round(2.0f * normal) / 4.0f;
    case Kind::kPositive:
      return 3.0f + normal * normal;
    case Kind::kConstant:
      return -1.5f;
    case Kind::kZero:
      return i % 2 ? 0.0f : -0.0f;
    case Kind::kTiny:
      return normal * (i / 64 % 2 ? 1e-7f : 1e-39f);
    case Kind::kLarge:
      return std::fmax(-1.0f, std::fmin(1.0f, normal)) * std::fmin(largest, 1e30f);
    case Kind::kOneValue:
      return i % 61 == 5 ? normal : 0.0f;
  }
  return 0.0f;
}

class EveryBlockSearch : public ::testing::TestWithParam<const BlockFormat*> {};

TEST_P(EveryBlockSearch, gives_the_same_bytes_on_every_instruction_set) {
  const BlockFormat& f = *GetParam();
  for (const Kind kind : kKinds)
    for (const int64_t blocks : {1, 15, 16, 17, 37})
      for (const bool weighted : {false, true}) {
        base::Random random(static_cast<uint64_t>(blocks), static_cast<uint64_t>(kind));
        const auto count = static_cast<size_t>(blocks * f.elements);
        test::GuardedBuffer<float> x(count), w(static_cast<size_t>(3 * f.elements));
        for (size_t i = 0; i < count; ++i) x[i] = value_of(kind, random, static_cast<int64_t>(i), f.largest);
        for (float& v : w.values()) v = static_cast<float>(std::exp(2.0 * random.normal()));
        const auto run = [&](const BlockSearch& search) {
          test::GuardedBuffer<uint8_t> bytes(static_cast<size_t>(blocks * f.bytes));
          search_of(search, f.dtype)(x.data(), weighted ? w.data() : nullptr, 3 * f.elements, 2, blocks, bytes.data());
          return std::vector<uint8_t>(bytes.data(), bytes.data() + bytes.size());
        };
        const auto expected = run(generic());
        for (const BlockSearch* search : available_searches())
          EXPECT_EQ(run(*search), expected) << f.name << " by " << search->name << ", kind " << static_cast<int>(kind)
                                            << ", " << blocks << " blocks" << (weighted ? ", weighted" : "");
        std::vector<float> back(count);
        f.decode(expected.data(), blocks, back.data());
        for (size_t i = 0; i < count; ++i)
          ASSERT_TRUE(std::isfinite(back[i])) << f.name << ", kind " << static_cast<int>(kind) << ", value " << i;
      }
}

TEST_P(EveryBlockSearch, does_not_care_which_blocks_stand_beside) {
  const BlockFormat& f = *GetParam();
  const int64_t blocks = 21, columns = 7 * f.elements;
  base::Random random(3);
  std::vector<float> x(static_cast<size_t>(blocks * f.elements)), w(static_cast<size_t>(columns));
  for (size_t i = 0; i < x.size(); ++i) x[i] = value_of(Kind::kOutliers, random, static_cast<int64_t>(i), f.largest);
  for (float& v : w) v = static_cast<float>(0.1 + random.uniform());
  std::vector<uint8_t> together(static_cast<size_t>(blocks * f.bytes)), alone(together.size());
  const SearchBlocks search = search_of(block_search(), f.dtype);
  search(x.data(), w.data(), columns, 0, blocks, together.data());
  for (int64_t b = 0; b < blocks; ++b)
    search(x.data() + b * f.elements, w.data(), columns, b, 1, alone.data() + b * f.bytes);
  EXPECT_EQ(together, alone);
}

INSTANTIATE_TEST_SUITE_P(Blocks, EveryBlockSearch,
                         ::testing::ValuesIn(codec::all_block_formats().begin(), codec::all_block_formats().end()),
                         [](const auto& each) { return std::string(each.param->name); });

}  // namespace
}  // namespace nibble::kernels
