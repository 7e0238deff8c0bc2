// Convolutions, MatMulNBits and integer products against plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "codec/format.h"
#include "ops/one_node.h"
#include "support/compare.h"
#include "tensor/quantization.h"

namespace nibble {
namespace {

using graph::Attribute;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;
using test::floats;
using test::GraphBuilder;
using test::Ints;
using test::list;
using test::run_node;

/// The convolution's definition, sums in double.
std::vector<float> plain_convolution(const Tensor& x, const Tensor& w, const Ints& pads, const Ints& strides,
                                     const Ints& dilations, int64_t groups) {
  const auto &xs = x.shape(), &ws = w.shape();
  const auto in = x.values<float>(), weight = w.values<float>();
  const int64_t rows = (xs[2] + pads[0] + pads[2] - (ws[2] - 1) * dilations[0] - 1) / strides[0] + 1;
  const int64_t columns = (xs[3] + pads[1] + pads[3] - (ws[3] - 1) * dilations[1] - 1) / strides[1] + 1;
  std::vector<float> y;
  for (int64_t n = 0; n < xs[0]; ++n)
    for (int64_t o = 0; o < ws[0]; ++o)
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c) {
          double sum = 0;
          for (int64_t i = 0; i < ws[1]; ++i)
            for (int64_t a = 0; a < ws[2]; ++a)
              for (int64_t b = 0; b < ws[3]; ++b) {
                const int64_t yy = r * strides[0] + a * dilations[0] - pads[0],
                              xx = c * strides[1] + b * dilations[1] - pads[1];
                if (yy < 0 || yy >= xs[2] || xx < 0 || xx >= xs[3]) continue;
                const int64_t channel = o / (ws[0] / groups) * ws[1] + i;
                sum += static_cast<double>(in[static_cast<size_t>(((n * xs[1] + channel) * xs[2] + yy) * xs[3] + xx)]) *
                       static_cast<double>(weight[static_cast<size_t>(((o * ws[1] + i) * ws[2] + a) * ws[3] + b)]);
              }
          y.push_back(static_cast<float>(sum));
        }
  return y;
}

struct ConvCase {
  Shape image, weight;  // image without its batch
  Ints pads, strides, dilations;
  int64_t groups;
};

std::vector<ConvCase> conv_cases() {
  return {
      {{3, 40, 40}, {32, 3, 3, 3}, {1, 1, 1, 1}, {1, 1}, {1, 1}, 1},
      {{16, 33, 21}, {64, 16, 3, 3}, {0, 0, 0, 0}, {2, 2}, {1, 1}, 1},
      {{16, 30, 31}, {48, 16, 3, 3}, {2, 1, 0, 2}, {2, 1}, {1, 1}, 1},
      {{8, 50, 50}, {32, 8, 3, 3}, {4, 4, 4, 4}, {1, 1}, {4, 4}, 1},
      {{8, 35, 35}, {64, 8, 5, 5}, {4, 4, 4, 4}, {3, 3}, {2, 1}, 1},
      {{64, 28, 28}, {64, 64, 1, 1}, {0, 0, 0, 0}, {1, 1}, {1, 1}, 1},
      {{64, 28, 28}, {64, 64, 1, 1}, {1, 1, 1, 1}, {2, 2}, {1, 1}, 1},  // windows that lie in the padding alone
      {{32, 40, 40}, {32, 1, 3, 3}, {1, 1, 1, 1}, {1, 1}, {1, 1}, 32},
      {{32, 40, 40}, {64, 16, 3, 3}, {1, 1, 1, 1}, {1, 1}, {1, 1}, 2},
      {{32, 96, 7}, {64, 32, 7, 1}, {3, 0, 3, 0}, {1, 1}, {1, 1}, 1},
      {{3, 64, 64}, {16, 3, 11, 11}, {0, 0, 9, 9}, {4, 4}, {1, 1}, 1},
      {{24, 20, 20}, {40, 24, 3, 3}, {3, 3, 3, 3}, {1, 1}, {1, 1}, 1},
  };
}

std::map<std::string, Attribute> attributes_of(const ConvCase& k) {
  return {{"pads", k.pads}, {"strides", k.strides}, {"dilations", k.dilations}, {"group", k.groups}};
}

TEST(Convolution, AnImageAloneEqualsTheSameImageInABatch) {
  // Alone it is cut into bands of rows, in a batch it is one slice.
  for (const ConvCase& k : conv_cases()) {
    SCOPED_TRACE(tensor::to_string(k.image) + " * " + tensor::to_string(k.weight));
    Shape batch = k.image;
    batch.insert(batch.begin(), 3);
    const Tensor x = GraphBuilder::random_tensor("x", batch), w = GraphBuilder::random_tensor("w", k.weight);
    const auto together = list<float>(run_node("Conv", {x, w}, attributes_of(k), true, true)[0]);
    const size_t in = static_cast<size_t>(x.elements() / 3), out = together.size() / 3;
    for (size_t i = 0; i < 3; ++i) {
      batch[0] = 1;
      const Tensor alone(DType::f32, batch, x.bytes().subspan(i * in * 4, in * 4), std::make_shared<Tensor>(x));
      for (const int threads : {1, 3}) {
        const auto y = list<float>(run_node("Conv", {alone, w}, attributes_of(k), true, true, "", 1, threads)[0]);
        ASSERT_EQ(y.size(), out);
        EXPECT_TRUE(std::equal(y.begin(), y.end(), together.begin() + static_cast<std::ptrdiff_t>(i * out)))
            << "image " << i;
      }
    }
  }
}

TEST(Convolution, EqualsItsDefinition) {
  for (const ConvCase& k : conv_cases()) {
    SCOPED_TRACE(tensor::to_string(k.image) + " * " + tensor::to_string(k.weight));
    Shape shape = k.image;
    shape.insert(shape.begin(), 1);
    const Tensor x = GraphBuilder::random_tensor("x", shape), w = GraphBuilder::random_tensor("w", k.weight);
    const auto want = plain_convolution(x, w, k.pads, k.strides, k.dilations, k.groups);
    // A float32 sum of n products is off by at most n * 2^-24 times the sum of their magnitudes, here below 8 times the
    // largest output; n is at most 576.
    for (const bool optimize : {false, true}) {
      const Tensor y = run_node("Conv", {x, w}, attributes_of(k), optimize, true)[0];
      EXPECT_TRUE(test::near_largest(list<float>(y), want, 8 * 576 * 0x1p-24)) << optimize;
    }
  }
}

TEST(Convolution, AComputedWeightMayBeAnotherAtEveryRun) {
  GraphBuilder b;
  const auto x = b.input("x", {1, 2, 4, 4}), w = b.input("w", {tensor::kUnknown, 2, 2, 2});
  auto g = b.finish({b.node("Conv", {x, w}, "y")});
  runtime::infer_shapes(g);
  base::ThreadPool pool(1);
  runtime::Session session(g, pool);
  const Tensor image = GraphBuilder::random_tensor("image", {1, 2, 4, 4});
  for (const char* seed : {"a", "b", "c"})
    for (const int64_t outputs : {3, 5}) {
      const Tensor weight = GraphBuilder::random_tensor(seed, {outputs, 2, 2, 2});
      const std::vector<Tensor> inputs{image, weight};
      const auto want = plain_convolution(image, weight, {0, 0, 0, 0}, {1, 1}, {1, 1}, 1);
      EXPECT_TRUE(test::near_largest(list<float>(session.run(inputs)[0]), want, 1e-6)) << seed << outputs;
    }
}

/// W of MatMulNBits by its definition: code i of a row is in byte i / (8 / bits), the first in the low bits.
float nbits_weight(const std::vector<uint8_t>& codes, int64_t row_bytes, int64_t bits, int64_t n, int64_t k, float zero,
                   float scale) {
  const int64_t per_byte = 8 / bits;
  const int code =
      (codes[static_cast<size_t>(n * row_bytes + k / per_byte)] >> (k % per_byte * bits)) & ((1 << bits) - 1);
  return (static_cast<float>(code) - zero) * scale;
}

TEST(MatMulNBits, EqualsAPlainLoopForOddSizesAndEveryFormOfZeroPoints) {
  base::Random random(7);
  for (const int64_t bits : {2, 4, 8})
    for (const int64_t k : {1, 16, 17, 45, 64})
      for (const int form : {0, 1, 2}) {  // absent, packed, floats
        SCOPED_TRACE(std::to_string(bits) + " bits, K " + std::to_string(k) + ", zero points " + std::to_string(form));
        const int64_t n = 3, rows = 2, block = 16, blocks = (k + block - 1) / block,
                      row_bytes = blocks * block * bits / 8, zero_row = (blocks * bits + 7) / 8;
        std::vector<uint8_t> codes(static_cast<size_t>(n * row_bytes)), packed(static_cast<size_t>(n * zero_row));
        for (auto& c : codes) c = static_cast<uint8_t>(random.next());
        for (auto& c : packed) c = static_cast<uint8_t>(random.next());
        const Tensor x = GraphBuilder::random_tensor("x", {rows, k}),
                     scales = GraphBuilder::random_tensor("s", {n * blocks});
        const Tensor zeros = GraphBuilder::random_tensor("z", {n * blocks}, 4),
                     bias = GraphBuilder::random_tensor("b", {n});
        const Tensor zero_input = form == 0   ? Tensor()
                                  : form == 1 ? Tensor::of<uint8_t>({n * zero_row}, packed)
                                              : zeros;
        const std::map<std::string, Attribute> attributes{{"K", k}, {"N", n}, {"bits", bits}, {"block_size", block}};
        const auto got = list<float>(
            run_node("MatMulNBits",
                     {x, Tensor::of<uint8_t>({n, blocks, block * bits / 8}, codes), scales, zero_input, Tensor(), bias},
                     attributes, true, true, "com.microsoft")[0]);
        std::vector<float> want;
        double magnitude = 0;
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t o = 0; o < n; ++o) {
            double sum = bias.values<float>()[static_cast<size_t>(o)];
            for (int64_t i = 0; i < k; ++i) {
              const int64_t b = i / block;
              float zero = static_cast<float>(1 << (bits - 1));
              if (form == 1)
                zero = static_cast<float>((packed[static_cast<size_t>(o * zero_row + b * bits / 8)] >> (b * bits % 8)) &
                                          ((1 << bits) - 1));
              if (form == 2) zero = zeros.values<float>()[static_cast<size_t>(o * blocks + b)];
              const double product =
                  static_cast<double>(x.values<float>()[static_cast<size_t>(r * k + i)]) *
                  static_cast<double>(nbits_weight(codes, row_bytes, bits, o, i, zero,
                                                   scales.values<float>()[static_cast<size_t>(o * blocks + b)]));
              sum += product;
              magnitude = std::max(magnitude, std::fabs(product));
            }
            want.push_back(static_cast<float>(sum));
          }
        // At most K + 1 additions, each off by 2^-24 of a partial sum, which is at most K + 1 times the largest
        // product.
        const double bound = static_cast<double>((k + 1) * (k + 1)) * 0x1p-24 * (magnitude + 3);
        ASSERT_EQ(got.size(), want.size());
        for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], bound);
      }
}

struct Integers {
  DType activation = DType::u8;
  const char* format = "int4";
  int64_t zero_x = 0;
  std::vector<int64_t> codes_x;  ///< cycled through
  std::vector<int> codes_w;      ///< cycled through
  int zero_w = 0;
};

/// x codes -> DequantizeLinear -> product of a quantized weight, as the Session runs it, and by its definition in
/// double. All numbers are small multiples of a power of two, so that both must agree in every bit.
void expect_integer_product(const std::string& op, const Shape& x_shape, const Shape& w_shape, const Integers& k,
                            std::map<std::string, Attribute> attributes = {}) {
  GraphBuilder b;
  const float scale_x = 0.5f, scale_w = 0.25f;
  const int64_t count = tensor::element_count(x_shape);
  Tensor codes(k.activation, x_shape), zero(k.activation, {});
  std::vector<float> real(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t code = k.codes_x[static_cast<size_t>(i) % k.codes_x.size()];
    codes.mutable_bytes()[static_cast<size_t>(i)] = static_cast<std::byte>(code);
    real[static_cast<size_t>(i)] = static_cast<float>(code - k.zero_x) * scale_x;
  }
  zero.mutable_bytes()[0] = static_cast<std::byte>(k.zero_x);
  auto q = std::make_shared<tensor::Quantization>();
  q->format = codec::find_format(k.format);
  q->code_shape = w_shape;
  q->scale = floats({}, {scale_w});
  const DType type = q->format->code;
  const auto zero_w = static_cast<int8_t>(k.zero_w);
  if (k.zero_w)
    q->zero = tensor::bits_of(type) == 4 ? codec::pack(type, {}, {&zero_w, 1}) : Tensor::scalar<int8_t>(zero_w);
  std::vector<int8_t> codes_w;
  std::vector<float> real_w;
  for (int64_t i = 0; i < tensor::element_count(w_shape); ++i) {
    codes_w.push_back(static_cast<int8_t>(k.codes_w[static_cast<size_t>(i) % k.codes_w.size()]));
    real_w.push_back(static_cast<float>(codes_w.back() - k.zero_w) * scale_w);
  }
  const auto in = b.input("codes", x_shape, k.activation);
  const auto x = b.node("DequantizeLinear", {in, b.constant("sx", floats({}, {scale_x})), b.constant("zx", zero)}, "x");
  const auto w = b.constant("w", codec::pack(type, w_shape, codes_w).with_quantization(q));
  auto g = b.finish({b.node(op, {x, w}, "y", attributes)});
  runtime::infer_shapes(g);
  base::ThreadPool pool(2);
  runtime::Session session(g, pool);
  bool integer = false;
  for (graph::NodeId id = 0; id < session.graph().node_count(); ++id)
    integer = integer || session.graph().node(id).domain == "nibble";
  EXPECT_TRUE(integer) << "the product was not made an integer one";
  const std::vector<Tensor> inputs{codes};
  const Tensor y = session.run(inputs)[0];
  std::vector<float> want;
  if (op == "Conv") {
    const auto group = attributes.count("group") ? std::get<int64_t>(attributes["group"]) : 1;
    const Ints pads = attributes.count("pads") ? std::get<Ints>(attributes["pads"]) : Ints{0, 0, 0, 0};
    want = plain_convolution(floats(x_shape, real), floats(w_shape, real_w), pads, {1, 1}, {1, 1}, group);
  } else {
    const bool last = op == "MatMul";
    const int64_t inner = x_shape.back(), outputs = w_shape[last ? 1 : 0];
    for (int64_t r = 0; r < count / inner; ++r)
      for (int64_t o = 0; o < outputs; ++o) {
        double sum = 0;
        for (int64_t i = 0; i < inner; ++i)
          sum += static_cast<double>(real[static_cast<size_t>(r * inner + i)]) *
                 static_cast<double>(real_w[static_cast<size_t>(last ? i * outputs + o : o * inner + i)]);
        want.push_back(static_cast<float>(sum));
      }
  }
  EXPECT_EQ(list<float>(y), want);
}

std::vector<Integers> extremes() {
  return {
      {DType::u8, "int4", 0, {255}, {-8}},
      {DType::u8, "int4", 255, {0}, {-8}},
      {DType::u8, "int8", 0, {255}, {-128}},
      {DType::u8, "int8", 0, {255, 0, 255}, {127, -128}},
      {DType::i8, "int8", -128, {127}, {-128}},
      {DType::i8, "int8", 127, {-128}, {-128, 127}},
      {DType::i8, "int4", 0, {-128, 127, 3}, {-8, 7, 1}},
      {DType::u8, "uint4", 128, {255, 0, 7}, {15, 0}, 15},
      {DType::u8, "uint4", 0, {255}, {0}, 15},
  };
}

TEST(IntegerProduct, MatricesAtExtremeCodes) {
  for (const Integers& k : extremes())
    for (const int64_t inner : {1, 3, 64, 129, 1000})
      for (const int64_t outputs : {1, 2, 17}) {
        SCOPED_TRACE(std::string(k.format) + " zero " + std::to_string(k.zero_x) + " K " + std::to_string(inner) +
                     " N " + std::to_string(outputs));
        expect_integer_product("MatMul", {5, inner}, {inner, outputs}, k);
        expect_integer_product("Gemm", {5, inner}, {outputs, inner}, k, {{"transB", int64_t{1}}});
      }
}

TEST(IntegerProduct, ConvolutionsAtExtremeCodes) {
  for (const Integers& k : extremes()) {
    SCOPED_TRACE(std::string(k.format) + " zero " + std::to_string(k.zero_x));
    expect_integer_product("Conv", {2, 5, 7, 6}, {9, 5, 3, 3}, k, {{"pads", Ints{1, 1, 1, 1}}});
    expect_integer_product("Conv", {1, 33, 4, 4}, {1, 33, 1, 1}, k);  // one output
    expect_integer_product("Conv", {1, 1, 5, 5}, {1, 1, 3, 3}, k,
                           {{"pads", Ints{2, 2, 2, 2}}});  // one channel each way
    expect_integer_product("Conv", {1, 6, 5, 5}, {6, 1, 3, 3}, k,
                           {{"group", int64_t{6}}, {"pads", Ints{1, 1, 1, 1}}});             // depthwise
    expect_integer_product("Conv", {1, 6, 5, 5}, {3, 2, 3, 3}, k, {{"group", int64_t{3}}});  // one output a group
    expect_integer_product("Conv", {1, 6, 5, 5}, {12, 2, 2, 2}, k, {{"group", int64_t{3}}});
    expect_integer_product("Conv", {1, 3, 5, 5}, {6, 1, 2, 2}, k, {{"group", int64_t{3}}});  // two outputs a channel
  }
}

}  // namespace
}  // namespace nibble
