#pragma once
#include <memory>
#include <string>
#include <vector>

#include "fit/lattice.h"
#include "graph/graph.h"
#include "graph/subgraphs.h"
#include "model/matmul_nbits_form.h"
#include "quant/calibrate/calibration.h"
#include "quant/scheme.h"

namespace nibble::quant {

/// One weight of the network: what becomes of it, or why nothing does.
struct LayerPlan {
  graph::Path path;         ///< to the subgraph that holds the node; empty: the network's own Graph
  graph::NodeId node = -1;  ///< of that Graph, as `weight`
  std::string name, op;     ///< the node's name (its output's where it has none), " in BRANCH of NODE", and operator
  graph::ValueId weight = graph::kNoValue;
  std::string weight_name;
  tensor::Shape shape;
  int64_t rows = 0, columns = 0;  ///< as a matrix: outputs, and inputs along the reduction axis
  bool transposed = false;        ///< the weight is stored [columns, rows]
  bool depthwise = false, first = false, last = false;
  bool table = false;  ///< a Gather picks rows of it: the weight is the node's first input, no activation meets it

  int bits = 16;  ///< 4, 8 or 16 (left as it is)
  fit::Grid grid;
  int64_t group = 0;  ///< 0: a scale an output channel (or one, with per_tensor)
  bool per_tensor = false;
  double bits_per_weight = 32;
  int64_t bytes_before = 0, bytes_after = 0;
  int activation_bits = 16;  ///< of its input
  int64_t nbits_block =
      0;                ///< block_size of the MatMulNBits or GatherBlockQuantized that it is written as; 0: it is not
  std::string why_qdq;  ///< in the style matmulnbits: why it is written as DequantizeLinear all the same
  std::string note;     ///< the reason for anything that differs from the scheme; empty if nothing does
  std::shared_ptr<const fit::Lattice> lattice;  ///< the parameters that the weight already lies on; usually absent
};

/// The layer's float weight as a matrix.
fit::MatrixView matrix_of(const LayerPlan& layer, const tensor::Tensor& weight);

/// One quantized activation.
struct ActivationPlan {
  graph::ValueId value = graph::kNoValue;
  std::string name;
  int bits = 8;
  std::string position;  ///< "network input", "input of 2 layers", "input of residual addition"
  bool calibrated = false, is_signed = false;
  codec::GroupParams params;  ///< valid where calibrated
};

/// Everything that quantize will do, decided before any of it is done.
struct Plan {
  Scheme scheme;
  model::OnnxStyle style = model::OnnxStyle::kQdq;
  std::vector<LayerPlan> layers;
  std::vector<ActivationPlan> activations;
  std::vector<std::string> prepared;          ///< what `prepare` says that it did; for whoever prepared to fill in
  std::vector<std::string> left_out;          ///< operators with weights that no scheme quantizes, with the reason
  int64_t bytes_before = 0, bytes_after = 0;  ///< of the file
  int64_t memory_bytes = 0;                   ///< predicted peak
  double seconds = 0;                         ///< predicted, without calibration

  int64_t quantized_layers() const;
};

struct PlanOptions {
  bool allow_fallback = false;  ///< a layer that cannot be quantized as asked stays wide instead of being an Error
  bool zero_nonfinite = false;  ///< NaN and infinite weights become 0 instead of being an Error
  /// What the file will look like. With kMatMulNBits the tables of Gather are quantized too: their operator decodes the
  /// rows that it picks alone, DequantizeLinear would decode all of them at every run.
  model::OnnxStyle style = model::OnnxStyle::kQdq;
  int64_t file_bytes = 0;  ///< size of the float network's file; 0: unknown
  int threads = 1;
};

/// Plans the quantization of a prepared Graph (see prepare). Without a calibration the ranges of activations stay open.
/// Throws Error: kUnsupported for layers that cannot be quantized as asked (all of them in one message), kUsage for a
/// `keep` rule that matches nothing, kMalformed for NaN or infinity in a weight, naming tensor and index.
Plan make_plan(const graph::Graph& graph, const Scheme& scheme, const Calibration* calibration,
               const PlanOptions& options);

/// Throws Error(kMalformed) naming tensor and index when a float constant holds NaN or infinity.
void require_finite(const graph::Value& constant);

/// The values whose statistics a calibration for this plan reads: quantized activations, and the inputs of quantized
/// layers, whose channels' mean squares and means weigh the clip search and correct biases.
std::vector<Observed> observed_values(const graph::Graph& graph, const Plan& plan);

/// Ranges and scales of the plan's activations from a calibration. Throws Error(kUsage) naming every value that the
/// calibration lacks, and for a calibration of a network that was prepared in another way.
void use_calibration(Plan& plan, const Calibration& calibration);

}  // namespace nibble::quant
