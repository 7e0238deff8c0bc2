// The named mixes: which tensor gets which type. Expected types were read off files that llama-quantize wrote.
#include <gtest/gtest.h>

#include <set>

#include "quant/language/mix.h"

namespace nibble::quant {
namespace {

using graph::Role;
using tensor::DType;

arch::Hyperparameters sizes(int64_t layers, int64_t heads = 32, int64_t kv_heads = 8) {
  arch::Hyperparameters h;
  h.layers = layers;
  h.heads = heads;
  h.kv_heads = kv_heads;
  h.embedding = 2048;
  h.head_size = 64;
  return h;
}

std::set<int> layers_of(const char* mix, Role role, DType type, const arch::Hyperparameters& h,
                        bool importance = false) {
  std::set<int> found;
  for (int i = 0; i < h.layers; ++i)
    if (type_in_mix(*find_mix(mix), role, i, h, importance) == type) found.insert(i);
  return found;
}

TEST(Mixes, NamesInAnyCaseAndTheirShortForms) {
  EXPECT_EQ(find_mix("q4_k_m")->name, "Q4_K_M");
  EXPECT_EQ(find_mix("Q4_K")->name, "Q4_K_M");
  EXPECT_EQ(find_mix("Q5_K")->name, "Q5_K_M");
  EXPECT_EQ(find_mix("Q4_K_L"), nullptr);
  EXPECT_EQ(find_mix(""), nullptr);
}

TEST(Mixes, Q4KMediumGivesHalfOfTheBlocksSixBits) {
  const std::set<int> of_16 = {0, 1, 4, 7, 10, 13, 14, 15}, of_24 = {0, 1, 2, 5, 8, 11, 14, 17, 20, 21, 22, 23};
  EXPECT_EQ(layers_of("Q4_K_M", Role::kDown, DType::q6_k, sizes(16)), of_16);
  EXPECT_EQ(layers_of("Q4_K_M", Role::kValue, DType::q6_k, sizes(24)), of_24);
  EXPECT_EQ(layers_of("Q4_K_M", Role::kQueryKeyValue, DType::q6_k, sizes(16)), of_16);
  for (const Role role : {Role::kQuery, Role::kKey, Role::kGate, Role::kUp, Role::kAttentionOutput})
    EXPECT_EQ(layers_of("Q4_K_M", role, DType::q4_k, sizes(16)).size(), 16u);
}

TEST(Mixes, Q4KSmall) {
  EXPECT_EQ(layers_of("Q4_K_S", Role::kValue, DType::q5_k, sizes(16)), (std::set<int>{0, 1, 2, 3}));
  EXPECT_EQ(layers_of("Q4_K_S", Role::kDown, DType::q5_k, sizes(16)), (std::set<int>{0, 1}));
}

TEST(Mixes, UnevenLevelsGetMoreBitsWhereHeadsAreShared) {
  EXPECT_EQ(layers_of("IQ4_XS", Role::kValue, DType::q5_k, sizes(16, 32, 8)).size(), 16u);
  EXPECT_EQ(layers_of("IQ4_XS", Role::kValue, DType::iq4_xs, sizes(16, 9, 3)).size(), 16u);
  EXPECT_EQ(layers_of("IQ4_NL", Role::kDown, DType::q5_k, sizes(16)), (std::set<int>{0, 1}));
  EXPECT_TRUE(layers_of("IQ4_NL", Role::kDown, DType::q5_k, sizes(16), true).empty());
}

TEST(Mixes, TheImportanceMatrixMovesSomeTypes) {
  EXPECT_TRUE(layers_of("Q4_0", Role::kDown, DType::q4_1, sizes(16)).empty());
  EXPECT_EQ(layers_of("Q4_0", Role::kDown, DType::q4_1, sizes(16), true), (std::set<int>{0, 1}));
  EXPECT_EQ(layers_of("Q5_0", Role::kDown, DType::q5_1, sizes(16), true), (std::set<int>{0, 1}));
}

TEST(Mixes, OutputAndEmbeddings) {
  arch::Hyperparameters h = sizes(16);
  for (const char* mix : {"Q4_0", "Q4_K_M", "IQ4_XS"}) {
    EXPECT_EQ(type_in_mix(*find_mix(mix), Role::kOutput, -1, h, false), DType::q6_k);
    EXPECT_EQ(type_in_mix(*find_mix(mix), Role::kEmbedding, -1, h, false), find_mix(mix)->base);
  }
  h.tied = true;
  EXPECT_EQ(type_in_mix(*find_mix("Q4_0"), Role::kEmbedding, -1, h, false), DType::q6_k);
  h.embedding = 576;  // no whole blocks of 256
  EXPECT_EQ(type_in_mix(*find_mix("Q4_K_M"), Role::kEmbedding, -1, h, false), DType::q8_0);
  EXPECT_EQ(type_in_mix(*find_mix("F16"), Role::kOutput, -1, h, false), DType::f16);
  EXPECT_EQ(type_in_mix(*find_mix("Q8_0"), Role::kOutput, -1, h, false), DType::q8_0);
}

TEST(Mixes, Fallbacks) {
  EXPECT_EQ(fallback_type(DType::q4_k, 896), DType::q5_0);
  EXPECT_EQ(fallback_type(DType::q5_k, 896), DType::q5_1);
  EXPECT_EQ(fallback_type(DType::q6_k, 896), DType::q8_0);
  EXPECT_EQ(fallback_type(DType::iq4_xs, 896), DType::iq4_nl);
  EXPECT_EQ(fallback_type(DType::q4_k, 172), DType::f16);
  EXPECT_EQ(fallback_type(DType::q4_0, 172), DType::f16);
}

}  // namespace
}  // namespace nibble::quant
