#include "cli/quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "cli/version.h"
#include "quant/calibrate/calibrate.h"
#include "quant/plan/lattice.h"
#include "quant/prepare/prepare.h"

namespace nibble::cli {

void add_quantization_flags(CLI::App& command, QuantizationFlags& flags, const std::string& default_scheme) {
  flags.scheme = default_scheme;
  command
      .add_option("--scheme", flags.scheme,
                  "W4A16, W4A8, W4A4, W8A16 or W8A8, with options after a colon: W4A16:int4,group=64,clip=minmax" +
                      (default_scheme.empty() ? "" : " (default: " + default_scheme + ")"))
      ->type_name("SCHEME");
  const auto option = [&](const char* flag, const char* key, const char* help, const char* type) {
    command
        .add_option_function<std::vector<std::string>>(
            flag,
            [&flags, key](const std::vector<std::string>& values) {
              for (const auto& v : values) flags.options.push_back(std::string(key) + "=" + v);
            },
            help)
        ->type_name(type)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  option("--format", "format", "number format of the weights: int4, uint4, nf4, fp4, mxfp4, nvfp4, int8", "NAME");
  option("--map", "map", "how values are laid over codes: affine, symmetric, restricted, minmax", "NAME");
  option("--group", "group", "values that share a scale: 16 to 256, channel or tensor", "N");
  option("--clip", "clip", "how ranges are chosen: minmax, percentile, mse, octav, aciq or entropy", "RULE");
  option("--act-clip", "act-clip", "the same for activations alone", "RULE");
  option("--percentile", "percentile", "for clip=percentile (default 99.99)", "P");
  option("--bias-correction", "bias-correction",
         "with data, take back from biases what quantized weights add to the mean output: on (default) or off", "WHAT");
  option("--positions", "positions",
         "which activations are quantized: compute (inputs of convolutions and products) or all (inputs of residual "
         "additions too)",
         "WHICH");
  option("--prepare", "prepare",
         "rewrite the float network into an equal one first: equalize (cross-layer equalization, data-free) or none",
         "NAME");
  option("--keep", "keep", "leave layers at 8 bits (or LAYERS:16): first, last, depthwise or a layer's name", "LAYERS");
  command
      .add_option("--calib", flags.calibration_data,
                  "data that shows what the activations look like (needed below 16-bit activations)")
      ->type_name("DATA");
  command.add_option("--calib-samples", flags.calibration_samples, "samples of it to use (default 256)")
      ->type_name("N");
  command.add_option("--ranges", flags.ranges, "ranges from a file instead of --calib")->type_name("FILE");
  command.add_option("--save-ranges", flags.save_ranges, "write the ranges that were used")->type_name("FILE");
  command.add_flag("--allow-fallback", flags.allow_fallback,
                   "leave layers wide that cannot be quantized as asked, instead of stopping");
  command.add_option("--nonfinite", flags.nonfinite, "what to do with NaN or infinite weights: error or zero")
      ->type_name("WHAT");
}

model::SaveResult save_quantized(graph::Graph& graph, const Network& network, const QuantizationFlags& flags,
                                 const std::filesystem::path& output, model::SaveOptions save, const Context& context) {
  graph.metadata["nibble.float_bytes"] = std::to_string(network.file_bytes);
  data::keep_description(network.description, graph.metadata);
  save.force = context.force;
  save.producer = std::string("nibble ") + version();
  for (const auto& input : {network.path, flags.calibration_data, flags.ranges})
    if (!input.empty()) save.inputs.push_back(input);
  return model::save(graph, output, save);
}

quant::NextBatch calibration_batches(const data::Dataset& dataset, const graph::Graph& graph, int64_t total,
                                     base::ThreadPool& pool) {
  const int64_t fixed = dataset.fixed_batch(graph);
  const bool any = fixed == tensor::kUnknown;
  const int64_t size = any ? quant::calibration_batch(graph) : fixed;
  auto at = std::make_shared<int64_t>(0);
  return [&dataset, &pool, at, any, size, total]() -> std::vector<tensor::Tensor> {
    while (*at < total) {
      const int64_t count = std::min(size, total - *at);
      if (count < size && !any) return {};  // a fixed batch cannot be filled
      data::Batch batch = dataset.batch(*at, count, pool);
      *at += count;
      if (!batch.empty()) return batch.inputs;
    }
    return {};
  };
}

namespace {

/// What becomes MatMulNBits or GatherBlockQuantized, and what does not and why.
std::string style_text(const quant::Plan& plan) {
  int64_t products = 0, tables = 0;
  std::map<std::string, int64_t> others;
  for (const auto& layer : plan.layers)
    if (layer.nbits_block > 0)
      ++(layer.table ? tables : products);
    else if (layer.bits < 16)
      ++others[layer.why_qdq];
  std::string text = fmt::format("{} as MatMulNBits (accuracy_level 1: activations stay floats)", products);
  if (tables) text += fmt::format(", {} as GatherBlockQuantized", tables);
  if (products && plan.scheme.weights.format->lowest_code < 0)
    text += "; int4 is written as uint4 around 8, the same values";
  for (const auto& [why, n] : others) text += fmt::format("; {} as DequantizeLinear ({})", n, why);
  return text;
}

std::string kinds_text(const quant::Plan& plan) {
  std::map<std::string, int64_t> kinds;
  for (const auto& layer : plan.layers)
    if (layer.bits < 16) {
      const std::string granularity = layer.per_tensor ? "per tensor"
                                      : layer.group    ? fmt::format("group {}", layer.group)
                                                       : "per channel";
      ++kinds[fmt::format("{} to {} {}", layer.op, layer.grid.format->name, granularity)];
    }
  std::string text;
  for (const auto& [kind, n] : kinds) text += (text.empty() ? "" : ", ") + fmt::format("{} {}", n, kind);
  return text;
}

}  // namespace

PlannedQuantization plan_quantization(const Network& network, const QuantizationFlags& flags,
                                      const DataFlags& data_flags, bool plan_only, Context& context) {
  quant::Scheme scheme = quant::parse_scheme(flags.scheme);
  for (const std::string& option : flags.options) quant::set_option(scheme, option);
  if (flags.nonfinite != "error" && flags.nonfinite != "zero") base::fail_usage("--nonfinite", "takes error or zero");
  if (!flags.ranges.empty() && !flags.calibration_data.empty())
    base::fail_usage("--ranges", "ranges come from a file or from --calib, not from both");

  PlannedQuantization q;
  q.graph = network.graph;
  const std::vector<std::string> prepared = quant::prepare(q.graph, scheme.preparations, flags.keep_normalizations);
  quant::PlanOptions options;
  options.allow_fallback = flags.allow_fallback;
  options.zero_nonfinite = flags.nonfinite == "zero";
  options.style = flags.style;
  options.file_bytes = network.file_bytes;
  options.threads = context.pool->threads();
  try {
    q.plan = quant::make_plan(q.graph, scheme, nullptr, options);
  } catch (const base::Error& e) {
    throw e.within(base::printable(network.path.string(), 400));
  }
  q.plan.prepared = prepared;
  context.console->line("scheme", quant::to_text(scheme));
  for (const std::string& done : prepared) context.console->line("prepare", done);
  std::string text = kinds_text(q.plan);
  if (!q.plan.activations.empty())
    text += fmt::format(", {} activations to uint{} (positions={})", q.plan.activations.size(), scheme.activation_bits,
                        scheme.positions == quant::Positions::kAll ? "all" : "compute");
  context.console->line("plan", fmt::format("{} · {} → {} · about {}, {} of memory", text,
                                            bytes_text(q.plan.bytes_before), bytes_text(q.plan.bytes_after),
                                            seconds_text(q.plan.seconds), bytes_text(q.plan.memory_bytes)));
  if (const std::string text_of_lattices = quant::lattice_text(q.plan); !text_of_lattices.empty())
    context.console->line("lattice", text_of_lattices);
  if (flags.style == model::OnnxStyle::kMatMulNBits) context.console->line("style", style_text(q.plan));
  for (const auto& layer : q.plan.layers)
    if (layer.bits == 16 || (!layer.note.empty() && layer.bits == 8))
      context.console->line("", base::printable(layer.name) + ": " + layer.note);
  for (const std::string& out : q.plan.left_out) context.console->line("left out", out);

  if (plan_only) return q;
  if (!flags.ranges.empty()) {
    const auto file = base::MappedFile::open(flags.ranges);
    q.calibration = quant::calibration_from_json(base::as_text(file->bytes()), flags.ranges.string(), context.limits);
  } else if (!flags.calibration_data.empty()) {
    DataFlags chosen = data_flags;
    if (!chosen.seed) chosen.seed = 0;  // data often lies sorted by class; its front would be one class only
    const auto dataset = open_data(flags.calibration_data, chosen, network, context);
    const int64_t total = std::min(dataset->size(), flags.calibration_samples);
    if (total < dataset->size())
      context.console->note(
          fmt::format("calibrating on {} of {} samples, chosen with seed {} (--calib-samples N, --shuffle SEED)", total,
                      dataset->size(), *chosen.seed));
    q.calibration = quant::calibrate(q.graph, quant::observed_values(q.graph, q.plan),
                                     calibration_batches(*dataset, q.graph, total, *context.pool), total, *context.pool,
                                     *context.console, context.limits);
    q.calibration->source = dataset->describe();
    q.calibration->prepared = quant::preparations_text(scheme);
  } else if (!q.plan.activations.empty()) {
    base::fail_usage("scheme " + scheme.base, "quantizes activations, which needs data that shows their ranges",
                     "add --calib DATA or --ranges FILE");
  }
  if (q.calibration) {
    quant::use_calibration(q.plan, *q.calibration);
    for (const auto& a : q.plan.activations) {
      const auto& s = q.calibration->activations.at(a.name);
      if (s.min == 0 && s.max == 0)
        context.console->note(base::printable(a.name) + " was zero on all data; its scale is 1");
    }
  }
  if (!flags.save_ranges.empty()) {
    if (!q.calibration) q.calibration.emplace().prepared = quant::preparations_text(scheme);
    quant::add_weight_ranges(*q.calibration, q.graph);
    const std::vector<std::filesystem::path> inputs{network.path};
    base::AtomicFile file(flags.save_ranges, context.force, inputs);
    file.write(quant::to_json(*q.calibration));
    file.commit();
    context.console->line("ranges", "written to " + flags.save_ranges.string());
  }
  return q;
}

std::string plan_text(const quant::Plan& plan) {
  Table layers;
  layers.row({"layer", "operator", "shape", "weights", "scale for", "bits", "before", "after", "input", "note"});
  for (const auto& l : plan.layers) {
    const bool wide = l.bits == 16;
    layers.row({base::printable(l.name, 40), l.op, tensor::to_string(l.shape),
                wide ? "as they are" : std::string(l.grid.format->name) + " " + std::string(fit::name_of(l.grid.map)),
                wide           ? "-"
                : l.per_tensor ? "tensor"
                : l.group      ? fmt::format("{} weights", l.group)
                               : "channel",
                fmt::format("{:.2f}", l.bits_per_weight), count_text(l.bytes_before), count_text(l.bytes_after),
                l.activation_bits == 16 ? "float" : fmt::format("uint{}", l.activation_bits), l.note});
  }
  std::string text = layers.text({false, false, false, false, false, true, true, true, false, false});
  if (!plan.activations.empty()) {
    Table activations;
    activations.row({"activation", "bits", "sign", "where"});
    for (const auto& a : plan.activations)
      activations.row({base::printable(a.name, 40), fmt::format("uint{}", a.bits),
                       a.calibrated ? (a.is_signed ? "signed" : "unsigned") : "open", a.position});
    text += "\n" + activations.text({false, false, false, false});
  }
  if (const std::string lattices = quant::lattice_text(plan); !lattices.empty()) text += "  " + lattices + "\n";
  for (const std::string& out : plan.left_out) text += "  left out: " + out + "\n";
  return text + fmt::format("\n  file {} → about {} · about {} on this machine · {} of memory\n",
                            bytes_text(plan.bytes_before), bytes_text(plan.bytes_after), seconds_text(plan.seconds),
                            bytes_text(plan.memory_bytes));
}

io::Json plan_json(const quant::Plan& plan) {
  io::Json::Array layers, activations;
  for (const auto& l : plan.layers)
    layers.push_back(io::Json::Object{{"layer", l.name},
                                      {"operator", l.op},
                                      {"weight", l.weight_name},
                                      {"shape", tensor::to_string(l.shape)},
                                      {"bits", l.bits},
                                      {"format", l.bits == 16 ? "float32" : std::string(l.grid.format->name)},
                                      {"map", l.bits == 16 ? "" : std::string(fit::name_of(l.grid.map))},
                                      {"group", l.group},
                                      {"per_tensor", l.per_tensor},
                                      {"bits_per_weight", l.bits_per_weight},
                                      {"bytes_before", l.bytes_before},
                                      {"bytes_after", l.bytes_after},
                                      {"activation_bits", l.activation_bits},
                                      {"nbits_block", l.nbits_block},
                                      {"why_qdq", l.why_qdq},
                                      {"lattice", l.lattice != nullptr},
                                      {"note", l.note}});
  for (const auto& a : plan.activations) {
    io::Json::Object o{{"value", a.name}, {"bits", a.bits}, {"position", a.position}};
    if (a.calibrated) {
      o.emplace_back("signed", a.is_signed);
      o.emplace_back("scale", static_cast<double>(a.params.scale));
      o.emplace_back("zero_point", a.params.zero);
    }
    activations.push_back(std::move(o));
  }
  io::Json::Array left_out, prepared;
  for (const std::string& s : plan.prepared) prepared.emplace_back(s);
  for (const std::string& s : plan.left_out) left_out.emplace_back(s);
  return io::Json::Object{{"scheme", quant::to_text(plan.scheme)}, {"file_bytes_before", plan.bytes_before},
                          {"file_bytes_after", plan.bytes_after},  {"seconds", plan.seconds},
                          {"memory_bytes", plan.memory_bytes},     {"layers", std::move(layers)},
                          {"activations", std::move(activations)}, {"prepared", std::move(prepared)},
                          {"left_out", std::move(left_out)}};
}

}  // namespace nibble::cli
