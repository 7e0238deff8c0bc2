#include <algorithm>
#include <memory>
#include <string>
#include <unordered_set>

#include "base/error.h"
#include "codec/format.h"
#include "model/quantized_constants.h"
#include "tensor/quantization.h"

namespace nibble::model {
using graph::Graph;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Quantization;
using tensor::Shape;
using tensor::Tensor;

namespace {

constexpr int64_t kOnnxFloat = 1;  // TensorProto.DataType

/// Refuses what no runtime reads.
void check_has_onnx_form(const std::string& name, const Tensor& t) {
  const Quantization& q = *t.quantization();
  const std::string place = "tensor " + base::in_quotes(name);
  const bool integer =
      q.format->uniform() && !q.format->tensor_scale &&
      (q.scale.dtype() == DType::f32 || q.scale.dtype() == DType::f16 || q.scale.dtype() == DType::bf16);
  if (!integer)
    base::fail_unsupported(
        place,
        "has the number format " + std::string(q.format->name) + ", which has no ONNX form that runtimes run on a CPU",
        "use int4 or uint4 to write a file; `nibble eval` runs this format");
  if (q.offset && q.block > 0)
    base::fail_unsupported(place, "has the map minmax with groups, which ONNX's DequantizeLinear cannot say",
                           "use the map affine with groups, minmax per tensor or per channel, or, for products of "
                           "floats, --onnx-style matmulnbits");
}

class Expander {
 public:
  explicit Expander(Graph& g) : g_(g) {
    for (ValueId v = 0; v < g.value_count(); ++v) names_.insert(g.value(v).name);
  }

  void run() {
    const auto readers = g_.consumers();
    const ValueId count = g_.value_count();
    for (ValueId v = 0; v < count; ++v)
      if (g_.is_constant(v) && g_.value(v).constant.quantization()) expand(v, readers[static_cast<size_t>(v)]);
    g_.compact();
  }

 private:
  /// The constants of one quantized tensor, and the steps from them to its real values.
  struct Parts {
    ValueId codes, scale, zero = graph::kNoValue, offset = graph::kNoValue, shape = graph::kNoValue;
    int64_t axis, block;
    bool per_tensor;
  };

  std::string unique(const std::string& stem) {
    std::string candidate = stem;
    for (int i = 1; !names_.insert(candidate).second; ++i) candidate = stem + "_" + std::to_string(i);
    return candidate;
  }
  ValueId constant(const std::string& stem, Tensor t) { return g_.add_constant(unique(stem), std::move(t)); }
  ValueId value(const std::string& stem) {
    graph::Value v;
    v.name = unique(stem);
    return g_.add_value(std::move(v));
  }
  ValueId step(Node node, ValueId result) {
    node.name = g_.value(result).name + "/" + node.op;
    node.outputs = {result};
    g_.add_node(std::move(node));
    return result;
  }

  void expand(ValueId v, std::vector<NodeId> readers) {
    const std::string name = g_.value(v).name;
    const Tensor t = g_.value(v).constant;
    check_has_onnx_form(name, t);
    codec::check_quantization(t, "tensor " + base::in_quotes(name));
    const Parts parts = add_parts(name, t);
    g_.value(v).constant = {};
    chain(name, parts, v);
    // The first reader, the network's own outputs and subgraphs read NAME; every further reader gets a chain of its
    // own.
    std::sort(readers.begin(), readers.end());
    readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
    for (size_t i = 1; i < readers.size(); ++i) {
      const ValueId copy = value(name);
      g_.value(copy).shape_known = true;
      g_.value(copy).shape = t.shape();
      chain(name, parts, copy);
      auto& inputs = g_.node(readers[i]).inputs;
      std::replace(inputs.begin(), inputs.end(), v, copy);
    }
  }

  Parts add_parts(const std::string& name, const Tensor& t) {
    const Quantization& q = *t.quantization();
    Parts p;
    p.per_tensor = q.scale.rank() == 0;
    p.axis = q.axis;
    p.block = q.block;
    p.codes = constant(name + "_quantized", t.with_quantization(nullptr).reshaped(q.code_shape));
    p.scale = constant(name + "_scale", q.scale);
    if (q.scale.dtype() != DType::f32) {
      Node cast{"Cast", "", "", {p.scale}, {}, {}};
      cast.attributes["to"] = kOnnxFloat;
      p.scale = step(std::move(cast), value(name + "_scale_f32"));
    }
    if (q.zero) p.zero = constant(name + "_zero_point", q.zero);
    if (q.offset) {
      Shape shape;
      if (q.offset.rank() == 1) {
        shape.assign(q.code_shape.size(), 1);
        if (!shape.empty()) shape[static_cast<size_t>(q.axis)] = q.offset.elements();
      }
      p.offset = constant(name + "_offset", q.offset.reshaped(shape));
    }
    if (t.shape() != q.code_shape) {
      const auto rank = static_cast<int64_t>(t.shape().size());
      p.shape = constant(name + "_shape", Tensor::of<int64_t>({rank}, t.shape()));
    }
    return p;
  }

  /// DequantizeLinear [Add] [Reshape] from `parts` to the value `result`.
  void chain(const std::string& name, const Parts& parts, ValueId result) {
    const bool add = parts.offset != graph::kNoValue, reshape = parts.shape != graph::kNoValue;
    Node dequantize{"DequantizeLinear", "", "", {parts.codes, parts.scale}, {}, {}};
    if (parts.zero != graph::kNoValue) dequantize.inputs.push_back(parts.zero);
    // The default axis is 1: always written, so that a square weight cannot be read along the wrong one.
    if (!parts.per_tensor) dequantize.attributes["axis"] = parts.axis;
    if (parts.block > 0) dequantize.attributes["block_size"] = parts.block;
    ValueId at = step(std::move(dequantize), add || reshape ? value(name + "_dequantized") : result);
    if (add) at = step({"Add", "", "", {at, parts.offset}, {}, {}}, reshape ? value(name + "_shifted") : result);
    if (!reshape) return;
    Node last{"Reshape", "", "", {at, parts.shape}, {}, {}};
    last.attributes["allowzero"] = int64_t{1};
    step(std::move(last), result);
  }

  Graph& g_;
  std::unordered_set<std::string> names_;
};

}  // namespace

void expand_quantized_constants(Graph& g) {
  for (NodeId id = 0; id < g.node_count(); ++id)
    for (auto& [key, attribute] : g.node(id).attributes)
      if (auto* inner = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        auto copy = std::make_shared<Graph>(**inner);  // copies of a Graph share their subgraphs
        expand_quantized_constants(*copy);
        *inner = std::move(copy);
      }
  Expander(g).run();
}

}  // namespace nibble::model
