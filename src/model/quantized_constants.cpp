#include "model/quantized_constants.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "base/checked.h"
#include "base/error.h"
#include "codec/format.h"
#include "tensor/quantization.h"

namespace nibble::model {
using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Quantization;
using tensor::Shape;
using tensor::Tensor;

namespace {

constexpr int64_t kOnnxFloat = 1;  // TensorProto.DataType

/// The number format whose codes are stored as `dtype`, or nullptr.
const codec::NumberFormat* format_of(DType dtype) {
  switch (dtype) {
    case DType::int4:
      return codec::find_format("int4");
    case DType::uint4:
      return codec::find_format("uint4");
    case DType::i8:
      return codec::find_format("int8");
    case DType::u8:
      return codec::find_format("uint8");
    default:
      return nullptr;
  }
}

/// The shape that Reshape gives to `elements` elements of `from`; nothing when it does not fit.
std::optional<Shape> reshaped_shape(const Shape& from, const Tensor& target, bool allow_zero, int64_t elements) {
  if (target.dtype() != DType::i64 || target.rank() != 1) return std::nullopt;
  Shape shape(target.values<int64_t>().begin(), target.values<int64_t>().end());
  int64_t known = 1;
  int64_t* open = nullptr;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && !allow_zero) {
      if (i >= from.size()) return std::nullopt;
      shape[i] = from[i];
    }
    if (shape[i] == -1 && !open) {
      open = &shape[i];
      continue;
    }
    const auto product = base::checked_mul(known, shape[i]);
    if (shape[i] < 0 || !product) return std::nullopt;
    known = *product;
  }
  if (open) {
    if (known == 0 || elements % known != 0) return std::nullopt;
    *open = elements / known;
    known = elements;
  }
  return known == elements ? std::optional(shape) : std::nullopt;
}

class Folder {
 public:
  explicit Folder(Graph& g) : g_(g), producers_(g.producers()), readers_(g.consumers()), outside_(readers_.size()) {
    for (const ValueId v : g.outputs) outside_[static_cast<size_t>(v)] = true;
  }

  void run() {
    const NodeId count = g_.node_count();
    for (NodeId id = 0; id < count; ++id) {
      const Node& node = g_.node(id);
      if (!node.removed && node.domain.empty() && node.op == "DequantizeLinear") fold(id);
    }
    drop_unread_casts();
    g_.compact();
  }

 private:
  /// Scales reach their DequantizeLinear through a Cast, which has no work left once that is folded.
  void drop_unread_casts() {
    const auto readers = g_.consumers();
    for (const NodeId cast : casts_) {
      const auto result = static_cast<size_t>(g_.node(cast).output(0));
      if (readers[result].empty() && !outside_[result]) g_.remove_node(cast);
    }
  }

  const Tensor* constant(ValueId v) const { return g_.is_constant(v) ? &g_.value(v).constant : nullptr; }

  /// The scale as stored: a constant, or the 16-bit constant that a Cast makes float.
  const Tensor* stored_scale(ValueId v) const {
    if (const Tensor* t = constant(v)) return t->dtype() == DType::f32 ? t : nullptr;
    if (v == kNoValue || producers_[static_cast<size_t>(v)] < 0) return nullptr;
    const Node& cast = g_.node(producers_[static_cast<size_t>(v)]);
    if (cast.op != "Cast" || !cast.domain.empty() || cast.integer("to", 0) != kOnnxFloat) return nullptr;
    const Tensor* t = constant(cast.input(0));
    return t && (t->dtype() == DType::f16 || t->dtype() == DType::bf16) ? t : nullptr;
  }

  /// The only node that reads `v`, when it is `op` and nothing else needs the value.
  NodeId only_reader(ValueId v, const char* op) const {
    if (readers_[static_cast<size_t>(v)].size() != 1 || outside_[static_cast<size_t>(v)]) return -1;
    const NodeId id = readers_[static_cast<size_t>(v)][0];
    const Node& node = g_.node(id);
    return node.domain.empty() && node.op == op && node.output(0) != kNoValue ? id : -1;
  }

  void fold(NodeId id) {
    const Node& node = g_.node(id);
    const Tensor *codes = constant(node.input(0)), *scale = stored_scale(node.input(1));
    const Tensor* zero = constant(node.input(2));
    ValueId result = node.output(0);
    if (!codes || !scale || result == kNoValue || (node.input(2) != kNoValue && !zero) || codes->quantization()) return;
    const codec::NumberFormat* format = format_of(codes->dtype());
    const int64_t output_type = node.integer("output_dtype", 0);
    if (!format || (output_type != 0 && output_type != kOnnxFloat)) return;

    auto q = std::make_shared<Quantization>();
    q->format = format;
    q->code_shape = codes->shape();
    q->block = node.integer("block_size", 0);
    const bool per_tensor = q->block == 0 && scale->elements() == 1 && scale->rank() <= 1;
    q->axis = per_tensor ? 0 : node.integer("axis", 1);
    if (q->axis < 0) q->axis += codes->rank();
    q->scale = per_tensor ? scale->reshaped({}) : *scale;
    if (zero) q->zero = per_tensor && zero->elements() == 1 ? zero->reshaped({}) : *zero;
    codec::check_quantization(codes->with_quantization(q), node.describe());

    std::vector<NodeId> chain{id};
    if (const NodeId add = only_reader(result, "Add"); add >= 0 && format->real_offset && q->block == 0)
      if (const auto offset = offset_of(g_.node(add), result, *q)) {
        q->offset = *offset;
        chain.push_back(add);
        result = g_.node(add).output(0);
      }
    Shape shape = codes->shape();
    if (const NodeId reshape = only_reader(result, "Reshape"); reshape >= 0 && g_.node(reshape).input(0) == result)
      if (const Tensor* target = constant(g_.node(reshape).input(1)))
        if (const auto s =
                reshaped_shape(shape, *target, g_.node(reshape).integer("allowzero", 0) != 0, codes->elements())) {
          shape = *s;
          chain.push_back(reshape);
          result = g_.node(reshape).output(0);
        }
    if (g_.is_output(result)) return;
    if (q->offset) codec::check_quantization(codes->with_quantization(q), node.describe());

    const auto key = std::make_tuple(node.input(0), node.input(1), node.input(2), q->axis, q->block,
                                     static_cast<const void*>(q->offset ? q->offset.bytes().data() : nullptr), shape);
    graph::Value& value = g_.value(result);
    value.dtype = DType::f32;
    value.shape_known = true;
    value.shape = shape;
    value.symbols.clear();
    value.constant = codes->reshaped(shape).with_quantization(q);
    for (const NodeId done : chain) g_.remove_node(done);
    if (!g_.is_constant(node.input(1))) casts_.push_back(producers_[static_cast<size_t>(node.input(1))]);
    if (const auto [same, first] = folded_.emplace(key, result); !first) g_.replace_uses(result, same->second);
  }

  /// The offset that `add` brings, in the scale's shape.
  std::optional<Tensor> offset_of(const Node& add, ValueId result, const Quantization& q) const {
    const ValueId other = add.input(0) == result ? add.input(1) : add.input(0);
    const Tensor* t = constant(other);
    if (!t || other == result || t->dtype() != DType::f32 || t->quantization()) return std::nullopt;
    const int64_t rank = static_cast<int64_t>(q.code_shape.size());
    if (t->rank() > rank || t->elements() != q.scale.elements()) return std::nullopt;
    if (t->elements() == 1) return t->reshaped(q.scale.shape());
    // One value an index of `axis`: every other dimension is 1, counted from the last as broadcasting does.
    for (int64_t i = 0; i < t->rank(); ++i) {
      const int64_t wanted = rank - t->rank() + i == q.axis ? q.code_shape[static_cast<size_t>(q.axis)] : 1;
      if (t->shape()[static_cast<size_t>(i)] != wanted) return std::nullopt;
    }
    return t->reshaped(q.scale.shape());
  }

  Graph& g_;
  std::vector<NodeId> producers_;
  std::vector<std::vector<NodeId>> readers_;
  std::vector<bool> outside_;  ///< values that the network's user or a subgraph reads
  std::vector<NodeId> casts_;
  std::map<std::tuple<ValueId, ValueId, ValueId, int64_t, int64_t, const void*, Shape>, ValueId> folded_;
};

template <typename Pass>
void for_each_subgraph(Graph& g, const Pass& pass) {
  for (NodeId id = 0; id < g.node_count(); ++id)
    for (auto& [key, attribute] : g.node(id).attributes)
      if (auto* inner = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        auto copy = std::make_shared<Graph>(**inner);  // copies of a Graph share their subgraphs
        pass(*copy);
        *inner = std::move(copy);
      }
}

}  // namespace

void fold_quantized_constants(Graph& g) {
  for_each_subgraph(g, [](Graph& inner) { fold_quantized_constants(inner); });
  Folder(g).run();
}

void widen_quantized_constants(Graph& g) {
  for_each_subgraph(g, [](Graph& inner) { widen_quantized_constants(inner); });
  const auto widened = [](const Tensor& t, DType dtype) { return codec::pack(dtype, t.shape(), codec::unpack(t)); };
  for (ValueId v = 0; v < g.value_count(); ++v) {
    const Tensor& t = g.value(v).constant;
    if (!t || !t.quantization() || (t.dtype() != DType::int4 && t.dtype() != DType::uint4)) continue;
    if (t.quantization()->format != format_of(t.dtype())) continue;  // save refuses it
    const DType wide = t.dtype() == DType::int4 ? DType::i8 : DType::u8;
    auto q = std::make_shared<Quantization>(*t.quantization());
    q->format = format_of(wide);
    if (q->zero) q->zero = widened(q->zero, wide);
    g.value(v).constant = widened(t, wide).with_quantization(std::move(q));
  }
}

}  // namespace nibble::model
