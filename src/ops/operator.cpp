#include "ops/operator.h"

#include <array>

namespace nibble::ops {

#define NIBBLE_OPERATOR(function) const Operator& function();
#include "ops/operators.def"
#undef NIBBLE_OPERATOR

std::span<const Operator* const> all_operators() {
  static const std::vector<const Operator*> table = {
#define NIBBLE_OPERATOR(function) &function(),
#include "ops/operators.def"
#undef NIBBLE_OPERATOR
  };
  return table;
}

const Operator* find_operator(std::string_view name, std::string_view domain) {
  if (domain == "ai.onnx") domain = "";
  for (const Operator* op : all_operators())
    if (op->name == name && op->domain == domain) return op;
  return nullptr;
}

const InputFacts& InferContext::input(size_t i) const {
  if (!has(i)) malformed("its input " + std::to_string(i) + " is missing");
  return inputs_[i];
}

bool is_computable(const Shape& shape) {
  int64_t product = 1;
  for (const int64_t size : shape)
    if (size > kMostElements / product)
      return false;
    else if (size > 0)
      product *= size;
  return true;
}

void InferContext::output(size_t i, DType dtype, Shape shape) {
  if (i >= outputs_.size()) return;
  for (const int64_t size : shape) require(size >= 0 || size == kUnknown, "an output size would be negative");
  if (!is_computable(shape)) base::fail_limit(node_.describe(), "its output " + to_string(shape) + " is too large");
  outputs_[i] = {dtype, true, std::move(shape)};
}

void InferContext::output_of_unknown_rank(size_t i, DType dtype) {
  if (i < outputs_.size()) outputs_[i] = {dtype, false, {}};
}

void InferContext::output_like(size_t i, DType dtype, size_t like) {
  if (shape_known(like))
    output(i, dtype, shape(like));
  else
    output_of_unknown_rank(i, dtype);
}

void infer_same(InferContext& c) { c.output_like(0, c.dtype(0), 0); }

void InferContext::malformed(const std::string& sentence) const { base::fail_malformed(node_.describe(), sentence); }
void InferContext::unsupported(const std::string& sentence) const {
  base::fail_unsupported(node_.describe(), sentence);
}
void RunContext::unsupported(const std::string& sentence) const { base::fail_unsupported(node_.describe(), sentence); }
void RunContext::malformed(const std::string& sentence) const { base::fail_malformed(node_.describe(), sentence); }
void RunContext::unsupported_type(size_t i) const {
  unsupported("takes elements of type " + std::string(name_of(input(i).dtype())) + ", which is not supported");
}

std::vector<InputFacts> facts_of(const RunContext& c) {
  std::vector<InputFacts> facts(c.input_count());
  for (size_t i = 0; i < facts.size(); ++i)
    if (c.has(i)) facts[i] = {true, c.input(i).dtype(), true, c.input(i).shape(), &c.input(i)};
  return facts;
}

void require_integers(const InferContext& c, size_t i) {
  if (!c.has(i)) return;
  c.require(c.dtype(i) == DType::i64 || c.dtype(i) == DType::i32,
            "its input " + std::to_string(i) + " must hold 32- or 64-bit integers");
}

int64_t checked_axis(const InferContext& c, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    c.malformed("axis " + std::to_string(axis) + " is outside [" + std::to_string(-rank) + ", " +
                std::to_string(rank - 1) + "]");
  return axis < 0 ? axis + rank : axis;
}

uint64_t infer_node(const Operator& op, const Node& node, std::span<const InputFacts> inputs,
                    std::span<OutputFacts> outputs, SubgraphInference* subgraphs) {
  InferContext c(node, inputs, outputs, subgraphs);
  if (inputs.size() < op.min_inputs || inputs.size() > op.max_inputs)
    c.malformed("has " + std::to_string(inputs.size()) + " inputs, between " + std::to_string(op.min_inputs) + " and " +
                std::to_string(op.max_inputs) + " were expected");
  if (outputs.size() > op.max_outputs) c.malformed("has more outputs than the operator defines");
  op.infer(c);
  return c.values_read();
}

}  // namespace nibble::ops
