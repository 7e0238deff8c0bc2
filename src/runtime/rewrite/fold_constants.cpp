#include <algorithm>

#include "ops/operator.h"
#include "runtime/infer_shapes.h"
#include "runtime/rewrite/rewrite.h"

namespace nibble::runtime {

using graph::kNoValue;
using graph::Node;
using tensor::Tensor;

void fold_constants(graph::Graph& graph, base::ThreadPool& pool, const base::Limits& limits) {
  int64_t folded_bytes = 0;
  bool folded = false;  // what was folded may settle shapes further down
  for (graph::NodeId id = 0; id < graph.node_count(); ++id) {
    const Node& node = graph.node(id);
    const ops::Operator* op = ops::find_operator(node.op, node.domain);
    if (node.removed || !op || node.outputs.empty()) continue;
    if (folded) infer_node(graph, id);
    std::vector<Tensor> inputs(node.inputs.size());
    std::vector<ops::InputFacts> facts(node.inputs.size());
    bool constant = true;
    for (size_t i = 0; constant && i < inputs.size(); ++i) {
      if (node.inputs[i] == kNoValue) continue;
      inputs[i] = graph.value(node.inputs[i]).constant;
      // A quantized weight stays what it is: decoding it here would make the network wide again.
      constant = inputs[i] && !inputs[i].quantization();
      facts[i] = {true, inputs[i].dtype(), true, inputs[i].shape(), &inputs[i]};
    }
    // The shape of a known value is known too, though the value is not.
    if (!constant && node.op == "Shape" && node.domain.empty()) {
      const graph::Value& v = graph.value(node.inputs[0]);
      if (!v.shape_known || !tensor::is_known(v.shape) || node.outputs[0] == kNoValue) continue;
      const int64_t rank = static_cast<int64_t>(v.shape.size());
      const auto place = [&](int64_t p) { return std::clamp<int64_t>(p < 0 ? p + rank : p, 0, rank); };
      const int64_t start = place(node.integer("start", 0)), end = std::max(start, place(node.integer("end", rank)));
      const std::span<const int64_t> part(v.shape.data() + start, static_cast<size_t>(end - start));
      graph::Value& out = graph.value(node.outputs[0]);
      out.constant = Tensor::of<int64_t>({end - start}, part);
      graph.remove_node(id);
      folded = true;
      continue;
    }
    if (!constant || op->allocates) continue;
    std::vector<ops::OutputFacts> out(node.outputs.size());
    ops::infer_node(*op, node, facts, out);
    int64_t bytes = 0;
    bool fits = true;
    for (const auto& o : out) {
      if (!o.shape_known || !tensor::is_known(o.shape)) {
        fits = false;
        break;
      }
      int64_t elements = 1;
      for (const int64_t size : o.shape)
        fits = fits && !__builtin_mul_overflow(elements, size, &elements) && elements <= limits.fold_one;
      if (fits) bytes += tensor::packed_bytes(o.dtype, elements);
    }
    if (!fits || bytes > limits.fold_one || folded_bytes + bytes > limits.fold_all) continue;
    folded_bytes += bytes;
    std::vector<Tensor> outputs;
    for (const auto& o : out) outputs.emplace_back(o.dtype, o.shape);
    std::any state;
    ops::RunContext context(node, inputs, outputs, pool, state);
    op->run(context);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      graph::Value& v = graph.value(node.outputs[i]);
      v.dtype = outputs[i].dtype();
      v.shape_known = true;
      v.shape = outputs[i].shape();
      v.constant = std::move(outputs[i]);
    }
    graph.remove_node(id);
    folded = true;
  }
}

}  // namespace nibble::runtime
