// nibble eval: the bill.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/command.h"
#include "cli/language/language.h"
#include "cli/quantization.h"
#include "cli/version.h"
#include "eval/html/report_page.h"
#include "graph/products.h"
#include "graph/subgraphs.h"
#include "model/stored_weights.h"
#include "quant/prepare/prepare.h"

namespace nibble::cli {
namespace {

struct Flags {
  const CLI::App* command = nullptr;
  std::filesystem::path network, baseline, data_path;
  QuantizationFlags quantization;
  DataFlags data;
  LanguageEvalFlags language;
  std::string energy_command, task;
  std::optional<double> max_drop;
  bool layers = false, no_latency = false;
  double seconds = 2;
};

double bits_per_weight(const graph::Graph& graph) {
  int64_t weights = 0, bytes = 0;
  for (const model::StoredWeight& w : model::stored_weights(graph)) {
    weights += w.elements;
    bytes += w.bytes;
  }
  return weights ? 8.0 * static_cast<double>(bytes) / static_cast<double>(weights) : 32;
}

/// What is quantized in a graph, in words: "26 weights at 4 bits; 26 uint8 activations".
std::string quantized_text(const graph::Graph& graph) {
  int64_t four = 0, eight = 0, wide = 0, u8 = 0, u4 = 0;
  for (graph::NodeId id = 0; id < graph.node_count(); ++id) {
    const graph::Node& node = graph.node(id);
    if (node.op == "QuantizeLinear") (tensor::bits_of(graph.value(node.output(0)).dtype) == 4 ? u4 : u8) += 1;
  }
  for (const model::StoredWeight& w : model::stored_weights(graph))
    (w.bits == 4 ? four : w.bits == 8 ? eight : wide) += 1;
  std::string text = fmt::format("weights: {} at 4 bits, {} at 8, {} floats; activations: ", four, eight, wide);
  if (u8 + u4 == 0) return text + "floats";
  return text + fmt::format("{} uint8, {} uint4", u8, u4);
}

void fill_costs(eval::Report& report, const graph::Graph* before, const graph::Graph& after,
                const data::Dataset& dataset, const Flags& flags, Context& context) {
  const data::Batch one = dataset.batch(0, 1, *context.pool);
  const int64_t fixed = dataset.fixed_batch(after);
  if (flags.no_latency || one.empty()) return;
  if (fixed != tensor::kUnknown && fixed != 1) {
    context.console->note(fmt::format("no latency: the network takes batches of exactly {}", fixed));
    return;
  }
  std::vector<const graph::Graph*> networks;
  if (before) networks.push_back(before);
  networks.push_back(&after);
  context.console->line(
      "measure", fmt::format("latency at batch 1, {} threads, about {} s", context.pool->threads(), flags.seconds));
  const auto meter = eval::EnergyMeter::open(flags.energy_command);
  eval::LatencyOptions options{flags.seconds, context.limits};
  auto times = eval::measure_latency(networks, one.inputs, options, *context.pool, *context.console);
  const auto side = [&](eval::Side& s, const graph::Graph& g, eval::Latency latency) {
    s.memory_bytes = eval::constant_bytes(g) + latency.peak_activation_bytes;
    if (meter) {
      // The counter sees the whole machine, so this network runs alone, long enough for the counter's steps.
      const double start = meter->joules();
      options.seconds = std::max(2.0, flags.seconds);
      const auto alone = eval::measure_latency({&g}, one.inputs, options, *context.pool, *context.console)[0];
      const auto runs = static_cast<double>(alone.runs.size()) + static_cast<double>(alone.warm_up_runs);
      s.energy = eval::Energy{(meter->joules() - start) / runs, false, meter->source()};
    } else {
      s.energy = eval::estimate_energy(g, one.inputs);
    }
    s.latency = std::move(latency);
  };
  if (before) side(*report.before, *before, std::move(times[0]));
  side(report.after, after, std::move(times.back()));
}

/// What to try when it cost too much.
std::string advice(const eval::Report& report, const Flags& flags) {
  const auto& drop = report.drop();
  if (!drop || drop->value <= drop->tolerable || report.comparison.layers.empty()) return {};
  const auto worst = std::min_element(
      report.comparison.layers.begin(), report.comparison.layers.end(), [](const auto& a, const auto& b) {
        return (a.four_bit ? a.sqnr_db : INFINITY) < (b.four_bit ? b.sqnr_db : INFINITY);
      });
  const std::string input = shell_word(flags.baseline.empty() ? flags.network.string() : flags.baseline.string());
  const std::string base = report.scheme.substr(0, report.scheme.find(':'));
  if (base == "W4A4")
    return fmt::format("nibble train {} -o OUT --scheme W4A4 --data TRAINING-DATA, or 8-bit activations", input);
  if (report.scheme.find("keep=first") == std::string::npos)
    return fmt::format("nibble quantize {} -o OUT --scheme {} --keep first --keep last{}", input,
                       base.empty() ? "W4A8" : base, base == "W4A16" ? "" : " --calib DATA");
  return fmt::format("nibble quantize {} -o OUT --scheme {} --keep {}{}", input, base.empty() ? "W4A8" : base,
                     shell_word(worst->name), base == "W4A16" ? "" : " --calib DATA");
}

void run(const Flags& flags, Context& context) {
  context.start(
      {flags.network, flags.baseline, flags.data_path, flags.quantization.calibration_data, flags.quantization.ranges});
  const bool language_model = model::is_language_model(flags.network);
  require_meaning(*flags.command, language_model, {"--baseline", "--data", "--layers", "--max-drop"});
  if (language_model)
    return eval_language({flags.network, flags.baseline, flags.data_path, flags.layers, flags.max_drop, flags.language},
                         context);
  const eval::TaskChoice task = eval::parse_task(flags.task);
  const bool in_memory = !flags.quantization.scheme.empty();
  if (in_memory && !flags.baseline.empty())
    base::fail_usage("--scheme", "quantizes the network itself, which is the baseline then", "leave --baseline out");
  Network network = open_network(flags.network, context);
  std::optional<Network> baseline;
  if (!flags.baseline.empty()) baseline = open_network(flags.baseline, context);
  if (baseline && !network.description.preprocessing && !network.description.audio &&
      (baseline->description.preprocessing || baseline->description.audio))
    network.description = baseline->description;

  eval::Report report;
  report.command = context.command_line;
  report.version = version();
  report.commit = commit();
  report.threads = context.pool->threads();
  const graph::Graph* before = baseline ? &baseline->graph : nullptr;
  const graph::Graph* after = &network.graph;
  graph::Graph quantized, prepared;  // prepared: the float network as its weights were quantized
  if (in_memory) {
    PlannedQuantization q = plan_quantization(network, flags.quantization, flags.data, false, context);
    prepared = q.graph;
    quant::apply(q.graph, q.plan, q.calibration ? &*q.calibration : nullptr, *context.pool, *context.console);
    quantized = std::move(q.graph);
    before = &network.graph;
    after = &quantized;
    report.scheme = quant::to_text(q.plan.scheme);
    report.after.file_bytes = q.plan.bytes_after;
  } else {
    const auto it = network.graph.metadata.find("nibble.scheme");
    if (it != network.graph.metadata.end()) report.scheme = it->second;
    report.after.file = flags.network.filename().string();
    report.after.file_bytes = network.file_bytes;
  }
  if (context.wants_report()) {
    if (baseline) {
      prepared = baseline->graph;
      quant::prepare(prepared);
    }
    report.weights = eval::compare_weights(prepared, *after);
    report.inputs = hashed_inputs({{in_memory ? "float network" : "network", flags.network},
                                   {"baseline", flags.baseline},
                                   {"data", flags.data_path},
                                   {"calibration data", flags.quantization.calibration_data},
                                   {"ranges", flags.quantization.ranges}});
  }
  report.after.bits_per_weight = bits_per_weight(*after);
  report.positions = quantized_text(*after);
  if (before) {
    report.before.emplace();
    report.before->file = (in_memory ? flags.network : flags.baseline).filename().string();
    report.before->file_bytes = in_memory ? network.file_bytes : baseline->file_bytes;
    report.before->bits_per_weight = bits_per_weight(*before);
  }
  const auto dataset = open_data(flags.data_path, flags.data, network, context);
  report.data = dataset->describe();
  eval::EvaluateOptions options;
  options.task = task;
  options.limits = context.limits;
  report.comparison = eval::evaluate(before, *after, *dataset, options, *context.pool, *context.console);
  if (report.comparison.skipped)
    context.console->note(fmt::format("{} samples could not be decoded and were left out", report.comparison.skipped));
  if (before) {
    int64_t in_branches = 0;
    graph::for_each_graph(*after, [&](const graph::Graph& g, const graph::Path& path) {
      if (!path.empty()) in_branches += static_cast<int64_t>(graph::weighted_products(g).size());
    });
    if (in_branches)
      context.console->note(
          fmt::format("the outputs of {} products in branches are not compared layer by layer, their "
                      "weights are (--html, --json)",
                      in_branches));
  }
  fill_costs(report, before, *after, *dataset, flags, context);
  report.next = advice(report, flags);
  print("\n" + eval::to_text(report, flags.layers));
  context.write_json(eval::to_json(report));
  if (!context.html.empty()) context.write_html(eval::to_html(eval::page_of(report)));
  if (!flags.max_drop) return;
  const auto& drop = report.drop();
  if (!drop)
    base::fail_usage("--max-drop", "the task " + report.comparison.task.name + " compared nothing",
                     "give a baseline, and what the task needs");
  const bool met = drop->value <= *flags.max_drop;
  print(fmt::format("  --max-drop {}: {} ({:.2f} {})\n", *flags.max_drop, met ? "met" : "missed", drop->value,
                    drop->unit));
  if (!met) context.exit_status = 1;
}

}  // namespace

void add_eval(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("eval", "Say what quantization cost, on data");
  flags->command = command;
  command
      ->add_option("network", flags->network,
                   "the quantized network, or with --scheme a float one that is quantized in memory")
      ->required();
  command->add_option("--baseline", flags->baseline, "the float network to compare with")->type_name("FILE");
  command
      ->add_option("--data", flags->data_path,
                   "the data: a folder, zip or tar of images, .wav or .npz, CIFAR, MNIST idx, .csv, .npy, .npz; a text "
                   "for language models")
      ->required()
      ->type_name("DATA");
  command->add_flag("--layers", flags->layers, "list every layer's error");
  command
      ->add_option("--max-drop", flags->max_drop,
                   "exit with status 1 when more is lost: points of top-1 (classify) or of character error (ctc), "
                   "percent of answers changed (agreement) or of the output's size (mse), dB (psnr)")
      ->type_name("POINTS");
  command
      ->add_option("--task", flags->task,
                   "how answers are scored: classify, agreement, psnr, ctc or mse, with options as "
                   "psnr:border=6,peak=1 agreement:tolerance=0.05 "
                   "ctc:alphabet=FILE,blank=0,layout=ntc,spaces=count (default: what outputs and data suit)")
      ->type_name("TASK");
  command->add_flag("--no-latency", flags->no_latency, "do not measure time and energy");
  command->add_option("--seconds", flags->seconds, "how long to measure latency (default 2)")->type_name("S");
  command
      ->add_option("--energy-cmd", flags->energy_command,
                   "a command that prints the joules used so far (an external meter)")
      ->type_name("COMMAND");
  add_quantization_flags(*command, flags->quantization, "");
  add_language_flags(*command, flags->language);
  add_data_flags(*command, flags->data);
  add_common_flags(*command, context, true);
  add_html_flag(*command, context);
  command->callback([flags, &context] { run(*flags, context); });
}

}  // namespace nibble::cli
