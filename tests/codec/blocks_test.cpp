#include "codec/blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "codec/blocks/k_scales.h"

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
  // 16 even levels over a uniform distribution leave 1/256 of its energy, the levels of E2M1 1/82; some of these values
  // are exact middles of two levels, where the error is twice the mean.
  EXPECT_LT(error, signal / 41) << f.name;
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

uint32_t crc32(const void* data, size_t size) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < size; ++i) {
    crc ^= static_cast<const uint8_t*>(data)[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

/// The values of make_blocks_vectors.py.
std::vector<float> values_of_kind(const std::string& kind, int count) {
  std::vector<float> x(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const double even = ((37 * i + 11) % 64 - 32) / 16.0;
    double v = even;
    if (kind == "positive") v = even + 3;
    if (kind == "tiny") v = even / 262144;
    if (kind == "large") v = even * 512;
    if (kind == "cubes") v = even * even * even / 4;
    if (kind == "one") v = 1.5;
    x[static_cast<size_t>(i)] = static_cast<float>(v);
  }
  return x;
}

/// blocks_vectors.txt holds what ggml's own code decodes and writes.
TEST(BlockFormats, read_and_write_the_bytes_of_ggml) {
  std::ifstream file(NIBBLE_SOURCE_DIR "/tests/codec/blocks_vectors.txt");
  ASSERT_TRUE(file);
  std::string line, verb, name, first, second;
  int decoded = 0, encoded = 0;
  while (std::getline(file, line)) {
    std::istringstream(line) >> verb >> name >> first >> second;
    SCOPED_TRACE(line);
    const BlockFormat* f = find_block_format(name);
    ASSERT_NE(f, nullptr);
    if (verb == "decode") {
      const auto bytes = from_hex(first);
      const auto blocks = static_cast<int64_t>(bytes.size()) / f->bytes;
      std::vector<float> values(static_cast<size_t>(blocks * f->elements));
      f->decode(bytes.data(), blocks, values.data());
      EXPECT_EQ(crc32(values.data(), values.size() * sizeof(float)), std::stoul(second, nullptr, 16));
      ++decoded;
    } else {
      const auto x = values_of_kind(first, f->elements);
      std::vector<uint8_t> bytes(static_cast<size_t>(f->bytes));
      f->encode(x.data(), 1, bytes.data());
      EXPECT_EQ(bytes, from_hex(second));
      ++encoded;
    }
  }
  EXPECT_EQ(decoded, static_cast<int>(all_block_formats().size()));
  EXPECT_EQ(encoded, 8 * 6);
}

/// All 64 scales and minima of every group survive their 12 bytes.
TEST(BlockFormats, packs_six_bit_scales) {
  for (int v = 0; v < 64; ++v)
    for (int g = 0; g < 8; ++g) {
      KScales s{};
      s.scale[g] = static_cast<uint8_t>(v);
      s.min[7 - g] = static_cast<uint8_t>(63 - v);
      uint8_t bytes[12];
      write_k_scales(bytes, s);
      const KScales back = read_k_scales(bytes);
      EXPECT_EQ(0, std::memcmp(&s, &back, sizeof s)) << v << " in group " << g;
    }
}

TEST(BlockFormats, subnormal_scales_and_their_infinite_inverses_are_no_trap) {
  for (const BlockFormat* f : all_block_formats())
    for (const float size : {1e-44f, 1e-40f, 1e-30f, 1e-20f}) {
      std::vector<float> x(static_cast<size_t>(f->elements)), back(x.size());
      for (size_t i = 0; i < x.size(); ++i) x[i] = size * static_cast<float>(i % 7);
      std::vector<uint8_t> bytes(static_cast<size_t>(f->bytes));
      f->encode(x.data(), 1, bytes.data());
      f->decode(bytes.data(), 1, back.data());
      for (float v : back) EXPECT_LT(std::fabs(v), 1e-6f) << f->name << " " << size;
    }
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
