#include <map>
#include <memory>

#include "base/error.h"
#include "codec/format.h"
#include "model/matmul_nbits_form.h"
#include "tensor/quantization.h"

namespace nibble::model {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;

constexpr int64_t kOnnxFloat = 1;  // TensorProto.DataType

class Folder {
 public:
  explicit Folder(Graph& g) : g_(g), producers_(g.producers()) {}

  void run() {
    for (NodeId id = 0; id < g_.node_count(); ++id) {
      const Node& node = g_.node(id);
      if (node.removed || node.domain != "com.microsoft") continue;
      if (node.op == "MatMulNBits") {
        if (const NodeId cast = scale_cast(node.input(2)); cast >= 0) g_.node(id).inputs[2] = g_.node(cast).input(0);
      } else if (node.op == "GatherBlockQuantized") {
        fold_table(id);
      }
    }
    drop_unread_casts();
    g_.compact();
  }

 private:
  const Tensor* constant(ValueId v) const { return g_.is_constant(v) ? &g_.value(v).constant : nullptr; }

  /// The node that casts a 16-bit constant to `v`, or -1.
  NodeId scale_cast(ValueId v) {
    const NodeId id = v == kNoValue ? -1 : producers_[static_cast<size_t>(v)];
    if (id < 0) return -1;
    const Node& node = g_.node(id);
    if (node.op != "Cast" || !node.domain.empty() || node.integer("to", 0) != kOnnxFloat) return -1;
    const Tensor* t = constant(node.input(0));
    if (!t || (t->dtype() != DType::f16 && t->dtype() != DType::bf16)) return -1;
    casts_.push_back(id);
    return id;
  }

  void drop_unread_casts() {
    const auto readers = g_.consumers();
    for (const NodeId cast : casts_) {
      const ValueId result = g_.node(cast).output(0);
      if (readers[static_cast<size_t>(result)].empty() && !g_.is_output(result)) g_.remove_node(cast);
    }
  }

  /// Zero points of byte data: packed along the last axis, each row from a byte on. Without any: half the codes.
  static Tensor byte_zeros(const Tensor* packed, const Shape& shape, const codec::NumberFormat& format,
                           const std::string& place) {
    std::vector<int8_t> zeros(static_cast<size_t>(tensor::element_count(shape)),
                              static_cast<int8_t>(1 << (format.bits - 1)));
    if (packed) {
      const int64_t columns = shape.empty() ? 1 : shape.back(), a_byte = 8 / format.bits;
      const int64_t row_bytes = (columns + a_byte - 1) / a_byte;
      const int64_t rows = columns > 0 ? static_cast<int64_t>(zeros.size()) / columns : 0;
      if (packed->dtype() != DType::u8 || packed->elements() != rows * row_bytes)
        base::fail_malformed(place, "its zero points do not fit its scales");
      const auto bytes = packed->values<uint8_t>();
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c)
          zeros[static_cast<size_t>(r * columns + c)] =
              static_cast<int8_t>(bytes[static_cast<size_t>(r * row_bytes + c / a_byte)] >> (c % a_byte * format.bits) &
                                  ((1 << format.bits) - 1));
    }
    return codec::pack(format.code, shape, zeros);
  }

  void fold_table(NodeId id) {
    const Node& node = g_.node(id);
    const Tensor *data = constant(node.input(0)), *scale = constant(node.input(2)), *zero = constant(node.input(3));
    if (!data || data->rank() == 0 || data->quantization() || (node.input(3) != kNoValue && !zero)) return;
    if (!scale) {
      const NodeId cast = scale_cast(node.input(2));
      if (cast < 0) return;
      scale = constant(g_.node(cast).input(0));
    } else if (scale->dtype() != DType::f32) {
      return;  // its result is a 16-bit float
    }
    const int64_t bits = node.integer("bits", 4), rank = data->rank();
    const bool bytes = data->dtype() == DType::u8;
    if (bytes ? bits != 4 && bits != 8 : data->dtype() != DType::int4 && data->dtype() != DType::uint4) return;
    int64_t gather = node.integer("gather_axis", 0), axis = node.integer("quantize_axis", 1);
    if (gather < 0) gather += rank;
    if (axis < 0) axis += rank;
    const int64_t block = node.integer("block_size", 128);
    if (gather < 0 || gather >= rank || axis < 0 || axis >= rank)
      base::fail_malformed(node.describe(), "gather_axis or quantize_axis is outside its data");
    if (block < 16 || (block & (block - 1)) != 0)
      base::fail_malformed(node.describe(), "block_size is " + std::to_string(block));
    if (bytes && gather == rank - 1 && bits == 4) return;  // would gather half bytes

    Tensor codes = *data;
    auto q = std::make_shared<tensor::Quantization>();
    q->format = codec::find_format(bytes                          ? bits == 4 ? "uint4" : "uint8"
                                   : data->dtype() == DType::int4 ? "int4"
                                                                  : "uint4");
    if (bytes && bits == 4) {
      Shape shape = data->shape();
      shape.back() *= 2;
      codes = codec::pack(DType::uint4, shape, unpacked_bytes(*data));
    }
    q->code_shape = codes.shape();
    q->axis = axis;
    q->block = block;
    q->scale = *scale;
    if (bytes)
      q->zero = byte_zeros(zero, scale->shape(), *q->format, node.describe());
    else if (zero)
      q->zero = *zero;
    const Tensor table = codes.with_quantization(q);
    codec::check_quantization(table, node.describe());

    const auto key = std::make_pair(node.input(0), node.input(2));
    const auto [it, fresh] = tables_.try_emplace(key, kNoValue);
    if (fresh)
      it->second = g_.add_constant(g_.unique_name(stem(g_.value(node.input(0)).name)), table, graph::Role::kEmbedding);
    Node& after = g_.node(id);
    after.op = "Gather";
    after.domain.clear();
    after.inputs = {it->second, after.input(1)};
    after.attributes = {{"axis", gather}};
  }

  static std::vector<int8_t> unpacked_bytes(const Tensor& t) {
    std::vector<int8_t> codes;
    codes.reserve(static_cast<size_t>(t.elements()) * 2);
    for (const uint8_t byte : t.values<uint8_t>()) {
      codes.push_back(static_cast<int8_t>(byte & 15));
      codes.push_back(static_cast<int8_t>(byte >> 4));
    }
    return codes;
  }

  /// The name that a writer made NAME_quantized of.
  static std::string stem(const std::string& name) {
    constexpr std::string_view kSuffix = "_quantized";
    return name.size() > kSuffix.size() && name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size())
                                                                   : name;
  }

  Graph& g_;
  std::vector<NodeId> producers_;
  std::vector<NodeId> casts_;
  std::map<std::pair<ValueId, ValueId>, ValueId> tables_;
};

}  // namespace

void fold_nbits(Graph& g) {
  for (NodeId id = 0; id < g.node_count(); ++id)
    for (auto& [key, attribute] : g.node(id).attributes)
      if (auto* inner = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        auto copy = std::make_shared<Graph>(**inner);  // copies of a Graph share their subgraphs
        fold_nbits(*copy);
        *inner = std::move(copy);
      }
  Folder(g).run();
}

}  // namespace nibble::model
