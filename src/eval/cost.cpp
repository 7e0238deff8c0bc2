#include "eval/cost.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>

#include "base/error.h"
#include "codec/format.h"
#include "graph/products.h"
#include "runtime/infer_shapes.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::eval {

namespace {

/// The graph with its inputs' sizes known, and what computes shapes from them folded, for counting.
graph::Graph at_shapes(const graph::Graph& graph, std::span<const tensor::Tensor> inputs) {
  graph::Graph g = graph;
  for (size_t i = 0; i < inputs.size(); ++i) {
    graph::Value& v = g.value(g.inputs.at(i));
    v.shape = inputs[i].shape();
    v.shape_known = true;
  }
  runtime::infer_shapes(g);
  base::ThreadPool pool(1);  // constants are small
  runtime::settle(g, pool, {});
  g.compact();
  return g;
}

bool is_known(const graph::Graph& g, graph::ValueId v) {
  return v != graph::kNoValue && g.value(v).shape_known && tensor::is_known(g.value(v).shape);
}

/// LSTM, GRU, RNN: every step of every sequence meets W and R. ConvTranspose: each input meets one row of the weight.
int64_t macs_by_inputs(const graph::Graph& g, const graph::Node& node) {
  if (!is_known(g, node.input(0)) || !is_known(g, node.input(1)) || g.value(node.input(0)).shape.empty()) return 0;
  const tensor::Shape &x = g.value(node.input(0)).shape, &w = g.value(node.input(1)).shape;
  const int64_t weights = tensor::element_count(w), inputs = tensor::element_count(x);
  if (node.op == "ConvTranspose") return inputs * (weights / std::max<int64_t>(1, w[0]));
  if (!is_known(g, node.input(2))) return 0;
  return inputs / std::max<int64_t>(1, x.back()) * (weights + tensor::element_count(g.value(node.input(2)).shape));
}

}  // namespace

int64_t macs_of(const graph::Graph& g, const graph::Node& node) {
  if (node.is("LSTM") || node.is("GRU") || node.is("RNN") || node.is("ConvTranspose")) return macs_by_inputs(g, node);
  if (node.op == "MatMulNBits" && node.output(0) != graph::kNoValue) {
    const graph::Value& out = g.value(node.output(0));
    return out.shape_known && tensor::is_known(out.shape) ? tensor::element_count(out.shape) * node.integer("K", 0) : 0;
  }
  const bool integer = node.domain == "nibble" && (node.op == "IntegerConv" || node.op == "IntegerMatMul");
  const bool fused = node.domain == "nibble" && node.op == "FusedConv";
  if (!graph::is_product(node) && !integer && !fused) return 0;
  const graph::ValueId weight = node.input(integer ? 3 : 1);
  if (!is_known(g, weight) || !is_known(g, node.output(0))) return 0;
  const graph::Value &w = g.value(weight), &y = g.value(node.output(0));
  const int64_t outputs = tensor::element_count(y.shape);
  if (node.op == "Conv" || node.op == "FusedConv" || node.op == "IntegerConv")
    return outputs * (tensor::element_count(w.shape) / std::max<int64_t>(1, w.shape[0]));
  if (w.shape.size() < 2) return outputs;
  const bool inner_last = (node.op == "Gemm" && node.integer("transB", 0)) ||
                          (node.op == "IntegerMatMul" && !node.integer("outputs_last", 0));
  return outputs * w.shape[w.shape.size() - (inner_last ? 1 : 2)];
}

int64_t count_macs(const graph::Graph& graph, std::span<const tensor::Tensor> inputs) {
  const graph::Graph g = at_shapes(graph, inputs);
  int64_t macs = 0;
  for (graph::NodeId id = 0; id < g.node_count(); ++id) macs += macs_of(g, g.node(id));
  return macs;
}

int64_t constant_bytes(const graph::Graph& graph) {
  int64_t bytes = 0;
  for (graph::ValueId v = 0; v < graph.value_count(); ++v)
    if (graph.is_constant(v)) bytes += codec::stored_bytes(graph.value(v).constant);
  return bytes;
}

Energy estimate_energy(const graph::Graph& graph, std::span<const tensor::Tensor> inputs) {
  // Picojoules; see the header.
  constexpr double kMultiplyF32 = 1.31, kAddF32 = 0.38, kMultiplyInt8 = 0.07, kAddInt32 = 0.03, kSramBit = 14.0 / 64,
                   kDramBit = 1300.0 / 64;
  const graph::Graph g = at_shapes(graph, inputs);
  const auto producers = g.producers();
  double pj = 0;
  for (graph::NodeId id = 0; id < g.node_count(); ++id) {
    const graph::Node& node = g.node(id);
    const auto macs = static_cast<double>(macs_of(g, node));
    int activation_bits = 32, weight_bits = 32;
    const bool nbits = node.op == "MatMulNBits";  // float arithmetic, whatever its input was
    if (macs > 0) {
      const graph::NodeId before = producers[static_cast<size_t>(node.input(0))];
      if (before >= 0 && g.node(before).op == "DequantizeLinear")
        activation_bits = tensor::bits_of(g.value(g.node(before).input(0)).dtype);
      const tensor::Tensor& w = g.value(node.input(1)).constant;
      if (w && w.quantization()) weight_bits = tensor::bits_of(w.dtype());
      if (nbits) weight_bits = static_cast<int>(node.integer("bits", 4));
    }
    // Integer arithmetic needs both operands narrow; a 4-bit weight against a float activation is decoded first.
    const bool integer = activation_bits <= 8 && weight_bits <= 8 && !nbits;
    pj += macs * (integer ? kMultiplyInt8 * activation_bits * weight_bits / 64.0 + kAddInt32 : kMultiplyF32 + kAddF32);
    if (!integer && weight_bits <= 8)
      pj += (nbits ? static_cast<double>(node.integer("K", 0)) * static_cast<double>(node.integer("N", 0))
                   : static_cast<double>(g.value(node.input(1)).constant.elements())) *
            kMultiplyF32;
    for (const graph::ValueId v : node.outputs) {
      if (v == graph::kNoValue || !g.value(v).shape_known || !tensor::is_known(g.value(v).shape)) continue;
      pj += 2.0 * static_cast<double>(tensor::element_count(g.value(v).shape)) * tensor::bits_of(g.value(v).dtype) *
            kSramBit;  // written, read
    }
  }
  pj += 8.0 * static_cast<double>(constant_bytes(g)) * kDramBit;
  return {pj * 1e-12, true, "operation and byte counts with the 7 nm energies of Jouppi et al., ISCA 2021"};
}

std::optional<EnergyMeter> EnergyMeter::open(const std::string& command) {
  EnergyMeter meter;
  if (!command.empty()) {
    meter.command_ = command;
    meter.source_ = "--energy-cmd";
    meter.joules();
    return meter;
  }
  std::error_code error;
  const std::filesystem::path root("/sys/class/powercap");
  if (!std::filesystem::is_directory(root, error)) return std::nullopt;
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("intel-rapl:", 0) != 0 || std::count(name.begin(), name.end(), ':') != 1)
      continue;  // packages, not their parts
    const auto counter = entry.path() / "energy_uj";
    double value = 0;
    if (std::ifstream(counter) >> value) meter.counters_.push_back(counter.string());
  }
  if (meter.counters_.empty()) return std::nullopt;
  meter.source_ = "RAPL package counters";
  return meter;
}

double EnergyMeter::joules() const {
  if (!command_.empty()) {
    std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command_.c_str(), "r"), pclose);
    double value = 0;
    if (!pipe || std::fscanf(pipe.get(), "%lf", &value) != 1)
      base::fail_io("--energy-cmd", "printed no number", "it must print the joules used so far");
    return value;
  }
  double sum = 0;
  for (const std::string& counter : counters_) {
    double value = 0;
    if (!(std::ifstream(counter) >> value)) base::fail_io(counter, "cannot be read");
    sum += value * 1e-6;
  }
  return sum;
}

}  // namespace nibble::eval
