#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>

#include "base/error.h"
#include "base/random.h"
#include "base/small_float.h"
#include "codec/format.h"
#include "support/compare.h"

namespace nibble::codec {
namespace {

using tensor::Quantization;
using tensor::Shape;

enum class Scope { kTensor, kAxis, kBlock };

struct Case {
  std::string_view format;
  DType scale;
  Shape shape, code_shape;
  Scope scope;
  int64_t axis, block;
  bool zero, offset;
};

Tensor random_tensor(const Case& c, uint64_t seed) {
  const NumberFormat& f = *find_format(c.format);
  base::Random random(seed);
  auto q = std::make_shared<Quantization>();
  q->format = &f;
  q->code_shape = c.code_shape;
  q->axis = c.axis;
  Shape params;
  if (c.scope == Scope::kAxis) params = {c.code_shape[static_cast<size_t>(c.axis)]};
  if (c.scope == Scope::kBlock) {
    q->block = c.block;
    params = c.code_shape;
    auto& along = params[static_cast<size_t>(c.axis)];
    along = (along + c.block - 1) / c.block;
  }
  q->scale = Tensor(c.scale, params);
  for (int64_t i = 0; i < q->scale.elements(); ++i) {
    const float s = static_cast<float>(0.01 + random.uniform());
    const auto at = static_cast<size_t>(i);
    if (c.scale == DType::f32)
      q->scale.mutable_values<float>()[at] = s;
    else if (c.scale == DType::f16)
      q->scale.mutable_values<uint16_t>()[at] = base::f32_to_f16(s);
    else if (c.scale == DType::f8e8m0)
      q->scale.mutable_values<uint8_t>()[at] = base::f32_to_e8m0(s);
    else
      q->scale.mutable_values<uint8_t>()[at] = base::f32_to_e4m3(s);
  }
  const auto random_codes = [&](int64_t count) {
    std::vector<int8_t> codes(static_cast<size_t>(count));
    for (int8_t& code : codes)
      code = static_cast<int8_t>(f.lowest_code + static_cast<int>(random.below(f.levels.size())));
    return codes;
  };
  if (c.zero) q->zero = pack(f.code, params, random_codes(q->scale.elements()));
  if (c.offset) {
    q->offset = Tensor(DType::f32, params);
    for (float& v : q->offset.mutable_values<float>()) v = static_cast<float>(random.normal());
  }
  if (f.tensor_scale) q->tensor_scale = 0.125f;
  const Tensor codes = pack(f.code, c.shape, random_codes(tensor::element_count(c.shape)));
  return codes.with_quantization(q);
}

/// Element by element, each from its own coordinates: slow, and no code in common with what is tested.
std::vector<float> plainly(const Tensor& t) {
  const Quantization& q = *t.quantization();
  const std::vector<int8_t> codes = unpack(t);
  const Shape& shape = q.code_shape;
  std::vector<float> out(codes.size());
  for (size_t e = 0; e < codes.size(); ++e) {
    std::vector<int64_t> at(shape.size());
    int64_t rest = static_cast<int64_t>(e);
    for (size_t d = shape.size(); d-- > 0;) {
      at[d] = rest % shape[d];
      rest /= shape[d];
    }
    int64_t index = 0;
    if (q.block > 0) {
      at[static_cast<size_t>(q.axis)] /= q.block;
      for (size_t d = 0; d < shape.size(); ++d) index = index * q.scale.shape()[d] + at[d];
    } else if (q.scale.elements() > 1) {
      index = at[static_cast<size_t>(q.axis)];
    }
    const int code = q.format->lowest_code == 0 ? static_cast<uint8_t>(codes[e]) : codes[e];
    out[e] = q.format->decode(code, params_at(q, index));
  }
  return out;
}

class Granularities : public ::testing::TestWithParam<Case> {};

TEST_P(Granularities, DecodeAsTheFormulaSaysForEachElement) {
  const Tensor t = random_tensor(GetParam(), 11);
  EXPECT_NO_THROW(check_quantization(t, "t"));
  const Tensor got = dequantize(t);
  EXPECT_EQ(got.shape(), t.shape());
  EXPECT_TRUE(test::equal_bits(test::Values(got).values, plainly(t)));
  base::ThreadPool pool(3);
  EXPECT_TRUE(test::equal_bits(dequantize(t, &pool), got));
}

INSTANTIATE_TEST_SUITE_P(
    All, Granularities,
    ::testing::Values(Case{"int4", DType::f16, {7, 9}, {7, 9}, Scope::kTensor, 0, 0, false, false},
                      Case{"int4", DType::f32, {}, {}, Scope::kTensor, 0, 0, true, false},
                      Case{"uint4", DType::f16, {5, 3, 3, 3}, {5, 3, 3, 3}, Scope::kAxis, 0, 0, true, false},
                      Case{"uint4", DType::f16, {5, 4, 3}, {5, 4, 3}, Scope::kAxis, 1, 0, true, true},
                      Case{"int4", DType::f16, {6, 13}, {6, 13}, Scope::kAxis, 1, 0, false, false},
                      Case{"int8", DType::f32, {6, 13}, {6, 13}, Scope::kAxis, 1, 0, true, false},
                      Case{"uint8", DType::f32, {6, 13}, {6, 13}, Scope::kAxis, 0, 0, true, true},
                      Case{"uint8", DType::f32, {40}, {40}, Scope::kTensor, 0, 0, true, false},
                      Case{"int4", DType::f16, {4, 3, 5, 5}, {4, 75}, Scope::kBlock, 1, 16, false, false},
                      Case{"uint4", DType::f16, {4, 75}, {4, 75}, Scope::kBlock, 1, 32, true, false},
                      Case{"uint4", DType::f32, {4, 75}, {4, 75}, Scope::kBlock, 1, 32, false, true},
                      Case{"uint4", DType::f16, {75, 5}, {75, 5}, Scope::kBlock, 0, 16, true, false},
                      Case{"uint4", DType::f16, {3, 10, 5}, {3, 10, 5}, Scope::kBlock, 1, 4, true, true},
                      Case{"int4", DType::f16, {3, 7}, {3, 7}, Scope::kBlock, 1, 1, true, false},
                      Case{"int4", DType::f16, {3, 7}, {3, 7}, Scope::kBlock, 1, 64, false, false},
                      Case{"nf4", DType::f16, {9, 64}, {9, 64}, Scope::kBlock, 1, 64, false, false},
                      Case{"fp4", DType::f16, {9, 33}, {9, 33}, Scope::kAxis, 0, 0, false, false},
                      Case{"mxfp4", DType::f8e8m0, {5, 70}, {5, 70}, Scope::kBlock, 1, 32, false, false},
                      Case{"nvfp4", DType::f8e4m3, {5, 70}, {5, 70}, Scope::kBlock, 1, 16, false, false},
                      // Larger than one piece of work, at odd positions.
                      Case{"uint4", DType::f16, {701, 333}, {701, 333}, Scope::kBlock, 1, 32, true, false},
                      Case{"uint4", DType::f16, {333, 701}, {333, 701}, Scope::kBlock, 0, 32, true, false},
                      Case{"int4", DType::f16, {150001}, {150001}, Scope::kTensor, 0, 0, false, false},
                      Case{"int4", DType::f16, {0, 4}, {0, 4}, Scope::kTensor, 0, 0, false, false}));

TEST(Dequantize, ConvertsPlainTypesExactly) {
  Tensor half(DType::f16, {3}), brain(DType::bf16, {2}), wide(DType::f64, {2});
  half.mutable_values<uint16_t>()[0] = 0x3C00;
  half.mutable_values<uint16_t>()[1] = 0x0001;
  half.mutable_values<uint16_t>()[2] = 0xFC00;
  brain.mutable_values<uint16_t>()[1] = 0x4049;
  wide.mutable_values<double>()[0] = 1e-3;
  EXPECT_TRUE(
      test::equal_bits(dequantize(half), std::vector<float>{1.0f, 0x1p-24f, -std::numeric_limits<float>::infinity()}));
  EXPECT_TRUE(test::equal_bits(dequantize(brain), std::vector<float>{0.0f, 3.140625f}));
  EXPECT_TRUE(test::equal_bits(dequantize(wide), std::vector<float>{1e-3f, 0.0f}));
  const Tensor f(DType::f32, {2});
  EXPECT_EQ(dequantize(f).bytes().data(), f.bytes().data());
  EXPECT_THROW(dequantize(Tensor(DType::i32, {2})), base::Error);
}

TEST(StoredBytes, CountsAllThatIsStored) {
  // 4 x 75 codes of 4 bits, groups of 32: 150 bytes of codes, 4 x 3 scales of 2 bytes, 12 zero points in 6 bytes.
  const Tensor t = random_tensor({"uint4", DType::f16, {4, 75}, {4, 75}, Scope::kBlock, 1, 32, true, false}, 1);
  EXPECT_EQ(stored_bytes(t), 150 + 24 + 6);
  const Tensor offsets = random_tensor({"uint4", DType::f32, {4, 75}, {4, 75}, Scope::kBlock, 1, 32, false, true}, 1);
  EXPECT_EQ(stored_bytes(offsets), 150 + 48 + 48);
  const Tensor nv = random_tensor({"nvfp4", DType::f8e4m3, {2, 16}, {2, 16}, Scope::kBlock, 1, 16, false, false}, 1);
  EXPECT_EQ(stored_bytes(nv), 16 + 2 + 4);
  EXPECT_EQ(stored_bytes(Tensor(DType::f32, {3})), 12);
}

TEST(ParamsAt, ReadsBackWhatIsStored) {
  const Tensor t = random_tensor({"uint4", DType::f16, {4, 75}, {4, 75}, Scope::kBlock, 1, 32, true, true}, 3);
  const Quantization& q = *t.quantization();
  const auto zeros = unpack(q.zero);
  for (int64_t i = 0; i < 12; ++i) {
    const GroupParams p = params_at(q, i);
    EXPECT_EQ(p.scale, base::f16_to_f32(q.scale.values<uint16_t>()[static_cast<size_t>(i)]));
    EXPECT_EQ(p.zero, zeros[static_cast<size_t>(i)]);
    EXPECT_EQ(p.offset, q.offset.values<float>()[static_cast<size_t>(i)]);
  }
}

/// A valid tensor, spoilt by `spoil`, must be refused as malformed, and the place must be named.
void expect_refused(const std::function<void(Quantization&)>& spoil) {
  const Tensor t = random_tensor({"uint4", DType::f16, {4, 75}, {4, 75}, Scope::kBlock, 1, 32, true, true}, 3);
  auto q = std::make_shared<Quantization>(*t.quantization());
  spoil(*q);
  try {
    check_quantization(t.with_quantization(q), "tensor w");
    ADD_FAILURE() << "accepted";
  } catch (const base::Error& e) {
    EXPECT_EQ(e.kind(), base::ErrorKind::kMalformed);
    EXPECT_EQ(e.place(), "tensor w");
  }
}

TEST(CheckQuantization, RefusesWhatDoesNotFit) {
  expect_refused([](Quantization& q) { q.format = nullptr; });
  expect_refused([](Quantization& q) { q.format = find_format("int4"); });
  expect_refused([](Quantization& q) { q.code_shape = {4, 74}; });
  expect_refused([](Quantization& q) { q.code_shape = {4, -75}; });
  expect_refused([](Quantization& q) { q.code_shape = {int64_t{1} << 62, int64_t{1} << 62}; });
  expect_refused([](Quantization& q) { q.scale = Tensor(); });
  expect_refused([](Quantization& q) { q.block = 16; });
  expect_refused([](Quantization& q) { q.block = -1; });
  expect_refused([](Quantization& q) { q.block = INT64_MAX; });
  expect_refused([](Quantization& q) { q.block = 0; });
  expect_refused([](Quantization& q) { q.axis = 0; });
  expect_refused([](Quantization& q) { q.axis = 2; });
  expect_refused([](Quantization& q) { q.axis = -1; });
  expect_refused([](Quantization& q) { q.scale = Tensor(DType::i32, {4, 3}); });
  expect_refused([](Quantization& q) {
    q.scale = Tensor(DType::f16, {4, 3});
    q.scale.mutable_values<uint16_t>()[11] = 0x7C00;
  });
  expect_refused([](Quantization& q) { q.zero = Tensor(DType::uint4, {3, 4}); });
  expect_refused([](Quantization& q) { q.zero = Tensor(DType::int4, {4, 3}); });
  expect_refused([](Quantization& q) { q.offset = Tensor(DType::f16, {4, 3}); });
  expect_refused([](Quantization& q) { q.offset = Tensor(DType::f32, {12}); });
  expect_refused([](Quantization& q) {
    q.offset = Tensor(DType::f32, {4, 3});
    q.offset.mutable_values<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  });
  expect_refused([](Quantization& q) { q.tensor_scale = std::numeric_limits<float>::infinity(); });
}

}  // namespace
}  // namespace nibble::codec
