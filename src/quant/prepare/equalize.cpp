// Cross-layer equalization: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
// ICCV 2019, arXiv 1906.04721, section 4.1. Between two products with nothing but positively homogeneous steps, f(a x)
// = a f(x) for a > 0, channel i may be divided by s_i behind the first and multiplied by it before the second. With
// r1_i the largest magnitude of the first weight's output channel i and r2_i that of the second's input channel i,
//
//     s_i = sqrt(r1_i / r2_i),    W1[i] / s_i,  b1[i] / s_i,  W2[:, i] s_i,
//
// makes both ranges sqrt(r1_i r2_i). All pairs in turn, again until nothing changes; chains with a depthwise
// convolution in the middle are two pairs, whose fixed point is the paper's cubic root.
//
// Where we differ: s_i is rounded to a power of two. The float network then gives the same numbers bit for bit (unless
// one leaves the range of normal numbers), and ranges end within a factor of 2 of each other. High biases are not
// absorbed into the next layer.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "graph/products.h"
#include "quant/prepare/prepare.h"

namespace nibble::quant {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Tensor;

constexpr int kMostSweeps = 20;

/// A product with a float constant weight, and where its channels lie in it.
struct Product {
  NodeId node = -1;
  ValueId weight = kNoValue;
  bool convolution = false, transposed = false;  ///< transposed: stored [inputs, outputs]
  int64_t outputs = 0, inputs = 0;
  int64_t group_inputs = 0, group_outputs = 0, window = 1;

  template <typename Visit>
  void each_of_output(int64_t i, const Visit& visit) const {
    const int64_t columns = group_inputs * window;
    for (int64_t c = 0; c < columns; ++c) visit(static_cast<size_t>(transposed ? c * outputs + i : i * columns + c));
  }
  template <typename Visit>
  void each_of_input(int64_t i, const Visit& visit) const {
    const int64_t first = i / group_inputs * group_outputs, column = i % group_inputs;
    for (int64_t o = first; o < first + group_outputs; ++o)
      for (int64_t k = 0; k < window; ++k)
        visit(static_cast<size_t>(transposed ? column * outputs + o : (o * group_inputs + column) * window + k));
  }
};

struct Pair {
  size_t first, second;         ///< of Equalizer::products_
  std::vector<ValueId> biases;  ///< constants with a number a channel that are added between them
};

class Equalizer {
 public:
  explicit Equalizer(Graph& graph) : graph_(graph), readers_(graph.consumers()) {}

  std::string run() {
    std::map<NodeId, size_t> index;
    for (NodeId id = 0; id < graph_.node_count(); ++id)
      if (const auto product = describe(id)) {
        index[id] = products_.size();
        products_.push_back(*product);
      }
    for (size_t i = 0; i < products_.size(); ++i) find_pair(i, index);
    if (pairs_.empty()) return "no two layers with only Relu, LeakyRelu, PRelu or pooling between them";
    int sweeps = 0;
    while (sweeps < kMostSweeps && sweep()) ++sweeps;
    for (auto& [id, values] : values_) {
      Tensor t(DType::f32, graph_.value(id).constant.shape(), true);
      std::copy(values.begin(), values.end(), t.mutable_values<float>().begin());
      graph_.value(id).constant = std::move(t);
    }
    return std::to_string(pairs_.size()) + (pairs_.size() == 1 ? " pair" : " pairs") + " of layers, " +
           std::to_string(scaled_.size()) + (scaled_.size() == 1 ? " channel" : " channels") + " scaled";
  }

 private:
  bool private_constant(ValueId v) const {
    return graph_.is_constant(v) && graph_.value(v).constant.dtype() == DType::f32 &&
           !graph_.value(v).constant.quantization() && readers_[static_cast<size_t>(v)].size() == 1 &&
           !graph_.is_output(v);
  }
  bool bias_a_channel(ValueId v, int64_t channels) const {
    return private_constant(v) && graph_.value(v).constant.elements() == channels &&
           graph_.value(v).constant.rank() > 0 && graph_.value(v).constant.shape().back() == channels;
  }

  std::optional<Product> describe(NodeId id) const {
    const Node& node = graph_.node(id);
    if (!graph::is_product(node) || !private_constant(node.input(1))) return std::nullopt;
    const Tensor& w = graph_.value(node.input(1)).constant;
    Product p;
    p.node = id;
    p.weight = node.input(1);
    if (node.op == "Conv" && w.rank() >= 3 && w.elements() > 0) {
      const int64_t groups = node.integer("group", 1);
      if (groups < 1 || w.shape()[0] % groups != 0) return std::nullopt;
      p.convolution = true;
      p.outputs = w.shape()[0];
      p.group_inputs = w.shape()[1];
      p.group_outputs = p.outputs / groups;
      p.inputs = p.group_inputs * groups;
      p.window = w.elements() / (p.outputs * p.group_inputs);
      return p;
    }
    if (node.op == "Conv" || w.rank() != 2 || w.elements() == 0) return std::nullopt;
    if (node.op == "Gemm" && node.integer("transA", 0) != 0) return std::nullopt;
    p.transposed = node.op == "MatMul" || node.integer("transB", 0) == 0;
    p.outputs = p.group_outputs = w.shape()[p.transposed ? 1 : 0];
    p.inputs = p.group_inputs = w.shape()[p.transposed ? 0 : 1];
    return p;
  }

  /// Follows the output of a product to the next one.
  void find_pair(size_t first, const std::map<NodeId, size_t>& index) {
    const Product& from = products_[first];
    Pair pair{first, 0, {}};
    if (const ValueId bias = graph_.node(from.node).input(2); bias != kNoValue) {
      if (!bias_a_channel(bias, from.outputs)) return;
      pair.biases.push_back(bias);
    }
    NodeId at = from.node;
    for (;;) {
      const ValueId v = graph_.node(at).output(0);
      for (size_t i = 1; i < graph_.node(at).outputs.size(); ++i)
        if (graph_.node(at).outputs[i] != kNoValue) return;
      if (v == kNoValue || graph_.is_output(v) || readers_[static_cast<size_t>(v)].size() != 1) return;
      at = readers_[static_cast<size_t>(v)][0];
      const Node& next = graph_.node(at);
      if (std::count(next.inputs.begin(), next.inputs.end(), v) != 1) return;
      if (const auto it = index.find(at); it != index.end() && next.input(0) == v) {
        const Product& to = products_[it->second];
        if (to.convolution != from.convolution || to.inputs != from.outputs) return;
        pair.second = it->second;
        pairs_.push_back(pair);
        return;
      }
      if (!next.domain.empty()) return;
      if (next.op == "Add" && next.inputs.size() == 2 && !from.convolution) {
        const ValueId other = next.inputs[next.inputs[0] == v ? 1 : 0];
        if (!bias_a_channel(other, from.outputs)) return;
        pair.biases.push_back(other);
        continue;
      }
      if (next.input(0) != v) return;
      const auto among = [&](std::initializer_list<const char*> names) {
        return std::any_of(names.begin(), names.end(), [&](const char* name) { return next.op == name; });
      };
      if (!among({"Relu", "LeakyRelu", "PRelu", "Identity"}) &&
          !(from.convolution && among({"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"})))
        return;
    }
  }

  std::vector<float>& values_of(ValueId v) {
    const auto [it, fresh] = values_.try_emplace(v);
    if (fresh) {
      const auto from = graph_.value(v).constant.values<float>();
      it->second.assign(from.begin(), from.end());
    }
    return it->second;
  }

  /// One round over all pairs; true when something changed.
  bool sweep() {
    bool changed = false;
    for (const Pair& pair : pairs_) {
      const Product &first = products_[pair.first], &second = products_[pair.second];
      std::vector<float>&w1 = values_of(first.weight), &w2 = values_of(second.weight);
      for (int64_t i = 0; i < first.outputs; ++i) {
        float r1 = 0.0f, r2 = 0.0f;
        first.each_of_output(i, [&](size_t at) { r1 = std::max(r1, std::fabs(w1[at])); });
        second.each_of_input(i, [&](size_t at) { r2 = std::max(r2, std::fabs(w2[at])); });
        if (!(r1 > 0.0f) || !(r2 > 0.0f) || !std::isfinite(r1) || !std::isfinite(r2)) continue;  // a dead channel
        const auto exponent = static_cast<int>(std::nearbyint(std::log2(double{r1} / double{r2}) / 2));
        if (exponent == 0) continue;
        changed = true;
        scaled_.insert({pair.first, i});
        first.each_of_output(i, [&](size_t at) { w1[at] = std::ldexp(w1[at], -exponent); });
        second.each_of_input(i, [&](size_t at) { w2[at] = std::ldexp(w2[at], exponent); });
        for (const ValueId bias : pair.biases) {
          float& b = values_of(bias)[static_cast<size_t>(i)];
          b = std::ldexp(b, -exponent);
        }
      }
    }
    return changed;
  }

  Graph& graph_;
  std::vector<std::vector<NodeId>> readers_;
  std::vector<Product> products_;
  std::vector<Pair> pairs_;
  std::map<ValueId, std::vector<float>> values_;
  std::set<std::pair<size_t, int64_t>> scaled_;
};

}  // namespace

const Preparation& equalize_preparation() {
  static const Preparation p{
      "equalize",
      "cross-layer equalization: channels between two layers are scaled so that both weights have "
      "the same range",
      [](Graph& graph) { return Equalizer(graph).run(); }, false};
  return p;
}

}  // namespace nibble::quant
