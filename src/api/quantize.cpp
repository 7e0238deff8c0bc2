#include "nibble/quantize.h"

#include <algorithm>
#include <cmath>

#include "api/boundary.h"
#include "api/network_impl.h"
#include "api/threads.h"
#include "quant/apply.h"
#include "quant/calibrate/calibrate.h"
#include "quant/prepare/prepare.h"

namespace nibble {
namespace {

/// The caller's batches as the calibration reads them: each batch stays alive until the next is asked for.
quant::NextBatch tensors_of(const NextBatch& next) {
  auto held = std::make_shared<std::optional<Batch>>();
  return [&next, held]() -> std::vector<tensor::Tensor> {
    *held = next();
    std::vector<tensor::Tensor> inputs;
    if (!*held) return inputs;
    for (size_t i = 0; i < (*held)->inputs.size(); ++i)
      inputs.push_back(to_tensor((*held)->inputs[i], "calibration: input " + std::to_string(i)));
    if (inputs.empty()) base::fail_usage("calibration", "a batch has no inputs", "end with std::nullopt");
    return inputs;
  };
}

std::vector<LayerResult> results_of(const quant::Plan& plan, const std::vector<quant::LayerResult>& results) {
  std::vector<LayerResult> layers;
  for (const quant::LayerPlan& l : plan.layers) {
    LayerResult layer;
    layer.name = l.name;
    layer.op = l.op;
    layer.shape = l.shape;
    layer.format = l.bits < 16 ? std::string(l.grid.format->name) : "f32";
    layer.bits_per_weight = l.bits_per_weight;
    layer.sqnr_db = INFINITY;
    layer.note = l.note;
    const auto it = std::find_if(results.begin(), results.end(),
                                 [&](const auto& r) { return r.name == l.name && r.weight_name == l.weight_name; });
    if (it != results.end()) {
      layer.bits_per_weight = it->bits_per_weight;
      layer.sqnr_db = it->sqnr_db;
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace

Quantized quantize(const Network& network, const QuantizeOptions& options, const NextBatch& calibration) {
  return at_boundary([&] {
    base::ThreadPool pool(checked_threads(options.threads));
    base::NoProgress progress;
    const base::Limits limits;
    const Network::Impl& from = network.impl();
    const quant::Scheme scheme = quant::parse_scheme(options.scheme);

    Network::Impl to;
    to.graph = from.graph;
    const std::vector<std::string> prepared = quant::prepare(to.graph, scheme.preparations);
    quant::PlanOptions plan_options;
    plan_options.allow_fallback = options.allow_fallback;
    plan_options.zero_nonfinite = options.zero_nonfinite;
    plan_options.style = style_of(options.style);
    plan_options.file_bytes = from.file_bytes;
    plan_options.threads = pool.threads();
    quant::Plan plan = quant::make_plan(to.graph, scheme, nullptr, plan_options);

    std::optional<quant::Calibration> learned;
    if (!options.ranges.empty()) {
      learned = quant::calibration_from_json(options.ranges, "ranges", limits);
    } else if (calibration) {
      learned = quant::calibrate(to.graph, quant::observed_values(to.graph, plan), tensors_of(calibration), 0, pool,
                                 progress, limits);
      learned->source = "batches of a library call";
      learned->prepared = quant::preparations_text(scheme);
    } else if (!plan.activations.empty()) {
      base::fail_usage("scheme " + scheme.base, "quantizes activations, which needs data that shows their ranges",
                       "give calibration batches or ranges");
    }
    if (learned) quant::use_calibration(plan, *learned);

    const auto results = quant::apply(to.graph, plan, learned ? &*learned : nullptr, pool, progress);
    to.graph.metadata["nibble.float_bytes"] = std::to_string(from.file_bytes);
    to.description = from.description;
    data::keep_description(to.description, to.graph.metadata);
    to.sources = from.sources;
    return Quantized{make_network(std::move(to)),
                     quant::to_text(scheme),
                     learned ? quant::to_json(*learned) : std::string(),
                     results_of(plan, results),
                     prepared,
                     plan.left_out};
  });
}

}  // namespace nibble
