#include "data/input.h"

#include "base/error.h"

namespace nibble::data {

std::vector<Input> inputs_of(const graph::Graph& graph) {
  if (graph.inputs.empty()) base::fail_unsupported("", "the network has no inputs");
  std::vector<Input> inputs;
  for (const graph::ValueId id : graph.inputs) {
    const graph::Value& value = graph.value(id);
    Input input{value.name, value.dtype, std::nullopt, tensor::kUnknown};
    if (value.shape_known && !value.shape.empty()) {
      input.batch = value.shape[0];
      input.shape = tensor::Shape(value.shape.begin() + 1, value.shape.end());
    }
    inputs.push_back(std::move(input));
  }
  return inputs;
}

}  // namespace nibble::data
