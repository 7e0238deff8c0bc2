#include "model/matmul_nbits_form.h"

#include <bit>
#include <map>

#include "base/error.h"
#include "codec/format.h"
#include "tensor/quantization.h"

namespace nibble::model {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Quantization;
using tensor::Shape;
using tensor::Tensor;

constexpr const char* kMicrosoft = "com.microsoft";
constexpr int64_t kOnnxFloat = 1;                            // TensorProto.DataType
constexpr int64_t kSmallestBlock = 16, kLargestBlock = 256;  // that onnxruntime's kernels take
constexpr int64_t kFloat32Arithmetic = 1;                    // accuracy_level

bool is_product(const Node& node) { return node.is("MatMul") || node.is("Gemm"); }
bool is_table(const Node& node) { return node.is("Gather"); }

/// Whether the stored order is [inputs, outputs].
bool transposed(const Node& node) { return node.op == "MatMul" || node.integer("transB", 0) == 0; }

bool is_16_bit(DType type) { return type == DType::f16 || type == DType::bf16; }

/// One weight in the layout of MatMulNBits, shared by the nodes that read it.
struct Packed {
  ValueId codes, scales, zeros;
  int64_t n, k, block;
};

class Rewriter {
 public:
  explicit Rewriter(Graph& g) : g_(g), producers_(g.producers()) {}

  void run() {
    const NodeId count = g_.node_count();
    for (NodeId id = 0; id < count; ++id) {
      const Node& node = g_.node(id);
      const ValueId weight = node.removed       ? kNoValue
                             : is_product(node) ? node.input(1)
                             : is_table(node)   ? node.input(0)
                                                : kNoValue;
      if (!g_.is_constant(weight) || !g_.value(weight).constant.quantization()) continue;
      if (!why_not_nbits(g_, node, form_of(node, weight)).empty()) continue;
      if (is_product(node))
        rewrite_product(id, weight);
      else
        rewrite_table(id, weight);
    }
    g_.compact();
  }

 private:
  /// What the constant says; a granularity that neither operator has is given as per tensor.
  WeightForm form_of(const Node& node, ValueId weight) const {
    const Tensor& w = g_.value(weight).constant;
    const Quantization& q = *w.quantization();
    const int64_t reduction = is_product(node) && transposed(node) ? 0 : 1;
    WeightForm form;
    form.bits = q.format == codec::find_format("int4") || q.format == codec::find_format("uint4") ? 4 : 8;
    form.group = q.block;
    const bool along_rows = q.block > 0 ? q.axis == reduction : q.scale.rank() == 1 && q.axis == 1 - reduction;
    form.per_tensor = !along_rows || q.code_shape != w.shape() || w.rank() != 2;
    form.offset = static_cast<bool>(q.offset);
    const NodeId before =
        is_product(node) && node.input(0) != kNoValue ? producers_[static_cast<size_t>(node.input(0))] : -1;
    form.quantized_input = before >= 0 && g_.node(before).op == "DequantizeLinear";
    return form;
  }

  void rewrite_product(NodeId id, ValueId weight) {
    const auto [it, fresh] = packed_.try_emplace({weight, transposed(g_.node(id))});
    if (fresh) it->second = pack(weight, transposed(g_.node(id)));
    const Packed& p = it->second;
    Node& node = g_.node(id);
    const ValueId bias = node.op == "Gemm" ? node.input(2) : kNoValue;
    node.op = "MatMulNBits";
    node.domain = kMicrosoft;
    node.inputs = {node.input(0), p.codes, p.scales, p.zeros};
    if (bias != kNoValue) node.inputs.insert(node.inputs.end(), {kNoValue, bias});
    node.attributes = {
        {"K", p.k}, {"N", p.n}, {"bits", int64_t{4}}, {"block_size", p.block}, {"accuracy_level", kFloat32Arithmetic}};
    g_.domains.try_emplace(kMicrosoft, 1);
  }

  Packed pack(ValueId id, bool turned) {
    const std::string name = g_.value(id).name;
    const Tensor w = g_.value(id).constant;
    const Quantization& q = *w.quantization();
    Packed p{};
    p.n = w.shape()[turned ? 1 : 0];
    p.k = w.shape()[turned ? 0 : 1];
    p.block = nbits_block(p.k, q.block);
    const int64_t blocks = (p.k + p.block - 1) / p.block, row_bytes = blocks * p.block / 2,
                  zero_bytes = (blocks + 1) / 2;
    const int up = q.format->lowest_code == 0 ? 0 : 8;  // codes are unsigned, 0 to 15
    const std::vector<int8_t> codes = codec::unpack(w);
    Tensor b(DType::u8, {p.n, blocks, p.block / 2});
    const auto to = b.mutable_values<uint8_t>();
    for (int64_t n = 0; n < p.n; ++n)
      for (int64_t k = 0; k < p.k; ++k) {
        const auto code = static_cast<unsigned>(codes[static_cast<size_t>(turned ? k * p.n + n : n * p.k + k)] + up);
        to[static_cast<size_t>(n * row_bytes + k / 2)] |= static_cast<uint8_t>(code << (k % 2 * 4));
      }
    p.codes = g_.add_constant(g_.unique_name(name + "_quantized"), std::move(b), graph::Role::kWeight);
    // Parameters are stored [blocks, N] for a turned weight, [N, blocks] else, and [N] where a row has one.
    const auto place = [&](int64_t n, int64_t block) {
      return static_cast<size_t>(turned && q.block > 0 ? block * p.n + n : n * blocks + block);
    };
    Tensor scales(q.scale.dtype(), {p.n, blocks}, true);
    const size_t size = static_cast<size_t>(tensor::bits_of(q.scale.dtype()) / 8);
    for (int64_t n = 0; n < p.n; ++n)
      for (int64_t block = 0; block < blocks; ++block)
        std::copy_n(q.scale.bytes().data() + place(n, block) * size, size,
                    scales.mutable_bytes().data() + static_cast<size_t>(n * blocks + block) * size);
    p.scales = g_.add_constant(g_.unique_name(name + "_scale"), std::move(scales));
    Tensor zeros(q.offset ? DType::f32 : DType::u8, {p.n, q.offset ? blocks : zero_bytes});
    const std::vector<int8_t> stored = q.zero ? codec::unpack(q.zero) : std::vector<int8_t>{};
    for (int64_t n = 0; n < p.n; ++n)
      for (int64_t block = 0; block < blocks; ++block) {
        const size_t at = place(n, block);
        // DequantizeLinear's default is code 0 in either type; the operator's own default of 8 is never relied on.
        const int zero = (stored.empty() ? 0 : stored[at]) + up;
        if (q.offset) {
          const codec::GroupParams g = codec::params_at(q, static_cast<int64_t>(at));
          zeros.mutable_values<float>()[static_cast<size_t>(n * blocks + block)] =
              static_cast<float>(zero - double{g.offset} / double{g.scale});
        } else {
          zeros.mutable_values<uint8_t>()[static_cast<size_t>(n * zero_bytes + block / 2)] |=
              static_cast<uint8_t>(static_cast<unsigned>(zero) << (block % 2 * 4));
        }
      }
    p.zeros = g_.add_constant(g_.unique_name(name + "_zero_point"), std::move(zeros));
    return p;
  }

  void rewrite_table(NodeId id, ValueId weight) {
    const std::string name = g_.value(weight).name;
    const Tensor w = g_.value(weight).constant;
    const Quantization& q = *w.quantization();
    const auto [it, fresh] = tables_.try_emplace(weight);
    if (fresh) {
      const int64_t block = nbits_block(w.shape()[1], q.block), blocks = (w.shape()[1] + block - 1) / block;
      const Shape parameters{w.shape()[0], blocks};
      const Tensor none(q.format->code, parameters);
      Packed& p = it->second;
      p.codes =
          g_.add_constant(g_.unique_name(name + "_quantized"), w.with_quantization(nullptr), graph::Role::kEmbedding);
      p.scales = g_.add_constant(g_.unique_name(name + "_scale"), q.scale.reshaped(parameters));
      p.zeros = g_.add_constant(g_.unique_name(name + "_zero_point"), q.zero ? q.zero.reshaped(parameters) : none);
      p.block = block;
    }
    const Packed& p = it->second;
    Node& node = g_.node(id);
    node.op = "GatherBlockQuantized";
    node.domain = kMicrosoft;
    node.inputs = {p.codes, node.input(1), p.scales, p.zeros};
    node.attributes = {{"gather_axis", int64_t{0}}, {"quantize_axis", int64_t{1}}, {"block_size", p.block}};
    g_.domains.try_emplace(kMicrosoft, 1);
  }

  Graph& g_;
  std::vector<NodeId> producers_;
  std::map<std::pair<ValueId, bool>, Packed> packed_;
  std::map<ValueId, Packed> tables_;
};

}  // namespace

int64_t nbits_block(int64_t columns, int64_t group) {
  return group > 0
             ? group
             : std::max<int64_t>(kSmallestBlock, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(columns))));
}

int64_t nbits_bytes(int64_t rows, int64_t columns, int64_t block, int64_t scale_bits, bool float_zeros) {
  const int64_t blocks = (columns + block - 1) / block;
  return rows * (blocks * (block / 2 + scale_bits / 8) + (float_zeros ? 4 * blocks : (blocks + 1) / 2));
}

std::string why_not_nbits(const Graph& g, const Node& node, const WeightForm& form) {
  const bool table = is_table(node);
  if (!table && !is_product(node)) return "com.microsoft has no 4-bit " + node.op;
  const ValueId weight = node.input(table ? 0 : 1);
  const auto& shape = g.value(weight).shape;
  if (form.bits != 4) return "its weight does not have 4 bits";
  if (shape.size() != 2 || form.per_tensor) return "it needs a scale a row or a group";
  if (form.quantized_input) return "its input is quantized too: integers are multiplied";
  if (form.group > 0 && (form.group < kSmallestBlock || form.group > kLargestBlock ||
                         !std::has_single_bit(static_cast<uint64_t>(form.group))))
    return "groups of " + std::to_string(form.group) + " are no power of two from 16 to 256";
  if (table) {
    if (node.integer("axis", 0) != 0) return "it does not gather rows";
    return form.offset ? "GatherBlockQuantized has no real offsets" : "";
  }
  const int64_t columns = shape[transposed(node) ? 0 : 1];
  if (form.group == 0 && columns > kLargestBlock)
    return "one scale serves " + std::to_string(columns) + " inputs, more than a block has";
  if (node.op == "MatMul") return {};
  if (node.integer("transA", 0) != 0 || node.real("alpha", 1.0f) != 1.0f) return "Gemm's transA or alpha is set";
  const ValueId bias = node.input(2);
  if (bias == kNoValue) return {};
  const auto& bias_shape = g.value(bias).shape;
  if (node.real("beta", 1.0f) != 1.0f || !g.value(bias).shape_known || g.value(bias).dtype != DType::f32 ||
      bias_shape != Shape{shape[transposed(node) ? 1 : 0]})
    return "Gemm's bias is scaled or has not one number an output";
  return {};
}

void use_matmul_nbits(Graph& g) { Rewriter(g).run(); }

void add_scale_casts(Graph& g) {
  std::map<ValueId, ValueId> casts;
  const NodeId count = g.node_count();
  for (NodeId id = 0; id < count; ++id) {
    const Node& node = g.node(id);
    if (node.removed || node.domain != kMicrosoft) continue;
    const bool product = node.op == "MatMulNBits";
    if (!product && node.op != "GatherBlockQuantized") continue;
    const ValueId scale = node.input(2);
    if (!g.is_constant(scale) || !is_16_bit(g.value(scale).constant.dtype())) continue;
    const ValueId computed = product ? node.input(0) : node.output(0);
    if (computed == kNoValue || g.value(computed).dtype != DType::f32) continue;
    const auto [it, fresh] = casts.try_emplace(scale);
    if (fresh) {
      graph::Value v;
      v.name = g.unique_name(g.value(scale).name + "_f32");
      v.shape_known = true;
      v.shape = g.value(scale).constant.shape();
      it->second = g.add_value(std::move(v));
      Node cast{"Cast", "", g.value(it->second).name, {scale}, {it->second}, {}};
      cast.attributes["to"] = kOnnxFloat;
      g.add_node(std::move(cast));
    }
    g.node(id).inputs[2] = it->second;
  }
  g.compact();
}

}  // namespace nibble::model
