#include "arch/builder.h"

#include "arch/rope.h"
#include "base/error.h"
#include "codec/blocks.h"

namespace nibble::arch {

using graph::Attribute;
using graph::ValueId;
using tensor::DType;
using tensor::Shape;
using tensor::Tensor;

namespace {

Tensor as_floats(const Tensor& t) {
  if (t.dtype() == DType::f32) return t;
  Tensor floats(DType::f32, t.shape(), true);
  codec::decode_range(t, 0, t.elements(), floats.mutable_values<float>().data());
  return floats;
}

}  // namespace

Builder::Builder(const Architecture& architecture, Hyperparameters sizes, Source source,
                 std::map<std::string, Weight> weights, std::string place)
    : weights_(std::move(weights)), place_(std::move(place)) {
  model_.architecture = &architecture;
  model_.sizes = std::move(sizes);
  model_.source = source;
  Rope& rope = model_.sizes.rope;
  if (const Weight* divisors = find("rope_freqs.weight")) {
    if (divisors->tensor.shape() != Shape{rope.dimensions / 2} || divisors->tensor.dtype() != DType::f32)
      base::fail_malformed(place_ + ": tensor \"rope_freqs.weight\"", "does not hold a float for each pair of a head");
    codec::require_finite_values(divisors->tensor, place_ + ": tensor \"rope_freqs.weight\"");
    const auto values = divisors->tensor.values<float>();
    rope.divisors.assign(values.begin(), values.end());
    for (const float v : rope.divisors)
      if (!(v > 0))
        base::fail_malformed(place_ + ": tensor \"rope_freqs.weight\"", "holds a divisor that is not positive");
    weights_.erase("rope_freqs.weight");
  }
  tokens_ = input("tokens", "tokens");
  positions_ = input("positions", "tokens");
  sequences_ = input("sequences", "tokens");
  rows_ = input("rows", "rows");
  if (rope.dimensions > 0) {
    const Rotation r = rotation(rope);
    magnitude_ = r.magnitude;
    frequencies_ = model_.graph.add_constant("rope_frequencies",
                                             Tensor::of<float>({rope.dimensions / 2}, std::span(r.frequencies)));
  }
  hidden = look_up("token_embd", tokens_, model_.sizes.vocabulary, model_.sizes.embedding);
}

ValueId Builder::input(const std::string& name, const std::string& size) {
  const ValueId id = model_.graph.add_value({.name = name,
                                             .dtype = DType::i64,
                                             .shape_known = true,
                                             .shape = {tensor::kUnknown},
                                             .symbols = {size},
                                             .constant = {}});
  model_.graph.inputs.push_back(id);
  return id;
}

std::string Builder::full_name(std::string_view stem, std::string_view suffix) const {
  return (layer_ >= 0 ? "blk." + std::to_string(layer_) + "." : std::string()) + std::string(stem) +
         std::string(suffix);
}

const Builder::Weight* Builder::find(const std::string& name) const {
  const auto it = weights_.find(name);
  return it == weights_.end() ? nullptr : &it->second;
}

bool Builder::has(std::string_view stem) const { return find(full_name(stem, ".weight")) != nullptr; }

ValueId Builder::constant(const std::string& name, const Shape& shape) {
  if (const auto it = made_.find(name); it != made_.end()) return it->second;
  const Weight* w = find(name);
  if (!w) base::fail_malformed(place_, "has no tensor " + base::in_quotes(name));
  const DType dtype = w->tensor.dtype();
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16 && !tensor::is_blocked(dtype))
    base::fail_unsupported(
        place_ + ": tensor " + base::in_quotes(name),
        "has elements of type " + std::string(tensor::name_of(dtype)) + "; floats or blocks were expected");
  const bool transposed = model_.source == Source::kHf && w->rule->rows == Rows::kTransposed;
  const Shape expected = transposed ? Shape{shape[1], shape[0]} : shape;
  if (w->tensor.shape() != expected)
    base::fail_malformed(
        place_ + ": tensor " + base::in_quotes(name),
        "has shape " + tensor::to_string(w->tensor.shape()) + ", " + tensor::to_string(expected) + " was expected");
  const ValueId id =
      model_.graph.add_constant(name, shape.size() == 1 ? as_floats(w->tensor) : w->tensor, w->rule->role);
  model_.graph.value(id).layer = w->layer;
  if (model_.source == Source::kHf && w->rule->rows != Rows::kSame) model_.rows[name] = w->rule->rows;
  return made_[name] = id;
}

ValueId Builder::node(const std::string& op, std::vector<ValueId> inputs, std::map<std::string, Attribute> attributes,
                      const std::string& domain) {
  graph::Graph& g = model_.graph;
  const std::string name = full_name(op + "_" + std::to_string(g.node_count()), "");
  graph::Node made{.op = op,
                   .domain = domain,
                   .name = name,
                   .inputs = std::move(inputs),
                   .outputs = {},
                   .attributes = std::move(attributes)};
  const ValueId out = g.add_value({.name = name, .shape = {}, .symbols = {}, .constant = {}});
  made.outputs.push_back(out);
  g.add_node(std::move(made));
  return out;
}

ValueId Builder::linear(ValueId x, std::string_view stem, int64_t rows, int64_t columns) {
  std::vector<ValueId> inputs{x, constant(full_name(stem, ".weight"), {rows, columns})};
  if (find(full_name(stem, ".bias"))) inputs.push_back(constant(full_name(stem, ".bias"), {rows}));
  std::map<std::string, Attribute> attributes;
  const auto order = model_.rows.find(full_name(stem, ".weight"));
  if (order != model_.rows.end() && order->second == Rows::kTransposed) attributes["transposed"] = int64_t{1};
  return node("Linear", std::move(inputs), std::move(attributes), "nibble");
}

ValueId Builder::rms_norm(ValueId x, std::string_view stem, int64_t width) {
  return node("RMSNormalization", {x, constant(full_name(stem, ".weight"), {width})},
              {{"epsilon", static_cast<float>(sizes().norm_epsilon)}});
}

ValueId Builder::head_norm(ValueId x, std::string_view stem, int64_t heads) {
  graph::Graph& g = model_.graph;
  const auto shape = [&](const std::string& name, std::vector<int64_t> sizes) {
    if (const auto it = made_.find(name); it != made_.end()) return it->second;
    return made_[name] = g.add_constant(
               name, Tensor::of<int64_t>({static_cast<int64_t>(sizes.size())}, std::span(sizes)), graph::Role::kShape);
  };
  const int64_t size = sizes().head_size;
  const ValueId by_head =
      node("Reshape", {x, shape("shape_of_" + std::to_string(heads) + "_heads", {-1, heads, size})});
  const ValueId normed = rms_norm(by_head, stem, size);
  return node("Reshape", {normed, shape("shape_of_" + std::to_string(heads * size), {-1, heads * size})});
}

ValueId Builder::layer_norm(ValueId x, std::string_view stem) {
  const Shape width{sizes().embedding};
  return node("LayerNormalization",
              {x, constant(full_name(stem, ".weight"), width), constant(full_name(stem, ".bias"), width)},
              {{"epsilon", static_cast<float>(sizes().norm_epsilon)}});
}

ValueId Builder::rotate(ValueId x) {
  const bool adjacent = model_.source == Source::kGguf && model_.architecture->pairs_side_by_side;
  return node("RotatePairs", {x, positions_, frequencies_},
              {{"head_size", sizes().head_size}, {"interleaved", int64_t{adjacent}}, {"magnitude", magnitude_}},
              "nibble");
}

ValueId Builder::attention(ValueId q, ValueId k, ValueId v) {
  return node("CausalAttention", {q, k, v, positions_, sequences_},
              {{"heads", sizes().heads},
               {"kv_heads", sizes().kv_heads},
               {"layer", int64_t{layer_}},
               {"window", sizes().window}},
              "nibble");
}

ValueId Builder::look_up(std::string_view stem, ValueId numbers, int64_t entries, int64_t width) {
  return node("Embedding", {constant(full_name(stem, ".weight"), {entries, width}), numbers}, {}, "nibble");
}

std::vector<ValueId> Builder::split(ValueId x, const std::vector<int64_t>& widths) {
  graph::Graph& g = model_.graph;
  const std::string name = full_name("split_" + std::to_string(g.node_count()), "");
  const ValueId sizes =
      g.add_constant(name + "_widths", Tensor::of<int64_t>({static_cast<int64_t>(widths.size())}, std::span(widths)),
                     graph::Role::kShape);
  graph::Node made{.op = "Split",
                   .domain = "",
                   .name = name,
                   .inputs = {x, sizes},
                   .outputs = {},
                   .attributes = {{"axis", int64_t{1}}}};
  std::vector<ValueId> parts;
  for (size_t i = 0; i < widths.size(); ++i)
    parts.push_back(g.add_value({.name = name + "_" + std::to_string(i), .shape = {}, .symbols = {}, .constant = {}}));
  made.outputs = parts;
  g.add_node(std::move(made));
  return parts;
}

ValueId Builder::wanted_rows() {
  layer_ = -1;
  return node("Gather", {hidden, rows_}, {{"axis", int64_t{0}}});
}

void Builder::output(ValueId x) {
  const Hyperparameters& h = sizes();
  const ValueId logits = linear(x, h.tied ? "token_embd" : "output", h.vocabulary, h.embedding);
  model_.graph.value(logits).name = "logits";
  model_.graph.outputs.push_back(logits);
}

Model Builder::finish() {
  model_.architecture->build(*this);
  std::vector<std::string> unread;
  for (const auto& [name, weight] : weights_)
    if (!made_.contains(name)) unread.push_back(name);
  if (!unread.empty())
    base::fail_unsupported(place_, std::to_string(unread.size()) + " tensors are read by nothing in a " +
                                       std::string(model_.architecture->name) + " model, the first is " +
                                       base::in_quotes(unread[0]));
  model_.graph.name = model_.architecture->name;
  return std::move(model_);
}

}  // namespace nibble::arch
