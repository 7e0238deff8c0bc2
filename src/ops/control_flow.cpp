// If: runs one of two subgraphs. What a branch reads from outside are further inputs of the node (Graph::captures);
// whoever runs or infers the branch hands them on.
#include "ops/element_types.h"

namespace nibble::ops {
namespace {

void infer_if(InferContext& c) {
  c.require(c.dtype(0) == DType::boolean, "its condition must be a truth value");
  const graph::Graph* branches[] = {graph::subgraph(c.node(), "then_branch"), graph::subgraph(c.node(), "else_branch")};
  for (const graph::Graph* branch : branches) {
    c.require(branch, "has no branch for one of the answers");
    c.require(branch->inputs.empty(), "has a branch with inputs of its own");
    c.require(
        branch->outputs.size() == c.output_count(),
        "has " + std::to_string(c.output_count()) + " outputs, a branch has " + std::to_string(branch->outputs.size()));
  }
  if (!c.subgraphs()) return;
  const auto yes = c.subgraphs()->infer_subgraph("then_branch", {}),
             no = c.subgraphs()->infer_subgraph("else_branch", {});
  for (size_t i = 0; i < c.output_count(); ++i) {
    c.require(yes[i].dtype == no[i].dtype,
              "its branches give output " + std::to_string(i) + " different element types");
    if (!yes[i].shape_known || !no[i].shape_known || yes[i].shape.size() != no[i].shape.size()) {
      c.output_of_unknown_rank(i, yes[i].dtype);
      continue;
    }
    Shape shape = yes[i].shape;
    for (size_t d = 0; d < shape.size(); ++d)
      if (shape[d] != no[i].shape[d]) shape[d] = kUnknown;
    c.output(i, yes[i].dtype, shape);
  }
}

void run_if(RunContext& c) {
  const Tensor& condition = c.input(0);
  if (condition.dtype() != DType::boolean || condition.elements() != 1)
    c.malformed("its condition must be a single truth value");
  const bool yes = condition.bytes()[0] != std::byte{0};
  const auto results = c.environment().run_subgraph(yes ? "then_branch" : "else_branch", {});
  for (size_t i = 0; i < results.size(); ++i)
    if (c.wants(i)) c.output(i) = results[i];
}

}  // namespace

const Operator& if_op() {
  static const Operator op{"If", "", 1, 1 << 20, 1 << 16, infer_if, run_if, Layout::kFixed, false, true};
  return op;
}

}  // namespace nibble::ops
