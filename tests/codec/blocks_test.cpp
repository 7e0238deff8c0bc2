#include "codec/blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"

namespace nibble::codec {
namespace {

std::vector<uint8_t> from_hex(const std::string& text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

/// Values that f32 and f16 hold exactly, of many magnitudes and both signs.
std::vector<float> sample(int64_t count) {
  std::vector<float> x(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    x[static_cast<size_t>(i)] =
        static_cast<float>((37 * i + 11 * (i / 32)) % 64 - 32) / 16 * static_cast<float>(1 + i / 32 % 8) / 8;
  return x;
}

class EveryBlockFormat : public testing::TestWithParam<const BlockFormat*> {};

TEST_P(EveryBlockFormat, agrees_with_the_table_of_dtypes) {
  const BlockFormat& f = *GetParam();
  EXPECT_EQ(tensor::block_size(f.dtype).elements, f.elements);
  EXPECT_EQ(tensor::block_size(f.dtype).bytes, f.bytes);
  EXPECT_EQ(find_block_format(f.dtype), &f);
  EXPECT_EQ(find_block_format(f.name), &f);
  EXPECT_EQ(find_block_format(tensor::name_of(f.dtype)), &f) << "lower case names it too";
}

TEST_P(EveryBlockFormat, encodes_what_it_decodes_to_within_its_levels) {
  const BlockFormat& f = *GetParam();
  const int64_t blocks = 3;
  const auto x = sample(blocks * f.elements);
  std::vector<uint8_t> bytes(static_cast<size_t>(blocks * f.bytes));
  f.encode(x.data(), blocks, bytes.data());
  std::vector<float> back(x.size());
  f.decode(bytes.data(), blocks, back.data());
  double error = 0, signal = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    error += std::pow(double{x[i]} - double{back[i]}, 2);
    signal += std::pow(double{x[i]}, 2);
  }
  // 16 even levels over a uniform distribution leave 1/256 of its energy; codebooks and shared scales twice to three
  // times that.
  EXPECT_LT(error, signal / 60) << f.name;
}

TEST_P(EveryBlockFormat, decodes_each_block_alone) {
  const BlockFormat& f = *GetParam();
  const auto x = sample(2 * f.elements);
  std::vector<uint8_t> bytes(static_cast<size_t>(2 * f.bytes));
  f.encode(x.data(), 2, bytes.data());
  std::vector<float> both(x.size()), one(static_cast<size_t>(f.elements));
  f.decode(bytes.data(), 2, both.data());
  f.decode(bytes.data() + f.bytes, 1, one.data());
  EXPECT_EQ(0, std::memcmp(one.data(), both.data() + f.elements, one.size() * sizeof(float)));
}

TEST_P(EveryBlockFormat, zeros_stay_zeros) {
  const BlockFormat& f = *GetParam();
  std::vector<float> x(static_cast<size_t>(f.elements)), back(x.size(), 1.0f);
  std::vector<uint8_t> bytes(static_cast<size_t>(f.bytes), 0xff);
  f.encode(x.data(), 1, bytes.data());
  f.decode(bytes.data(), 1, back.data());
  for (float v : back) EXPECT_EQ(v, 0.0f) << f.name;
}

INSTANTIATE_TEST_SUITE_P(Blocks, EveryBlockFormat,
                         testing::ValuesIn(all_block_formats().begin(), all_block_formats().end()),
                         [](const auto& each) { return std::string(each.param->name); });

/// Bytes that ggml's reference encoders write for x_i = ((37 i + 11) mod 64 - 32) / 16.
TEST(BlockFormats, write_the_bytes_of_ggml) {
  std::vector<float> a(32);
  for (int i = 0; i < 32; ++i) a[static_cast<size_t>(i)] = static_cast<float>((37 * i + 11) % 64 - 32) / 16;
  const auto written = [&](const char* name) {
    const BlockFormat* f = find_block_format(name);
    std::vector<uint8_t> bytes(static_cast<size_t>(f->bytes));
    f->encode(a.data(), 1, bytes.data());
    return bytes;
  };
  EXPECT_EQ(written("Q4_0"), from_hex("0034730c953fc851ea841da63fd962fb842e"));
  EXPECT_EQ(written("Q8_0"), from_hex("0824ad40d467fc9124b94be073089d30c457ec8114a93cd063f88d20b547dc6f0499"));
}

TEST(BlockFormats, a_tensor_of_blocks_is_decoded_whole_and_in_parts) {
  const BlockFormat& f = *find_block_format("Q8_0");
  const auto x = sample(4 * 64);
  tensor::Tensor t(DType::q8_0, {4, 64}, true);
  f.encode(x.data(), 8, reinterpret_cast<uint8_t*>(t.mutable_bytes().data()));
  EXPECT_EQ(t.bytes().size(), 8u * 34u);
  std::vector<float> part(64);
  decode_range(t, 64, 64, part.data());
  for (size_t i = 0; i < 64; ++i) EXPECT_NEAR(part[i], x[64 + i], 2.0f / 127) << i;
  EXPECT_NO_THROW(require_finite_values(t, "t"));
  const uint16_t nan = 0x7e00;
  std::memcpy(t.mutable_bytes().data() + 34, &nan, 2);
  EXPECT_THROW(require_finite_values(t, "t"), base::Error);
}

}  // namespace
}  // namespace nibble::codec
