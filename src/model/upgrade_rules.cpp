#include "model/upgrade_rules.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "base/error.h"
#include "base/small_float.h"
#include "model/upgrade.h"

namespace nibble::model {
using graph::kNoValue;
using graph::Node;
using graph::NodeId;
using graph::Tensor;
using graph::ValueId;
using tensor::DType;

namespace {

/// A scalar of a floating-point type.
Tensor float_scalar(DType dtype, float value) {
  if (dtype == DType::f64) return Tensor::scalar<double>(value);
  if (dtype == DType::f16 || dtype == DType::bf16) {
    Tensor t(dtype, {});
    t.mutable_values<uint16_t>()[0] = dtype == DType::f16 ? base::f32_to_f16(value) : base::f32_to_bf16(value);
    return t;
  }
  return Tensor::scalar<float>(value);
}

/// Old nearest-neighbour resizing rounds down when it enlarges and up when it shrinks.
std::string old_nearest_mode(Rewriter& r, NodeId id, ValueId scales) {
  if (!r.graph().is_constant(scales) || r.graph().value(scales).constant.dtype() != DType::f32) return "floor";
  bool up = false, down = false;
  for (const float s : r.graph().value(scales).constant.values<float>()) {
    up = up || s > 1.0f;
    down = down || s < 1.0f;
  }
  if (up && down)
    base::fail_unsupported(r.node(id).describe(),
                           "enlarges one axis and shrinks another, which old opsets do with two roundings",
                           "export the network with opset 11 or later");
  return down ? "ceil" : "floor";
}

void make_resize(Rewriter& r, NodeId id, ValueId scales) {
  const std::string mode = r.node(id).text("mode", "nearest");
  if (mode == "nearest") r.node(id).attributes["nearest_mode"] = old_nearest_mode(r, id, scales);
  r.node(id).op = "Resize";
  r.node(id).attributes["coordinate_transformation_mode"] = std::string("asymmetric");
  r.node(id).inputs = {r.node(id).input(0), kNoValue, scales};
}

}  // namespace

void drop_spatial(Rewriter& r, NodeId id) {
  if (r.node(id).integer("spatial", 1) == 0)
    base::fail_unsupported(r.node(id).describe(), "has spatial=0, a mean for every position",
                           "export the network with opset 9 or later");
  r.node(id).attributes.erase("spatial");
}

void refuse_old_scan(Rewriter& r, NodeId id) {
  base::fail_unsupported(r.node(id).describe(), "Scan of opset 8 scans the second axis, which later opsets do not",
                         "export the network with opset 9 or later");
}

void refuse_old_group_normalization(Rewriter& r, NodeId id) {
  base::fail_unsupported(r.node(id).describe(), "GroupNormalization before opset 21 has a scale for every group",
                         "export the network with opset 21 or later");
}

void upsample_scales_to_input(Rewriter& r, NodeId id) {
  const std::vector<float> scales = r.node(id).reals("scales");
  if (scales.empty()) base::fail_malformed(r.node(id).describe(), "has no scales");
  r.node(id).attributes.erase("scales");
  const auto count = static_cast<int64_t>(scales.size());
  const ValueId value = r.add_constant(id, "_scales", Tensor::of<float>({count}, scales));
  r.set_input(id, 1, value);
}

void upsample_to_resize(Rewriter& r, NodeId id) { make_resize(r, id, r.node(id).input(1)); }

void resize_add_roi(Rewriter& r, NodeId id) {
  if (r.node(id).op == "Resize" && r.node(id).inputs.size() == 2) make_resize(r, id, r.node(id).input(1));
}

void slice_attributes_to_inputs(Rewriter& r, NodeId id) {
  const auto starts = r.node(id).integers("starts"), ends = r.node(id).integers("ends"),
             axes = r.node(id).integers("axes");
  if (starts.empty() || starts.size() != ends.size() || (!axes.empty() && axes.size() != starts.size()))
    base::fail_malformed(r.node(id).describe(), "its starts, ends and axes have different lengths");
  for (const char* key : {"starts", "ends", "axes"}) r.node(id).attributes.erase(key);
  r.set_input(id, 1, r.add_integers(id, "_starts", starts));
  r.set_input(id, 2, r.add_integers(id, "_ends", ends));
  if (!axes.empty()) r.set_input(id, 3, r.add_integers(id, "_axes", axes));
}

void topk_attribute_to_input(Rewriter& r, NodeId id) {
  const int64_t k = r.node(id).integer("k", -1);
  if (k < 0) base::fail_malformed(r.node(id).describe(), "has no k");
  r.node(id).attributes.erase("k");
  r.set_input(id, 1, r.add_integers(id, "_k", std::array{k}));
}

void pad_attributes_to_inputs(Rewriter& r, NodeId id) {
  const auto pads = r.node(id).integers("pads");
  const float value = r.node(id).real("value", 0.0f);
  r.node(id).attributes.erase("pads");
  r.node(id).attributes.erase("value");
  r.set_input(id, 1, r.add_integers(id, "_pads", pads));
  if (value != 0.0f) {
    const DType type = r.float_type_of(r.node(id).input(0));
    r.set_input(id, 2, r.add_constant(id, "_value", float_scalar(type, value)));
  }
}

void clip_attributes_to_inputs(Rewriter& r, NodeId id) {
  const DType type = r.float_type_of(r.node(id).input(0));
  const char* keys[] = {"min", "max"};
  const float unbounded[] = {std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max()};
  for (size_t i = 0; i < 2; ++i) {
    const float bound = r.node(id).real(keys[i], unbounded[i]);
    r.node(id).attributes.erase(keys[i]);
    if (bound == unbounded[i]) continue;
    r.set_input(id, i + 1, r.add_constant(id, i == 0 ? "_min" : "_max", float_scalar(type, bound)));
  }
}

void scatter_to_scatter_elements(Rewriter& r, NodeId id) { r.node(id).op = "ScatterElements"; }

void dropout_ratio_to_input(Rewriter& r, NodeId id) {
  const float ratio = r.node(id).real("ratio", 0.5f);
  r.node(id).attributes.erase("ratio");
  r.set_input(id, 1, r.add_constant(id, "_ratio", Tensor::scalar(ratio)));
}

/// Before opset 13, Softmax and its kin first flatten their input to the axes before `axis` and those from it on. Where
/// `axis` is the last one that is the same; elsewhere the flattening is written out: Flatten, the operator over the
/// last axis, Reshape back.
void softmax_of_flattened(Rewriter& r, NodeId id) {
  const int64_t axis = r.node(id).integer("axis", 1);
  const ValueId x = r.node(id).input(0), y = r.node(id).output(0);
  const int64_t rank = r.rank_of(x);
  r.node(id).attributes["axis"] = int64_t{-1};
  if (axis == -1 || (rank > 0 && axis == rank - 1)) return;
  const ValueId flat = r.add_value(id, "_flattened"), result = r.add_value(id, "_rows"),
                shape = r.add_value(id, "_shape");
  const std::string name = r.node(id).name;
  Node flatten{"Flatten", "", name + "/flatten", {x}, {flat}, {}};
  flatten.attributes["axis"] = axis;
  Node measure{"Shape", "", name + "/shape", {x}, {shape}, {}};
  Node reshape{"Reshape", "", name + "/reshape", {result, shape}, {y}, {}};
  reshape.attributes["allowzero"] = int64_t{1};  // an empty axis stays empty
  r.node(id).inputs = {flat};
  r.node(id).outputs = {result};
  r.graph().add_node(std::move(flatten));
  r.graph().add_node(std::move(measure));
  r.graph().add_node(std::move(reshape));
}

void axes_to_input(Rewriter& r, NodeId id) {
  if (!r.node(id).has("axes")) return;
  const auto axes = r.node(id).integers("axes");
  r.node(id).attributes.erase("axes");
  // An empty list in an attribute means all axes, as an omitted input does.
  if (!axes.empty()) r.set_input(id, 1, r.add_integers(id, "_axes", axes));
}

void split_attribute_to_input(Rewriter& r, NodeId id) {
  if (!r.node(id).has("split")) return;
  const auto split = r.node(id).integers("split");
  r.node(id).attributes.erase("split");
  r.set_input(id, 1, r.add_integers(id, "_split", split));
}

void split_count_to_attribute(Rewriter& r, NodeId id) {
  if (r.node(id).input(1) == kNoValue)
    r.node(id).attributes["num_outputs"] = static_cast<int64_t>(r.node(id).outputs.size());
}

void drop_training_outputs(Rewriter& r, NodeId id) {
  for (size_t i = 1; i < r.node(id).outputs.size(); ++i)
    if (r.node(id).output(i) != kNoValue && r.is_read(r.node(id).output(i)))
      base::fail_unsupported(r.node(id).describe(), "its outputs of training (mean, variance) are used",
                             "export the network for inference");
  r.node(id).outputs = {r.node(id).output(0)};
}

void roi_align_keep_old_default(Rewriter& r, NodeId id) {
  r.node(id).attributes["coordinate_transformation_mode"] = std::string("output_half_pixel");
}

void grid_sample_mode_names(Rewriter& r, NodeId id) {
  const std::string mode = r.node(id).text("mode", "bilinear");
  if (mode == "bilinear") r.node(id).attributes["mode"] = std::string("linear");
  if (mode == "bicubic") r.node(id).attributes["mode"] = std::string("cubic");
}

void dft_axis_to_input(Rewriter& r, NodeId id) {
  const int64_t axis = r.node(id).integer("axis", 1);
  r.node(id).attributes.erase("axis");
  r.set_input(id, 2, r.add_constant(id, "_axis", Tensor::scalar(axis)));
}

/// Without training_mode nothing is dropped; a mask that nobody reads needs no node.
void dropout_to_identity(Rewriter& r, NodeId id) {
  const ValueId training = r.node(id).input(2);
  if (training != kNoValue) {
    if (!r.graph().is_constant(training)) return;
    const Tensor& t = r.graph().value(training).constant;
    if (t.dtype() != DType::boolean || t.elements() != 1 || t.bytes()[0] != std::byte{0}) return;
  }
  if (r.node(id).output(1) != kNoValue && r.is_read(r.node(id).output(1))) return;
  r.node(id).op = "Identity";
  r.node(id).inputs = {r.node(id).input(0)};
  r.node(id).outputs = {r.node(id).output(0)};
  r.node(id).attributes.clear();
}

void constant_to_value(Rewriter& r, NodeId id) {
  const Node& node = r.node(id);
  if (node.attributes.size() != 1 || node.outputs.size() != 1 || node.output(0) == kNoValue)
    base::fail_malformed(node.describe(), "a Constant has one value and one output");
  const auto& [key, attribute] = *node.attributes.begin();
  Tensor t;
  if (key == "value" && std::holds_alternative<Tensor>(attribute))
    t = std::get<Tensor>(attribute);
  else if (key == "value_int")
    t = Tensor::scalar(node.integer(key, 0));
  else if (key == "value_float")
    t = Tensor::scalar(node.real(key, 0));
  else if (key == "value_ints")
    t = Tensor::of<int64_t>({static_cast<int64_t>(node.integers(key).size())}, node.integers(key));
  else if (key == "value_floats")
    t = Tensor::of<float>({static_cast<int64_t>(node.reals(key).size())}, node.reals(key));
  else
    base::fail_unsupported(node.describe(), "holds a constant of the kind " + base::in_quotes(key),
                           "nibble holds tensors of numbers");
  graph::Value& v = r.graph().value(node.output(0));
  v.dtype = t.dtype();
  v.shape_known = true;
  v.shape = t.shape();
  v.symbols.clear();
  v.constant = std::move(t);
  r.graph().remove_node(id);
}

}  // namespace nibble::model
