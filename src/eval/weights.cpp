#include "eval/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "codec/format.h"
#include "graph/products.h"
#include "graph/subgraphs.h"
#include "ops/matmul_nbits.h"

namespace nibble::eval {

using graph::Graph;
using graph::Node;
using tensor::Tensor;

namespace {

constexpr size_t kBins = 144;  // eight a level of an evenly spaced 4-bit format, and a level and a half at both ends

int64_t channel_axis(const Node& node, const Tensor& weight) {
  if (node.op == "Conv" || (node.op == "Gemm" && node.integer("transB", 0) != 0)) return 0;
  return std::max<int64_t>(0, weight.rank() - 1);
}

double sqnr_db(std::span<const float> real, std::span<const float> decoded) {
  double signal = 0, noise = 0;
  for (size_t i = 0; i < real.size(); ++i) {
    const double w = real[i], e = w - decoded[i];
    signal += w * w;
    noise += e * e;
  }
  return noise > 0 ? 10 * std::log10(signal / noise) : INFINITY;
}

/// What `stored` would be if every element had this code.
Tensor decoded_as(const Tensor& stored, int code) {
  const std::vector<int8_t> codes(static_cast<size_t>(stored.elements()), static_cast<int8_t>(code));
  return codec::dequantize(codec::pack(stored.dtype(), stored.shape(), codes).with_quantization(stored.quantization()));
}

std::vector<WeightHistogram::Range> channel_ranges(const Tensor& weight, int64_t axis) {
  const auto values = weight.values<float>();
  if (values.empty() || weight.rank() == 0) return {};
  const auto channels = static_cast<size_t>(weight.shape()[static_cast<size_t>(axis)]);
  size_t inner = 1;
  for (size_t d = static_cast<size_t>(axis) + 1; d < weight.shape().size(); ++d)
    inner *= static_cast<size_t>(weight.shape()[d]);
  std::vector<WeightHistogram::Range> ranges(channels, {INFINITY, -INFINITY});
  for (size_t i = 0; i < values.size(); ++i) {
    auto& r = ranges[i / inner % channels];
    r.low = std::min(r.low, values[i]);
    r.high = std::max(r.high, values[i]);
  }
  return ranges;
}

/// The float weight that the product `node` has in `before`, or none.
Tensor real_weight(const Graph& before, const std::vector<graph::NodeId>& producers, const Graph& after,
                   const Node& node) {
  const graph::ValueId twin = before.find_value(after.value(node.output(0)).name);
  const graph::NodeId source = twin == graph::kNoValue ? -1 : producers[static_cast<size_t>(twin)];
  if (source < 0 || before.node(source).op != (node.op == "MatMulNBits" ? "MatMul" : node.op) ||
      !before.is_constant(before.node(source).input(1)))
    return {};
  return before.value(before.node(source).input(1)).constant;
}

/// onnxruntime's packed product as the MatMul that it stands for: its weight decoded, [K, N].
void read_nbits(const Graph& g, const Node& node, WeightError& e) {
  const auto constant = [&](size_t i) {
    return g.is_constant(node.input(i)) ? g.value(node.input(i)).constant : Tensor();
  };
  const auto w = ops::nbits_weight(node, constant(1), constant(2), constant(3));
  const int64_t n = node.integer("N", 0), k = node.integer("K", 0);
  e.stored = Tensor(tensor::DType::f32, {k, n}, true);
  const auto to = e.stored.mutable_values<float>();
  for (int64_t r = 0; r < n; ++r)
    for (int64_t c = 0; c < k; ++c) to[static_cast<size_t>(c * n + r)] = w[static_cast<size_t>(r * k + c)];
}

void compare_in(const Graph* before, const Graph& after, const std::string& where, std::vector<WeightError>& errors) {
  const auto producers = before ? before->producers() : std::vector<graph::NodeId>();
  for (graph::NodeId id = 0; id < after.node_count(); ++id) {
    const Node& node = after.node(id);
    const bool nbits = model::is_constant_nbits(after, node);
    if (!nbits && !(graph::is_product(node) && after.is_constant(node.input(1)))) continue;
    const graph::Value& weight = after.value(node.input(1));
    WeightError e;
    e.name = after.name_of(node) + where;
    e.op = node.op;
    e.weight_name = weight.name;
    const model::StoredWeight stored = model::stored_weight(after, node);
    e.format = stored.format;
    e.bits = stored.bits;
    e.bytes = stored.bytes;
    if (nbits)
      read_nbits(after, node, e);
    else
      e.stored = weight.constant;
    e.channel_axis = channel_axis(node, e.stored);
    const Tensor w = before ? real_weight(*before, producers, after, node) : Tensor();
    if (w && w.dtype() == tensor::DType::f32 && !w.quantization() && w.shape() == e.stored.shape()) {
      e.real = w;
      const Tensor decoded = nbits ? e.stored : codec::dequantize(e.stored);
      e.sqnr_db = sqnr_db(w.values<float>(), decoded.values<float>());
    }
    errors.push_back(std::move(e));
  }
}

}  // namespace

double WeightError::bits_per_weight() const {
  return 8.0 * static_cast<double>(bytes) / static_cast<double>(std::max<int64_t>(1, stored.elements()));
}

std::vector<WeightError> compare_weights(const Graph& before, const Graph& after) {
  std::vector<WeightError> errors;
  // The Graphs of a network by where they lie: quantizing changes neither the names of nodes nor those of branches.
  std::map<std::string, const Graph*> twins;
  graph::for_each_graph(
      before, [&](const Graph& g, const graph::Path& path) { twins.emplace(graph::place_text(before, path), &g); });
  graph::for_each_graph(after, [&](const Graph& g, const graph::Path& path) {
    const std::string where = graph::place_text(after, path);
    const auto twin = twins.find(where);
    compare_in(twin == twins.end() ? nullptr : twin->second, g, where, errors);
  });
  return errors;
}

WeightHistogram weight_histogram(const WeightError& error) {
  NIBBLE_INVARIANT(error.real && error.stored.quantization());
  const codec::NumberFormat& format = *error.stored.quantization()->format;
  WeightHistogram h;
  if (format.uniform())
    h.levels.assign(format.levels.begin(), format.levels.end());
  else
    h.levels.assign(format.codebook->level, format.codebook->level + format.codebook->count);
  const double first = h.levels.front(), last = h.levels.back(), margin = (last - first) / 10;
  h.low = first - margin;
  h.high = last + margin;
  h.counts.assign(kBins, 0);
  // Two codes decoded everywhere give each element's scale and offset, whatever the granularity.
  const auto codes = [&](bool low) {
    if (format.uniform()) return low ? format.lowest_code : format.highest_code();
    return static_cast<int>(format.codebook->code[low ? 0 : format.codebook->count - 1]);
  };
  const Tensor lowest = decoded_as(error.stored, codes(true)), highest = decoded_as(error.stored, codes(false));
  const auto w = error.real.values<float>(), a = lowest.values<float>(), b = highest.values<float>();
  const double below = first - (h.levels[1] - first) / 2, above = last + (last - h.levels[h.levels.size() - 2]) / 2;
  h.elements = static_cast<int64_t>(w.size());
  for (size_t i = 0; i < w.size(); ++i) {
    const double span = static_cast<double>(b[i]) - a[i];
    const double x = span != 0 ? first + (static_cast<double>(w[i]) - a[i]) / span * (last - first) : 0;
    h.clipped += x < below || x > above;
    const double bin = (x - h.low) / (h.high - h.low) * static_cast<double>(kBins);
    if (bin >= 0 && bin < static_cast<double>(kBins)) ++h.counts[static_cast<size_t>(bin)];
  }
  h.channels = channel_ranges(error.real, error.channel_axis);
  return h;
}

}  // namespace nibble::eval
