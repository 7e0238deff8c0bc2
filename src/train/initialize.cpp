// Random initialisation. He, Zhang, Ren, Sun, "Delving Deep into Rectifiers" (2015): Var(w) = 2 / fan-in keeps the
// variance of activations from layer to layer when each is followed by a rectifier.
#include "train/initialize.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "graph/products.h"

namespace nibble::train {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;

constexpr double kEmbeddingDeviation = 0.02;
constexpr float kSlope = 0.25f;

bool is_recurrent(const Node& node) { return node.is("RNN") || node.is("GRU") || node.is("LSTM"); }

/// Whether a node multiplies with its second input.
bool multiplies(const Node& node) { return graph::is_product(node) || node.is("ConvTranspose"); }

bool is_normalization(const Node& node) {
  return node.is("BatchNormalization") || node.is("InstanceNormalization") || node.is("LayerNormalization") ||
         node.is("GroupNormalization") || node.is("RMSNormalization");
}

int64_t product_of(const std::vector<int64_t>& numbers, size_t from = 0) {
  int64_t product = 1;
  for (size_t i = from; i < numbers.size(); ++i) product *= numbers[i];
  return product;
}

/// How many products one output of the node sums.
double fan_in(const Node& node, const Shape& w) {
  if (node.op == "Conv") return static_cast<double>(product_of(w, 1));
  if (node.op == "ConvTranspose")
    return static_cast<double>(w[0]) / static_cast<double>(node.integer("group", 1)) *
           static_cast<double>(product_of(w, 2)) / static_cast<double>(product_of(node.integers("strides")));
  if (node.op == "Gemm") return static_cast<double>(w[node.integer("transB", 0) ? 1 : 0]);
  return static_cast<double>(w[w.size() < 2 ? 0 : w.size() - 2]);
}

/// How many different numbers an output has along its channels: what a bias holds.
int64_t outputs_of(const Node& node, const Shape& w) {
  if (node.op == "Conv") return w[0];
  if (node.op == "ConvTranspose") return w[1] * node.integer("group", 1);
  if (node.op == "Gemm") return w[node.integer("transB", 0) ? 0 : 1];
  return w.size() < 2 ? 1 : w.back();
}

class Initializer {
 public:
  Initializer(Graph& graph, uint64_t seed) : graph_(graph), seed_(seed), consumers_(graph.consumers()) {}

  std::vector<Initialized> run() {
    for (NodeId id = 0; id < graph_.node_count(); ++id) visit(graph_.node(id));
    if (done_.empty())
      base::fail_unsupported("", "the network has no weights that could be initialised",
                             "training from scratch needs operators with constant weights");
    return std::move(done_);
  }

 private:
  void visit(const Node& node) {
    if (node.removed || !node.domain.empty()) return;
    if (multiplies(node))
      product(node);
    else if (is_recurrent(node))
      recurrent(node);
    else if (is_normalization(node))
      normalization(node);
    else if (node.is("PRelu") && is_real(node.input(1)))
      fill(node.input(1), kSlope, "slopes of 0.25");
    else if (node.is("Gather") && node.integer("axis", 0) == 0 && is_real(node.input(0)) &&
             shape(node.input(0)).size() == 2 && !graph_.is_constant(node.input(1)))
      normal(node.input(0), kEmbeddingDeviation * kEmbeddingDeviation, "normal, deviation 0.02");
  }

  void product(const Node& node) {
    if (!graph_.is_constant(node.input(1))) return;
    require_real(node, node.input(1));
    const Shape& w = shape(node.input(1));
    const double fan = std::max(1.0, fan_in(node, w)), gain = leads_to_output(node) ? 1 : 2;
    normal(node.input(1), gain / fan, gain, fan);
    if (is_real(node.input(2))) fill(node.input(2), 0, "zeros");
    for (const NodeId reader : consumers_[static_cast<size_t>(node.output(0))]) {
      const Node& add = graph_.node(reader);
      if (!add.is("Add")) continue;
      for (const ValueId v : add.inputs)
        if (is_real(v) && graph_.value(v).constant.elements() == outputs_of(node, w)) fill(v, 0, "zeros");
    }
  }

  void recurrent(const Node& node) {
    for (const size_t i : {size_t{1}, size_t{2}}) {
      if (!graph_.is_constant(node.input(i))) continue;
      require_real(node, node.input(i));
      const double fan = static_cast<double>(std::max<int64_t>(1, shape(node.input(i)).back()));
      normal(node.input(i), 1 / fan, 1, fan);
    }
    if (is_real(node.input(7))) fill(node.input(7), 0, "zeros");
    const ValueId bias = node.input(3);
    if (!is_real(bias)) return;
    if (!node.is("LSTM") || shape(bias).size() != 2) return fill(bias, 0, "zeros");
    // B [directions, 8 * hidden]: the input biases of the gates i, o, f, c, then the recurrent ones.
    const int64_t row = shape(bias)[1], hidden = row / 8;
    set(bias, "zeros, the forget gate 1",
        [&](int64_t i) { return i % row >= 2 * hidden && i % row < 3 * hidden ? 1.0f : 0.0f; });
  }

  void normalization(const Node& node) {
    const float start[] = {1, 0, 0, 1};
    const char* const how[] = {"ones", "zeros", "zeros", "ones"};
    for (size_t i = 1; i < std::min<size_t>(node.inputs.size(), 5); ++i)
      if (is_real(node.input(i))) fill(node.input(i), start[i - 1], how[i - 1]);
  }

  /// Whether what the node computes becomes an output of the network through no other product.
  bool leads_to_output(const Node& node) const {
    std::vector<ValueId> open(node.outputs.begin(), node.outputs.end());
    std::set<ValueId> seen;
    while (!open.empty()) {
      const ValueId v = open.back();
      open.pop_back();
      if (v == kNoValue || !seen.insert(v).second) continue;
      if (graph_.is_output(v)) return true;
      for (const NodeId reader : consumers_[static_cast<size_t>(v)]) {
        const Node& next = graph_.node(reader);
        if (!multiplies(next) && !is_recurrent(next)) open.insert(open.end(), next.outputs.begin(), next.outputs.end());
      }
    }
    return false;
  }

  const Shape& shape(ValueId v) const { return graph_.value(v).constant.shape(); }

  /// A float constant that can take other numbers.
  bool is_real(ValueId v) const {
    return graph_.is_constant(v) && graph_.value(v).constant.dtype() == DType::f32 &&
           !graph_.value(v).constant.quantization();
  }

  void require_real(const Node& node, ValueId v) const {
    if (is_real(v)) return;
    base::fail_unsupported(node.describe(),
                           "its weight " + base::in_quotes(graph_.value(v).name) +
                               (graph_.value(v).constant.quantization() ? " is quantized" : " is no 32-bit float"),
                           "training from scratch starts with a float network");
  }

  void normal(ValueId v, double variance, const std::string& how) {
    base::Random random(seed_, done_.size());
    const double deviation = std::sqrt(variance);
    set(v, how, [&](int64_t) { return static_cast<float>(random.normal() * deviation); });
  }
  void normal(ValueId v, double variance, double gain, double fan) {
    normal(v, variance, "normal, variance " + number(gain) + " / " + number(fan));
  }
  void fill(ValueId v, float value, const std::string& how) {
    set(v, how, [&](int64_t) { return value; });
  }

  /// The first reader of a constant decides.
  template <typename Value>
  void set(ValueId v, const std::string& how, Value&& value) {
    if (!seen_.insert(v).second) return;
    Tensor& constant = graph_.value(v).constant;
    Tensor made(DType::f32, constant.shape(), true);
    int64_t i = 0;
    for (float& to : made.mutable_values<float>()) to = value(i++);
    constant = std::move(made);
    done_.push_back({graph_.value(v).name, how, constant.elements()});
  }

  static std::string number(double value) {
    if (value == std::floor(value)) return std::to_string(static_cast<int64_t>(value));
    return std::to_string(value);
  }

  Graph& graph_;
  const uint64_t seed_;
  const std::vector<std::vector<NodeId>> consumers_;
  std::set<ValueId> seen_;
  std::vector<Initialized> done_;
};

}  // namespace

std::vector<Initialized> initialize_randomly(Graph& graph, uint64_t seed) { return Initializer(graph, seed).run(); }

}  // namespace nibble::train
