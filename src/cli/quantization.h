#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "cli/command.h"
#include "model/save.h"
#include "quant/apply.h"
#include "quant/calibrate/calibrate.h"
#include "quant/plan/plan.h"

namespace nibble::cli {

/// The flags that choose a quantization; `quantize` and `eval --scheme` share them.
struct QuantizationFlags {
  std::string scheme;
  std::vector<std::string> options;  ///< key=value, from --clip, --map, ... in the order given
  std::filesystem::path calibration_data, ranges, save_ranges;
  int64_t calibration_samples = 256;
  bool allow_fallback = false;
  std::string nonfinite = "error";
  bool keep_normalizations = false;                 ///< set by `train` alone: they are trained, and folded at the end
  model::OnnxStyle style = model::OnnxStyle::kQdq;  ///< of the file; set by `quantize` alone
};
void add_quantization_flags(CLI::App& command, QuantizationFlags& flags, const std::string& default_scheme);

/// A network on its way to 4 bits: prepared, planned, calibrated where the scheme needs it.
struct PlannedQuantization {
  graph::Graph graph;  ///< prepared
  quant::Plan plan;
  std::optional<quant::Calibration> calibration;
};

/// Prepares and plans, and unless `plan_only` runs the calibration. Prints the plan line and what was assumed.
PlannedQuantization plan_quantization(const Network& network, const QuantizationFlags& flags,
                                      const DataFlags& data_flags, bool plan_only, Context& context);

/// Writes what became of `network`, with the size that it had and its description of data. `save` says how; flags that
/// the commands share (force, producer) are filled in, and no file that was read is written over.
model::SaveResult save_quantized(graph::Graph& graph, const Network& network, const QuantizationFlags& flags,
                                 const std::filesystem::path& output, model::SaveOptions save, const Context& context);

/// The first `total` samples of a data set, in batches for calibrating the network; those that do not fill a batch that
/// the network fixes are left out. `dataset`, `graph` and `pool` outlive what is returned.
quant::NextBatch calibration_batches(const data::Dataset& dataset, const graph::Graph& graph, int64_t total,
                                     base::ThreadPool& pool);

/// The plan as a table, one row a layer and a list of activations.
std::string plan_text(const quant::Plan& plan);
io::Json plan_json(const quant::Plan& plan);

}  // namespace nibble::cli
