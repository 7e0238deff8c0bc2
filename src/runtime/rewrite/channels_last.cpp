// Layout rewriting. Every two-dimensional convolution and pooling is made to run on [N,H,W,C] between two
// transpositions; then transpositions move down through the operators that do not mind, until they meet and cancel.
#include <algorithm>

#include "ops/operator.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::runtime {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::Value;
using graph::ValueId;
using tensor::Shape;
using tensor::Tensor;
using Permutation = std::vector<int64_t>;

const Permutation kToLast{0, 2, 3, 1}, kToSecond{0, 3, 1, 2};

bool identity(const Permutation& p) {
  for (size_t i = 0; i < p.size(); ++i)
    if (p[i] != static_cast<int64_t>(i)) return false;
  return true;
}
Permutation inverse(const Permutation& p) {
  Permutation q(p.size());
  for (size_t i = 0; i < p.size(); ++i) q[static_cast<size_t>(p[i])] = static_cast<int64_t>(i);
  return q;
}
Shape permuted(const Shape& shape, const Permutation& p) {
  Shape out;
  for (const int64_t d : p) out.push_back(shape[static_cast<size_t>(d)]);
  return out;
}

class LayoutRewriter {
 public:
  explicit LayoutRewriter(Graph& graph) : graph_(graph) {}

  void run() {
    const NodeId count = graph_.node_count();
    for (NodeId id = 0; id < count; ++id) wrap(id);
    graph_.compact();
    // Nodes are visited in topological order, so a transposition moves all the way down in one sweep; a sweep that
    // changes nothing ends it.
    for (int sweep = 0; sweep < 50; ++sweep) {
      producers_ = graph_.producers();
      bool changed = false;
      const NodeId before = graph_.node_count();
      for (NodeId id = 0; id < before; ++id) changed = merge(id) || sink(id) || changed;
      if (!changed) break;
      remove_dead_nodes(graph_);
      graph_.compact();
    }
  }

 private:
  ValueId new_value(const Value& like, const Shape& shape, const char* suffix) {
    Value v;
    v.name = like.name + suffix;
    v.dtype = like.dtype;
    v.shape_known = true;
    v.shape = shape;
    return graph_.add_value(std::move(v));
  }

  void add_transpose(ValueId from, ValueId to, const Permutation& perm) {
    Node t;
    t.op = "Transpose";
    t.inputs = {from};
    t.outputs = {to};
    t.attributes["perm"] = perm;
    graph_.add_node(std::move(t));
  }

  /// Makes one convolution or pooling run channels last between two transpositions.
  void wrap(NodeId id) {
    const Node& node = graph_.node(id);
    const bool windowed =
        node.is("Conv") || node.is("MaxPool") || node.is("AveragePool") || node.is("GlobalAveragePool") ||
        node.is("GlobalMaxPool") ||
        (!node.removed && node.domain == "nibble" && (node.op == "FusedConv" || node.op == "IntegerConv"));
    if (!windowed || node.outputs.size() != 1 || node.integer("channels_last", 0) != 0) return;
    const ValueId x = node.input(0), y = node.output(0);
    const Value &in = graph_.value(x), &out = graph_.value(y);
    if (!in.shape_known || in.shape.size() != 4 || !out.shape_known || out.shape.size() != 4) return;
    const bool pooling = node.domain.empty() && node.op != "Conv";
    if (pooling && in.dtype != tensor::DType::f32) return;  // poolings of other types run channels second
    const ValueId x_last = new_value(in, permuted(in.shape, kToLast), "_nhwc");
    const ValueId y_last = new_value(graph_.value(y), permuted(graph_.value(y).shape, kToLast), "_nhwc");
    add_transpose(x, x_last, kToLast);
    Node& wrapped = graph_.node(id);
    if (wrapped.op == "Conv") {
      wrapped.op = "FusedConv";
      wrapped.domain = "nibble";
    }
    wrapped.inputs[0] = x_last;
    wrapped.outputs[0] = y_last;
    wrapped.attributes["channels_last"] = int64_t{1};
    add_transpose(y_last, y, kToSecond);
  }

  /// The transposition that writes a value, or nullptr.
  const Node* transpose_before(ValueId v) const {
    if (v == kNoValue || static_cast<size_t>(v) >= producers_.size()) return nullptr;
    const NodeId id = producers_[static_cast<size_t>(v)];
    if (id < 0 || !graph_.node(id).is("Transpose") || !graph_.node(id).has("perm")) return nullptr;
    return &graph_.node(id);
  }

  /// Transpose(Transpose(x)) -> one, or none.
  bool merge(NodeId id) {
    if (!graph_.node(id).is("Transpose") || !graph_.node(id).has("perm")) return false;
    const Node* first = transpose_before(graph_.node(id).input(0));
    if (!first) return false;
    const Permutation p = first->integers("perm"), q = graph_.node(id).integers("perm");
    if (p.size() != q.size()) return false;
    const Permutation both = permuted(p, q);
    const ValueId source = first->input(0), target = graph_.node(id).output(0);
    if (identity(both) && !graph_.is_output(target)) {
      graph_.remove_node(id);
      graph_.replace_uses(target, source);
      return true;
    }
    graph_.node(id).inputs[0] = source;
    graph_.node(id).attributes["perm"] = both;
    return true;
  }

  /// op(Transpose(x), ...) -> Transpose(op(x, ...)) where every data input comes through the same permutation.
  bool sink(NodeId id) {
    const Node node = graph_.node(id);
    if (node.removed || node.outputs.size() != 1) return false;
    const ops::Operator* op = ops::find_operator(node.op, node.domain);
    const bool coder = node.is("QuantizeLinear") || node.is("DequantizeLinear");
    const bool broadcast = op && op->layout == ops::Layout::kBroadcast;
    const bool elementwise = broadcast || (op && op->layout == ops::Layout::kElementwise);
    const bool axis_op = node.is("Concat") || node.is("Slice") || node.is("Pad");
    if (!elementwise && !coder && !axis_op) return false;
    // Which inputs carry data; the others (limits, scales, axes) must not depend on the layout.
    const size_t data_inputs = node.is("Concat") || broadcast ? node.inputs.size() : 1;
    if (coder && (!graph_.is_constant(node.input(1)) || graph_.value(node.input(1)).constant.elements() != 1 ||
                  node.integer("block_size", 0)))
      return false;
    if (coder && tensor::is_packed(graph_.value(node.output(0)).dtype)) return false;

    Permutation perm;
    std::vector<ValueId> sources(node.inputs);
    for (size_t i = 0; i < data_inputs; ++i) {
      const Node* t = transpose_before(node.inputs[i]);
      if (t) {
        const Permutation p = t->integers("perm");
        if (!perm.empty() && p != perm) return false;
        perm = p;
        sources[i] = t->input(0);
      } else if (!broadcast || !graph_.is_constant(node.inputs[i])) {
        return false;
      }
    }
    if (perm.empty()) return false;
    const Value y = graph_.value(node.output(0));  // a copy: constants are added below
    if (!y.shape_known || y.shape.size() != perm.size()) return false;
    Node moved = node;
    for (size_t i = 0; i < data_inputs; ++i) {
      if (transpose_before(node.inputs[i])) continue;
      if (!permute_constant(node.inputs[i], perm, sources[i])) return false;
    }
    moved.inputs = sources;
    if (axis_op && !map_axes(moved, perm)) return false;
    const ValueId y_before = new_value(y, permuted(y.shape, inverse(perm)), "_t");
    moved.outputs[0] = y_before;
    const ValueId target = node.output(0);
    graph_.node(id) = moved;
    add_transpose(y_before, target, perm);
    // The new node stands after its readers until `compact`; tell later nodes of this sweep about it.
    producers_.resize(static_cast<size_t>(graph_.value_count()), -1);
    producers_[static_cast<size_t>(y_before)] = id;
    producers_[static_cast<size_t>(target)] = graph_.node_count() - 1;
    return true;
  }

  /// A constant operand as it must look before the transposition; single numbers stay.
  bool permute_constant(ValueId v, const Permutation& perm, ValueId& result) {
    const Tensor constant = graph_.value(v).constant;
    result = v;
    if (constant.elements() == 1 && constant.rank() <= static_cast<int64_t>(perm.size())) {
      result = graph_.add_constant(graph_.unique_name(graph_.value(v).name + "_t"), constant.reshaped({}));
      return true;
    }
    if (constant.dtype() != tensor::DType::f32 || constant.quantization() ||
        constant.rank() > static_cast<int64_t>(perm.size()))
      return false;
    Shape full = constant.shape();
    while (full.size() < perm.size()) full.insert(full.begin(), 1);
    const Permutation back = inverse(perm);
    Tensor moved(tensor::DType::f32, permuted(full, back), true);
    const auto from = constant.values<float>();
    auto to = moved.mutable_values<float>();
    for (int64_t i = 0; i < moved.elements(); ++i) {
      int64_t rest = i, at = 0;
      std::vector<int64_t> index(full.size());
      for (size_t d = full.size(); d-- > 0; rest /= moved.shape()[d])
        index[static_cast<size_t>(back[d])] = rest % moved.shape()[d];
      for (size_t d = 0; d < full.size(); ++d) at = at * full[d] + index[d];
      to[static_cast<size_t>(i)] = from[static_cast<size_t>(at)];
    }
    result = graph_.add_constant(graph_.unique_name(graph_.value(v).name + "_t"), std::move(moved));
    return true;
  }

  /// Names the same dimensions before the transposition: dimension d after it is perm[d] before.
  bool map_axes(Node& node, const Permutation& perm) {
    const auto rank = static_cast<int64_t>(perm.size());
    const auto before = [&](int64_t axis) { return perm[static_cast<size_t>(axis < 0 ? axis + rank : axis)]; };
    if (node.op == "Concat") {
      const int64_t axis = node.integer("axis", 0);
      if (axis < -rank || axis >= rank) return false;
      node.attributes["axis"] = before(axis);
      return true;
    }
    // Slice and Pad: both have the axes as input 3.
    const ValueId counted = node.input(1);
    if (!graph_.is_constant(counted)) return false;
    int64_t count = graph_.value(counted).constant.elements();
    if (node.op == "Pad") count /= 2;
    std::vector<int64_t> axes;
    const ValueId named = node.input(3);
    if (named != kNoValue) {
      if (!graph_.is_constant(named) || graph_.value(named).constant.dtype() != tensor::DType::i64) return false;
      const auto list = graph_.value(named).constant.values<int64_t>();
      axes.assign(list.begin(), list.end());
    } else {
      for (int64_t i = 0; i < count; ++i) axes.push_back(i);
    }
    for (int64_t& axis : axes) {
      if (axis < -rank || axis >= rank) return false;
      axis = before(axis);
    }
    node.inputs.resize(std::max<size_t>(node.inputs.size(), 4), kNoValue);
    node.inputs[3] = graph_.add_constant(graph_.unique_name("axes_t"),
                                         Tensor::of<int64_t>({static_cast<int64_t>(axes.size())}, axes));
    return true;
  }

  Graph& graph_;
  std::vector<NodeId> producers_;
};

}  // namespace

void use_channels_last(Graph& graph) { LayoutRewriter(graph).run(); }

}  // namespace nibble::runtime
