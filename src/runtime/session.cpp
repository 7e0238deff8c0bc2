#include "runtime/session.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "codec/format.h"
#include "runtime/infer_shapes.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::runtime {

using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::ValueId;
using tensor::Tensor;

Session::Session(const graph::Graph& graph, base::ThreadPool& pool, SessionOptions options)
    : Session(graph, pool, options, BufferPool(options.limits.run_bytes)) {}

Session::Session(const graph::Graph& graph, base::ThreadPool& pool, SessionOptions options, BufferPool buffers)
    : graph_(graph), pool_(pool), options_(std::move(options)), buffers_(std::move(buffers)) {
  require_supported(graph_);
  output_count_ = graph_.outputs.size();
  // A watched value becomes one more output: rewriting keeps it, in its own shape and layout.
  for (const std::string& name : options_.watched) {
    const ValueId id = graph_.find_value(name);
    if (id == kNoValue) base::fail_usage("", "the network has no value " + base::in_quotes(name));
    graph_.outputs.push_back(id);
  }
  if (options_.optimize) rewrite_for_execution(graph_, pool_, options_.limits);
  graph_.compact();

  const auto count = static_cast<size_t>(graph_.value_count());
  constants_.resize(count);
  watched_.resize(count);
  reads_.assign(count, 0);
  for (size_t i = output_count_; i < graph_.outputs.size(); ++i)
    watched_[static_cast<size_t>(graph_.outputs[i])].push_back(i - output_count_);
  for (ValueId v = 0; v < graph_.value_count(); ++v) constants_[static_cast<size_t>(v)] = graph_.value(v).constant;
  std::vector<bool> stays_quantized(count, true);
  for (NodeId id = 0; id < graph_.node_count(); ++id) {
    const Node& node = graph_.node(id);
    operators_.push_back(ops::find_operator(node.op, node.domain));
    const bool takes_codes = operators_.back()->takes_quantized_weight;
    for (const ValueId v : node.inputs) {
      if (v == kNoValue) continue;
      ++reads_[static_cast<size_t>(v)];
      if (!takes_codes) stays_quantized[static_cast<size_t>(v)] = false;
    }
    times_.push_back({graph_.name_of(node), node.op, 0, 0});
  }
  for (const ValueId v : graph_.outputs) stays_quantized[static_cast<size_t>(v)] = false;
  for (size_t v = 0; v < count; ++v)
    if (constants_[v] && constants_[v].quantization() && !stays_quantized[v])
      constants_[v] = codec::dequantize(constants_[v]);
  for (size_t i = 0; i < output_count_; ++i) ++reads_[static_cast<size_t>(graph_.outputs[i])];  // kept to the end
  states_.resize(static_cast<size_t>(graph_.node_count()));
  inferred_.resize(static_cast<size_t>(graph_.node_count()));
  values_.resize(count);
  for (NodeId id = 0; id < graph_.node_count(); ++id) {
    std::vector<Tensor>& operands = operands_.emplace_back();
    for (const ValueId v : graph_.node(id).inputs)
      operands.push_back(v == kNoValue ? Tensor() : constants_[static_cast<size_t>(v)]);
  }
}

void Session::check_inputs(std::span<const Tensor> inputs) const {
  if (inputs.size() != graph_.inputs.size())
    base::fail_usage("", "the network has " + std::to_string(graph_.inputs.size()) + " inputs, " +
                             std::to_string(inputs.size()) + " were given");
  for (size_t i = 0; i < inputs.size(); ++i) {
    const graph::Value& wanted = graph_.value(graph_.inputs[i]);
    const std::string place = "input " + base::in_quotes(wanted.name);
    if (!inputs[i]) base::fail_usage(place, "is missing");
    if (inputs[i].dtype() != wanted.dtype)
      base::fail_usage(place, "has elements of type " + std::string(name_of(inputs[i].dtype())) +
                                  ", the network takes " + std::string(name_of(wanted.dtype)));
    if (!wanted.shape_known) continue;
    const auto& shape = inputs[i].shape();
    bool fits = shape.size() == wanted.shape.size();
    for (size_t d = 0; fits && d < shape.size(); ++d)
      fits = wanted.shape[d] == tensor::kUnknown || wanted.shape[d] == shape[d];
    if (!fits)
      base::fail_usage(
          place, "has shape " + tensor::to_string(shape) + ", the network takes " + tensor::to_string(wanted.shape));
  }
}

void Session::observe(ValueId id, const Tensor& value) const {
  if (!observer_) return;
  for (const size_t w : watched_[static_cast<size_t>(id)]) observer_(options_.watched[w], value);
}

Tensor Session::allocate(const Node& node, tensor::DType dtype, tensor::Shape shape) {
  int64_t elements = 1;
  for (const int64_t size : shape)
    if (__builtin_mul_overflow(elements, size, &elements) || elements > options_.limits.tensor_elements)
      base::fail_limit(node.describe(), "its output " + tensor::to_string(shape) + " is too large");
  try {
    return buffers_.allocate(dtype, std::move(shape));
  } catch (const base::Error& e) {
    throw e.within(node.describe());
  }
}

/// What a node may ask for while it runs.
class Session::Environment : public ops::RunEnvironment {
 public:
  Environment(Session& session, NodeId id, std::span<const Tensor> inputs)
      : session_(session), id_(id), inputs_(inputs) {}

  Tensor allocate(tensor::DType dtype, tensor::Shape shape) override {
    return session_.allocate(session_.graph_.node(id_), dtype, std::move(shape));
  }
  std::vector<Tensor> run_subgraph(const std::string& key, std::span<const Tensor> inputs) override {
    try {
      const Branch& branch = session_.branch_of(id_, key, inputs_);
      std::vector<Tensor> all(inputs.begin(), inputs.end());
      for (const size_t i : branch.captured) all.push_back(inputs_[i]);
      return branch.session->run(all);
    } catch (const base::Error& e) {
      throw e.within(session_.graph_.node(id_).describe() + ", " + key);
    }
  }
  ops::KeyValueCache* key_value_cache() override { return session_.cache_; }

 private:
  Session& session_;
  NodeId id_;
  std::span<const Tensor> inputs_;
};

/// Captured constants become constants of the subgraph, so that its Session may prepare them; others become inputs.
Session::Branch& Session::branch_of(NodeId id, const std::string& key, std::span<const Tensor> inputs) {
  Branch& branch = branches_[{id, key}];
  if (branch.session) return branch;
  const Node& node = graph_.node(id);
  graph::Graph inner = *graph::subgraph(node, key);
  const size_t first = node.inputs.size() - inner.captures.size();
  for (size_t k = 0; k < inner.captures.size(); ++k) {
    if (inner.captures[k] == kNoValue) continue;
    const Tensor& now = inputs[first + k];
    const graph::Value& outside = graph_.value(node.inputs[first + k]);
    graph::Value& value = inner.value(inner.captures[k]);
    value.dtype = now.dtype();
    value.shape_known = outside.shape_known && options_.optimize;  // inferred then
    value.shape = outside.shape;
    if (outside.constant) {
      value.constant = now;
      value.shape_known = true;
      value.shape = now.shape();
      continue;
    }
    inner.inputs.push_back(inner.captures[k]);
    branch.captured.push_back(first + k);
  }
  inner.captures.clear();
  SessionOptions options = options_;
  options.watched.clear();
  options.profile = false;
  branch.session.reset(new Session(inner, pool_, std::move(options), buffers_));
  return branch;
}

const std::vector<ops::OutputFacts>& Session::infer(NodeId id, std::span<const Tensor> inputs) {
  const Node& node = graph_.node(id);
  Inferred& known = inferred_[static_cast<size_t>(id)];
  if (known.reusable && std::equal(inputs.begin(), inputs.end(), known.inputs.begin(), known.inputs.end(),
                                   [](const Tensor& t, const tensor::Shape& shape) { return t.shape() == shape; }))
    return known.outputs;
  std::vector<ops::InputFacts> facts(inputs.size());
  known = {};
  for (size_t i = 0; i < inputs.size(); ++i) {
    known.inputs.push_back(inputs[i].shape());
    if (!inputs[i]) continue;
    const bool codes = inputs[i].quantization() != nullptr;
    facts[i] = {true, codes ? tensor::DType::f32 : inputs[i].dtype(), true, inputs[i].shape(),
                codes ? nullptr : &inputs[i]};
  }
  known.outputs.resize(node.outputs.size());
  const uint64_t values_read = ops::infer_node(*operators_[static_cast<size_t>(id)], node, facts, known.outputs);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue) continue;
    const ops::OutputFacts& out = known.outputs[i];
    if (operators_[static_cast<size_t>(id)]->allocates) continue;  // known once it has run
    if (!out.shape_known || !tensor::is_known(out.shape))
      base::fail_unsupported(node.describe(), "the shape of its output depends on its input's values");
  }
  known.reusable = true;
  for (size_t i = 0; i < inputs.size(); ++i)
    if ((values_read >> std::min<size_t>(i, 63)) & 1 && inputs[i] && !graph_.is_constant(node.inputs[i]))
      known.reusable = false;
  return known.outputs;
}

void Session::run_node(NodeId id) {
  const Node& node = graph_.node(id);
  const auto n = static_cast<size_t>(id);
  const ops::Operator& op = *operators_[n];
  std::vector<Tensor>& inputs = operands_[n];
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto v = static_cast<size_t>(node.inputs[i]);
    if (node.inputs[i] == kNoValue || constants_[v]) continue;
    inputs[i] = --left_[v] == 0 ? std::move(values_[v]) : values_[v];
  }
  const std::vector<ops::OutputFacts>& out = infer(id, inputs);
  std::vector<Tensor> outputs(node.outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i)
    if (node.outputs[i] != kNoValue && !op.allocates) outputs[i] = allocate(node, out[i].dtype, out[i].shape);
  Environment environment(*this, id, inputs);
  ops::RunContext context(node, inputs, outputs, pool_, states_[n], &environment);
  if (options_.profile) {
    const auto start = std::chrono::steady_clock::now();
    op.run(context);
    ++times_[n].runs;
    times_[n].seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  } else {
    op.run(context);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNoValue) continue;
    observe(v, outputs[i]);
    if (left_[static_cast<size_t>(v)] > 0) values_[static_cast<size_t>(v)] = std::move(outputs[i]);
  }
  for (size_t i = 0; i < inputs.size(); ++i)
    if (node.inputs[i] != kNoValue && !constants_[static_cast<size_t>(node.inputs[i])]) inputs[i] = Tensor();
}

void Session::forget_run() {
  std::fill(values_.begin(), values_.end(), Tensor());
  for (NodeId id = 0; id < graph_.node_count(); ++id) {
    const Node& node = graph_.node(id);
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (node.inputs[i] != kNoValue && !constants_[static_cast<size_t>(node.inputs[i])])
        operands_[static_cast<size_t>(id)][i] = Tensor();
  }
}

std::vector<Tensor> Session::run(std::span<const Tensor> inputs) {
  check_inputs(inputs);
  left_ = reads_;
  try {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto v = static_cast<size_t>(graph_.inputs[i]);
      observe(graph_.inputs[i], inputs[i]);
      if (left_[v] > 0) values_[v] = inputs[i];
    }
    for (NodeId id = 0; id < graph_.node_count(); ++id) run_node(id);
  } catch (...) {
    forget_run();
    throw;
  }
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < output_count_; ++i) {
    const auto v = static_cast<size_t>(graph_.outputs[i]);
    outputs.push_back(constants_[v] ? constants_[v] : --left_[v] == 0 ? std::move(values_[v]) : values_[v]);
  }
  return outputs;
}

}  // namespace nibble::runtime
