#include <algorithm>

#include "model/upgrade_rules.h"

namespace nibble::model {
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::Tensor;
using graph::ValueId;
using tensor::DType;

namespace {

/// Operators whose output has the rank of their first input.
constexpr const char* kSameRank[] = {"Conv",
                                     "ConvTranspose",
                                     "BatchNormalization",
                                     "InstanceNormalization",
                                     "LRN",
                                     "MaxPool",
                                     "AveragePool",
                                     "GlobalAveragePool",
                                     "GlobalMaxPool",
                                     "Relu",
                                     "LeakyRelu",
                                     "Sigmoid",
                                     "Tanh",
                                     "Clip",
                                     "Elu",
                                     "Selu",
                                     "PRelu",
                                     "HardSigmoid",
                                     "Dropout",
                                     "Identity",
                                     "Cast",
                                     "Transpose",
                                     "Concat",
                                     "Softmax",
                                     "LogSoftmax",
                                     "Pad",
                                     "Slice",
                                     "Upsample",
                                     "Resize",
                                     "Exp",
                                     "Log",
                                     "Sqrt",
                                     "Neg",
                                     "Abs",
                                     "Erf"};

bool is_float(DType t) { return t == DType::f32 || t == DType::f16 || t == DType::f64 || t == DType::bf16; }

}  // namespace

std::string Rewriter::unique(const std::string& stem) {
  std::string candidate = stem;
  for (int i = 1; !names_.insert(candidate).second; ++i) candidate = stem + "_" + std::to_string(i);
  return candidate;
}

ValueId Rewriter::add_value(NodeId near, const char* suffix) {
  const ValueId output = g_.node(near).output(0);
  graph::Value v;
  v.name = unique((output == kNoValue ? g_.node(near).op : g_.value(output).name) + suffix);
  return g_.add_value(std::move(v));
}

ValueId Rewriter::add_constant(NodeId near, const char* suffix, Tensor tensor) {
  const ValueId output = g_.node(near).output(0);
  return g_.add_constant(unique((output == kNoValue ? g_.node(near).op : g_.value(output).name) + suffix),
                         std::move(tensor));
}

ValueId Rewriter::add_integers(NodeId near, const char* suffix, std::span<const int64_t> values) {
  return add_constant(near, suffix, Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
}

void Rewriter::set_input(NodeId id, size_t index, ValueId value) {
  auto& inputs = g_.node(id).inputs;
  if (inputs.size() <= index) inputs.resize(index + 1, kNoValue);
  inputs[index] = value;
}

void Rewriter::index() {
  // Rules of one pass only add readers of new values, so an index of the pass's start serves them all.
  if (!producers_.empty()) return;
  producers_ = g_.producers();
  read_.assign(static_cast<size_t>(g_.value_count()), false);
  const auto mark = [&](ValueId v) {
    if (v != kNoValue) read_[static_cast<size_t>(v)] = true;
  };
  for (NodeId id = 0; id < g_.node_count(); ++id) {
    if (g_.node(id).removed) continue;
    for (const ValueId v : g_.node(id).inputs) mark(v);
  }
  for (const ValueId v : g_.outputs) mark(v);
}

bool Rewriter::is_read(ValueId value) {
  index();
  return static_cast<size_t>(value) >= read_.size() || read_[static_cast<size_t>(value)];
}

int64_t Rewriter::rank_of(ValueId value) {
  index();
  for (int step = 0; step < 1000 && value != kNoValue; ++step) {
    const graph::Value& v = g_.value(value);
    if (v.shape_known) return static_cast<int64_t>(v.shape.size());
    const NodeId id = static_cast<size_t>(value) < producers_.size() ? producers_[static_cast<size_t>(value)] : -1;
    if (id < 0) return -1;
    const Node& node = g_.node(id);
    if (!node.domain.empty()) return -1;
    if (node.op == "Gemm" || node.op == "Flatten") return 2;
    if (node.op == "Reshape") {
      const ValueId shape = node.input(1);
      return g_.is_constant(shape) ? g_.value(shape).constant.elements() : -1;
    }
    if (std::find(std::begin(kSameRank), std::end(kSameRank), node.op) == std::end(kSameRank)) return -1;
    value = node.input(0);
  }
  return -1;
}

DType Rewriter::float_type_of(ValueId value) {
  index();
  for (int step = 0; step < 1000 && value != kNoValue; ++step) {
    const graph::Value& v = g_.value(value);
    if (v.constant) return is_float(v.constant.dtype()) ? v.constant.dtype() : DType::f32;
    const NodeId id = static_cast<size_t>(value) < producers_.size() ? producers_[static_cast<size_t>(value)] : -1;
    if (id < 0) return is_float(v.dtype) ? v.dtype : DType::f32;
    const Node& node = g_.node(id);
    if (node.op == "Cast") {
      switch (node.integer("to", 1)) {  // TensorProto.DataType
        case 10:
          return DType::f16;
        case 11:
          return DType::f64;
        case 16:
          return DType::bf16;
        default:
          return DType::f32;
      }
    }
    for (const ValueId in : node.inputs)
      if (g_.is_constant(in) && is_float(g_.value(in).constant.dtype())) return g_.value(in).constant.dtype();
    value = node.input(0);
  }
  return DType::f32;
}

}  // namespace nibble::model
