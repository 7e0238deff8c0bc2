// nibble quantize: the plan, the work, the proof.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/command.h"
#include "cli/language/language.h"
#include "cli/quantization.h"
#include "cli/version.h"
#include "eval/html/report_page.h"

namespace nibble::cli {
namespace {

struct Flags {
  const CLI::App* command = nullptr;
  std::filesystem::path network, output, also_int8;
  QuantizationFlags quantization;
  DataFlags data;
  LanguageQuantizeFlags language;
  std::string layers = "worst", style = "qdq";
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

/// The plan and what it did to the weights, as a page. Accuracy is `eval`'s.
eval::Page page_of(const quant::Plan& plan, std::vector<eval::WeightError> weights, const std::string& file,
                   int64_t float_bytes, int64_t bytes, double bits) {
  eval::Page page;
  page.kind = "nibble quantize";
  page.title = file;
  page.two = true;
  page.lead = fmt::format("{} of {} layers quantized, {:.2f} bits a weight.", plan.quantized_layers(),
                          plan.layers.size(), bits);
  page.notes = {"This page says what became of the weights. What that costs in accuracy is measured by nibble eval."};
  page.bars = {eval::size_bar(float_bytes, bytes)};
  page.bill = {{"file", bytes_text(float_bytes), bytes_text(bytes),
                eval::ratio_text(static_cast<double>(float_bytes), static_cast<double>(bytes), "smaller", "larger")},
               {"bits a weight", "32.00", fmt::format("{:.2f}", bits), "over the quantized weights, scales included"}};
  if (!plan.activations.empty())
    page.bill.push_back({"quantized activations", "0", count_text(static_cast<int64_t>(plan.activations.size())), ""});
  page.facts = {{"scheme", quant::to_text(plan.scheme)}};
  for (const auto& l : plan.layers)
    if (!l.note.empty()) page.facts.push_back({base::printable(l.name), l.note});
  for (const std::string& text : plan.left_out) page.facts.push_back({"left out", text});
  for (const eval::WeightError& w : weights) {
    eval::PageLayer l{
        w.name, w.op, tensor::to_string(w.stored.shape()), w.format, w.bits, w.bits_per_weight(), w.bytes, {}, {}, {}};
    if (w.real && w.is_quantized()) l.weight_db = w.sqnr_db;
    page.layers.push_back(std::move(l));
  }
  page.layers_text =
      "Signal to quantization noise (SQNR) of the weights in decibels, more is better. The bits of a weight count its "
      "scales.";
  page.weights = std::move(weights);
  return page;
}

void run(Flags flags, Context& context) {
  context.start({flags.network, flags.quantization.calibration_data, flags.quantization.ranges});
  const bool language_model = model::is_language_model(flags.network);
  require_meaning(*flags.command, language_model,
                  {"--output", "--scheme", "--calib", "--allow-fallback", "--dry-run", "--layers"});
  if (language_model)
    return quantize_language(
        {flags.network, flags.output, flags.quantization.calibration_data, flags.quantization.scheme,
         flags.quantization.allow_fallback, flags.dry_run, flags.layers == "all", flags.language},
        context);
  if (flags.style != "qdq" && flags.style != "matmulnbits")
    base::fail_usage("--onnx-style", "there is no style " + base::in_quotes(flags.style),
                     "there are qdq and matmulnbits");
  if (flags.style == "matmulnbits") flags.quantization.style = model::OnnxStyle::kMatMulNBits;
  if (!context.html.empty() && flags.dry_run)
    base::fail_usage("--html", "shows quantized weights, which --dry-run does not make");
  if (flags.layers != "worst" && flags.layers != "all") base::fail_usage("--layers", "takes worst or all");
  if (flags.output.empty() && !flags.dry_run)
    base::fail_usage("-o", "the output file is missing", "add -o FILE, or --dry-run to see the plan only");
  Network network = open_network(flags.network, context);
  PlannedQuantization q = plan_quantization(
      network, flags.quantization, flags.data,
      flags.dry_run && flags.quantization.calibration_data.empty() && flags.quantization.ranges.empty(), context);
  if (flags.dry_run) {
    print(plan_text(q.plan));
    context.write_json(plan_json(q.plan));
    return;
  }
  graph::Graph prepared;  // float weights that only the page still needs; else they go as soon as they are quantized
  if (!context.html.empty()) prepared = q.graph;
  network.graph = {};
  const auto results =
      quant::apply(q.graph, q.plan, q.calibration ? &*q.calibration : nullptr, *context.pool, *context.console);
  model::SaveOptions save;
  save.also_int8 = flags.also_int8;
  save.style = flags.quantization.style;
  const model::SaveResult saved =
      save_quantized(q.graph, network, flags.quantization, flags.output, std::move(save), context);
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
  const std::string next = fmt::format("nibble eval {} --baseline {} --data DATA", shell_word(flags.output.string()),
                                       shell_word(flags.network.string()));
  out += "\n  " + display_width_padded("next", 15, false) + next + "\n";
  print("\n" + out);
  io::Json::Array layers;
  for (const auto& r : results)
    layers.push_back(io::Json::Object{{"layer", r.name},
                                      {"weight", r.weight_name},
                                      {"sqnr_db", std::isinf(r.sqnr_db) ? io::Json() : io::Json(r.sqnr_db)},
                                      {"bits_per_weight", r.bits_per_weight},
                                      {"bytes", r.bytes}});
  if (!context.wants_report()) return;
  const auto inputs = hashed_inputs({{"float network", flags.network},
                                     {"calibration data", flags.quantization.calibration_data},
                                     {"ranges", flags.quantization.ranges},
                                     {"output", flags.output},
                                     {"output as int8", flags.also_int8}});
  const io::Json json = io::Json::Object{{"schema", eval::kReportSchema},
                                         {"command", context.command_line},
                                         {"version", version()},
                                         {"commit", commit()},
                                         {"files", eval::to_json(inputs)},
                                         {"plan", plan_json(q.plan)},
                                         {"output", flags.output.string()},
                                         {"file_bytes", size},
                                         {"float_file_bytes", network.file_bytes},
                                         {"bits_per_weight", bits},
                                         {"opset", saved.opset},
                                         {"layers", std::move(layers)}};
  context.write_json(json);
  if (context.html.empty()) return;
  eval::Page page =
      page_of(q.plan, eval::compare_weights(prepared, q.graph),
              fmt::format("{} from {}", flags.output.filename().string(), flags.network.filename().string()),
              network.file_bytes, size, bits);
  page.next_text = "What did it cost?";
  page.next = next;
  page.command = context.command_line;
  page.provenance = {{"nibble", std::string(version()) + " (" + commit() + ")"},
                     {"report schema", std::to_string(eval::kReportSchema)},
                     {"opset of the output", std::to_string(saved.opset)}};
  page.inputs = inputs;
  page.json = json;
  context.write_html(eval::to_html(page));
}

}  // namespace

void add_quantize(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("quantize", "Make a network 4 bits wide");
  flags->command = command;
  command
      ->add_option("network", flags->network,
                   "the float network (ONNX), or a language model (a Hugging Face folder or GGUF)")
      ->required();
  command->add_option("-o,--output", flags->output, "the file to write")->type_name("FILE");
  add_quantization_flags(*command, flags->quantization, "W4A16");
  command
      ->add_option("--also-int8", flags->also_int8,
                   "write the same values as 8-bit codes too, for runtimes without 4-bit kernels")
      ->type_name("FILE");
  command
      ->add_option("--onnx-style", flags->style,
                   "qdq: standard ONNX, DequantizeLinear before operators (default); matmulnbits: onnxruntime's "
                   "com.microsoft MatMulNBits for products of floats, GatherBlockQuantized for embeddings")
      ->type_name("STYLE");
  command->add_flag("--dry-run", flags->dry_run, "print the plan and stop");
  command->add_option("--layers", flags->layers, "layers to list afterwards: worst or all");
  add_language_flags(*command, flags->language);
  add_data_flags(*command, flags->data);
  add_common_flags(*command, context, true);
  add_html_flag(*command, context);
  command->callback([flags, &context] { run(*flags, context); });
}

}  // namespace nibble::cli
