// nibble quantize: the plan, the work, the proof.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/command.h"
#include "cli/quantization.h"
#include "cli/version.h"
#include "model/save.h"

namespace nibble::cli {
namespace {

struct Flags {
  std::filesystem::path network, output, also_int8;
  QuantizationFlags quantization;
  DataFlags data;
  std::string layers = "worst";
  bool dry_run = false;
};

std::string sqnr_text(double db) { return std::isinf(db) ? "exact" : fmt::format("{:.1f}", db); }

/// The layers that lost most, worst first.
std::string layers_text(const quant::Plan& plan, std::vector<quant::LayerResult> results, bool all) {
  std::stable_sort(results.begin(), results.end(), [](const auto& a, const auto& b) { return a.sqnr_db < b.sqnr_db; });
  const size_t shown = all ? results.size() : std::min<size_t>(5, results.size());
  Table table;
  table.row({"layers that lost most", "shape", "format", "bits", "SQNR dB"});
  for (size_t i = 0; i < shown; ++i) {
    const auto& r = results[i];
    const auto it =
        std::find_if(plan.layers.begin(), plan.layers.end(), [&](const auto& l) { return l.name == r.name; });
    table.row({base::printable(r.name, 40), tensor::to_string(it->shape), std::string(it->grid.format->name),
               fmt::format("{:.2f}", r.bits_per_weight), sqnr_text(r.sqnr_db)});
  }
  std::string text = table.text({false, false, false, true, true});
  if (shown < results.size()) text += fmt::format("  ... {} more (--layers all)\n", results.size() - shown);
  return text;
}

void run(const Flags& flags, Context& context) {
  context.start();
  if (flags.layers != "worst" && flags.layers != "all") base::fail_usage("--layers", "takes worst or all");
  if (flags.output.empty() && !flags.dry_run)
    base::fail_usage("-o", "the output file is missing", "add -o FILE, or --dry-run to see the plan only");
  const Network network = open_network(flags.network, context);
  PlannedQuantization q = plan_quantization(
      network, flags.quantization, flags.data,
      flags.dry_run && flags.quantization.calibration_data.empty() && flags.quantization.ranges.empty(), context);
  if (flags.dry_run) {
    print(plan_text(q.plan));
    context.write_json(plan_json(q.plan));
    return;
  }
  const auto results =
      quant::apply(q.graph, q.plan, q.calibration ? &*q.calibration : nullptr, *context.pool, *context.console);
  q.graph.metadata["nibble.float_bytes"] = std::to_string(network.file_bytes);
  if (network.description.preprocessing || !network.description.classes.empty())
    q.graph.metadata[std::string(data::kDescriptionMetadataKey)] = data::to_text(network.description);

  model::SaveOptions save;
  save.force = context.force;
  save.inputs = {flags.network, flags.quantization.calibration_data, flags.quantization.ranges};
  save.inputs.erase(std::remove(save.inputs.begin(), save.inputs.end(), std::filesystem::path()), save.inputs.end());
  save.also_int8 = flags.also_int8;
  save.producer = std::string("nibble ") + version();
  const model::SaveResult saved = model::save(q.graph, flags.output, save);
  const auto size = static_cast<int64_t>(saved.file_bytes + saved.data_bytes);
  int64_t weights = 0, bytes = 0;
  for (const auto& l : q.plan.layers) weights += l.bits < 16 ? l.rows * l.columns : 0;
  for (const auto& r : results) bytes += r.bytes;
  const double bits = weights ? 8.0 * static_cast<double>(bytes) / static_cast<double>(weights) : 0;
  context.console->line(
      "write",
      fmt::format("{}   {} ({:.1f} times smaller, {:.2f} bits a weight)   opset {}, checked by reading it back",
                  flags.output.string(), bytes_text(size),
                  static_cast<double>(network.file_bytes) / static_cast<double>(size), bits, saved.opset));
  if (saved.int8_file_bytes)
    context.console->line("write", fmt::format("{}   {}   the same values as int8", flags.also_int8.string(),
                                               bytes_text(static_cast<int64_t>(saved.int8_file_bytes))));
  if (std::any_of(q.plan.layers.begin(), q.plan.layers.end(),
                  [](const auto& l) { return l.op == "Conv" && l.bits == 4; }))
    context.console->line(
        "note",
        "onnxruntime unpacks 4-bit convolutions at every run (storage only there); nibble runs them as they are" +
            std::string(flags.also_int8.empty() ? "; --also-int8 FILE writes the same values for other runtimes" : ""));

  std::string out = layers_text(q.plan, results, flags.layers == "all");
  out += "\n  " + display_width_padded("next", 15, false) +
         fmt::format("nibble eval {} --baseline {} --data DATA\n", shell_word(flags.output.string()),
                     shell_word(flags.network.string()));
  print("\n" + out);
  io::Json::Array layers;
  for (const auto& r : results)
    layers.push_back(io::Json::Object{{"layer", r.name},
                                      {"weight", r.weight_name},
                                      {"sqnr_db", std::isinf(r.sqnr_db) ? io::Json() : io::Json(r.sqnr_db)},
                                      {"bits_per_weight", r.bits_per_weight},
                                      {"bytes", r.bytes}});
  context.write_json(io::Json::Object{{"command", context.command_line},
                                      {"version", version()},
                                      {"commit", commit()},
                                      {"plan", plan_json(q.plan)},
                                      {"output", flags.output.string()},
                                      {"file_bytes", size},
                                      {"float_file_bytes", network.file_bytes},
                                      {"bits_per_weight", bits},
                                      {"opset", saved.opset},
                                      {"layers", std::move(layers)}});
}

}  // namespace

void add_quantize(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("quantize", "Make a network 4 bits wide");
  command->add_option("network", flags->network, "the float network (ONNX)")->required();
  command->add_option("-o,--output", flags->output, "the file to write")->type_name("FILE");
  add_quantization_flags(*command, flags->quantization, "W4A16");
  command
      ->add_option("--also-int8", flags->also_int8,
                   "write the same values as 8-bit codes too, for runtimes without 4-bit kernels")
      ->type_name("FILE");
  command->add_flag("--dry-run", flags->dry_run, "print the plan and stop");
  command->add_option("--layers", flags->layers, "layers to list afterwards: worst or all");
  add_data_flags(*command, flags->data);
  add_common_flags(*command, context, true);
  command->callback([flags, &context] { run(*flags, context); });
}

}  // namespace nibble::cli
