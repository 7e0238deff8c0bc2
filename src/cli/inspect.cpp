// nibble inspect: what a network is, and what 4 bits would do to it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/language/language.h"
#include "model/stored_weights.h"
#include "quant/check/check.h"
#include "quant/plan/plan.h"
#include "quant/prepare/prepare.h"

namespace nibble::cli {
namespace {

struct Flags {
  std::filesystem::path network;
};

std::string shape_text(const graph::Value& v) {
  if (!v.shape_known) return "[...]";
  std::string text = "[";
  for (size_t i = 0; i < v.shape.size(); ++i) {
    const bool named = v.shape[i] == tensor::kUnknown && i < v.symbols.size() && !v.symbols[i].empty();
    text += (i ? "," : "") + (named                            ? base::printable(v.symbols[i], 20)
                              : v.shape[i] == tensor::kUnknown ? "?"
                                                               : std::to_string(v.shape[i]));
  }
  return text + "]";
}

using OperatorCounts = std::map<std::string, int64_t>;

/// The graph's operators, and those of its subgraphs at any depth.
void count_operators(const graph::Graph& graph, OperatorCounts& own, OperatorCounts& in_branches) {
  for (graph::NodeId id = 0; id < graph.node_count(); ++id) {
    ++own[graph.node(id).op];
    for (const auto& [key, attribute] : graph.node(id).attributes)
      if (const auto* inner = std::get_if<std::shared_ptr<graph::Graph>>(&attribute))
        count_operators(**inner, in_branches, in_branches);
  }
}

std::string operators_text(const OperatorCounts& counts) {
  std::vector<std::pair<int64_t, std::string>> sorted;
  for (const auto& [op, n] : counts) sorted.emplace_back(-n, op);
  std::sort(sorted.begin(), sorted.end());
  std::string text;
  for (const auto& [n, op] : sorted) text += (text.empty() ? "" : " · ") + fmt::format("{} {}", -n, op);
  return text + "   all supported";
}

/// One line of the layer table: a weight as the file holds it.
struct WeightRow {
  std::string name, weight, op, shape, format;
  double bits = 32;
  int64_t bytes = 0, elements = 0;
};

std::vector<WeightRow> weight_rows(const graph::Graph& graph) {
  std::vector<WeightRow> rows;
  for (const model::StoredWeight& w : model::stored_weights(graph)) {
    WeightRow row;
    row.name = w.layer;
    row.weight = w.weight;
    row.op = w.op;
    row.shape = tensor::to_string(w.shape);
    row.elements = w.elements;
    row.bytes = w.bytes;
    row.format = w.format;
    row.bits = 8.0 * static_cast<double>(row.bytes) / static_cast<double>(std::max<int64_t>(1, row.elements));
    rows.push_back(std::move(row));
  }
  return rows;
}

/// What is worth knowing of the weights. A channel whose largest weight is far above the median channel's costs every
/// other value its precision where one scale serves a tensor, and hints at dead channels where it is zero.
std::vector<std::string> findings(const graph::Graph& graph, const quant::Plan& plan) {
  std::vector<std::string> out;
  for (const quant::LayerPlan& layer : plan.layers) {
    if (layer.bits == 16) continue;
    const auto [outliers, dead] = quant::channel_remarks(graph, layer);
    const std::string name = base::printable(layer.name, 40);
    if (outliers)
      out.push_back(
          fmt::format("{} has outliers: {} channels span more than 20 times the median one; --keep {} costs {}", name,
                      outliers, shell_word(layer.name), bytes_text(layer.rows * layer.columns - layer.bytes_after)));
    if (dead) out.push_back(fmt::format("{} has {} channels of zeros", name, dead));
    if (layer.depthwise && out.size() < 6 && layer.rows * layer.columns < 20000 &&
        std::none_of(out.begin(), out.end(),
                     [](const std::string& s) { return s.find("depthwise") != std::string::npos; }))
      out.push_back("depthwise convolutions lose most at 4 bits and are few bytes: --keep depthwise leaves them at 8");
  }
  return out;
}

void run(const Flags& flags, Context& context) {
  context.start({flags.network});
  if (model::is_language_model(flags.network)) return inspect_language(flags.network, context);
  Network network = open_network(flags.network, context);
  const graph::Graph& graph = network.graph;
  const auto rows = weight_rows(graph);
  int64_t weights = 0, weight_bytes = 0;
  const WeightRow* largest = nullptr;
  bool quantized = false;
  for (const WeightRow& row : rows) {
    weights += row.elements;
    weight_bytes += row.bytes;
    quantized = quantized || row.bits < 16;
    if (!largest || row.bytes > largest->bytes) largest = &row;
  }
  std::string head = fmt::format("{} · ONNX · {} weights · {}",
                                 base::printable(graph.name.empty() ? network.path.filename().string() : graph.name),
                                 count_text(weights), bytes_text(network.file_bytes));
  for (const graph::ValueId v : graph.inputs)
    head += " · input " + base::printable(graph.value(v).name, 40) + " " + shape_text(graph.value(v));
  head += " →";
  for (const graph::ValueId v : graph.outputs)
    head += " " + base::printable(graph.value(v).name, 40) + " " + shape_text(graph.value(v));
  std::string out = eval::wrapped(head, 0, 2) + "\n\n";
  const auto line = [&](std::string_view label, std::string_view text) {
    out += "  " + display_width_padded(label, 15, false) + eval::wrapped(text, 17, 17) + "\n";
  };
  OperatorCounts operators, in_branches;
  count_operators(graph, operators, in_branches);
  line("operators", operators_text(operators));
  if (!in_branches.empty()) line("in branches", operators_text(in_branches));
  if (largest)
    line("weights",
         fmt::format("{} tensors, {}, {:.2f} bits a weight; largest {} {} {}", rows.size(), bytes_text(weight_bytes),
                     8.0 * static_cast<double>(weight_bytes) / static_cast<double>(weights),
                     base::printable(largest->name, 40), largest->shape, bytes_text(largest->bytes)));
  io::Json::Object json{{"file", network.path.filename().string()},
                        {"file_bytes", network.file_bytes},
                        {"weights", weights},
                        {"weight_bytes", weight_bytes}};
  if (quantized) {
    const auto scheme = graph.metadata.find("nibble.scheme");
    if (scheme != graph.metadata.end()) line("scheme", base::printable(scheme->second, 300));
    const auto original = graph.metadata.find("nibble.float_bytes");
    if (original != graph.metadata.end()) {
      const int64_t before = std::atoll(original->second.c_str());
      if (before > 0 && network.file_bytes > 0)
        line("file",
             fmt::format("{}, {:.2f} times smaller than the float file ({})", bytes_text(network.file_bytes),
                         static_cast<double>(before) / static_cast<double>(network.file_bytes), bytes_text(before)));
    }
  } else if (!rows.empty()) {
    graph::Graph prepared = graph;
    quant::prepare(prepared);
    quant::PlanOptions options;
    options.allow_fallback = true;
    options.file_bytes = network.file_bytes;
    options.zero_nonfinite = true;
    std::string sizes;
    io::Json::Object at;
    for (const char* scheme : {"W4A16", "W4A8"}) {
      quant::Plan plan;
      try {
        plan = quant::make_plan(prepared, quant::parse_scheme(scheme), nullptr, options);
      } catch (const base::Error& e) {
        if (e.kind() != base::ErrorKind::kUnsupported) throw;
        line("at 4 bits", e.sentence());
        break;
      }
      int64_t n = 0, bytes = 0;
      for (const auto& l : plan.layers)
        if (l.bits < 16) n += l.rows * l.columns, bytes += l.bytes_after;
      const double bits = n ? 8.0 * static_cast<double>(bytes) / static_cast<double>(n) : 32;
      sizes += fmt::format("{}{} {} ({:.2f} bits a weight)", sizes.empty() ? "" : " · ", scheme,
                           bytes_text(plan.bytes_after), bits);
      at.emplace_back(scheme, io::Json::Object{{"file_bytes", plan.bytes_after}, {"bits_per_weight", bits}});
      if (std::string(scheme) == "W4A8") {
        line("at 4 bits", sizes + " · W4A4 as W4A8");
        bool first = true;
        for (const std::string& text : findings(prepared, plan)) {
          line(first ? "worth knowing" : "", text);
          first = false;
        }
        for (const std::string& text : plan.left_out) line("stays wide", text);
      }
    }
    json.emplace_back("at_4_bits", std::move(at));
  }
  if (network.description.preprocessing)
    line("data", "preprocessing " + data::to_text(*network.description.preprocessing));
  if (network.description.audio) line("data", "audio " + data::to_text(*network.description.audio));
  if (quantized || context.verbose) {
    Table table;
    table.row({"layer", "operator", "shape", "format", "bits", "bytes"});
    for (const WeightRow& row : rows)
      table.row({base::printable(row.name, 40), row.op, row.shape, row.format, fmt::format("{:.2f}", row.bits),
                 count_text(row.bytes)});
    out += "\n" + table.text({false, false, false, false, true, true});
  }
  const std::string stem = flags.network.stem().string();
  if (!quantized && !rows.empty())
    out += "\n  " + display_width_padded("next", 15, false) +
           fmt::format("nibble quantize {} -o {} --scheme W4A8 --calib DATA\n", shell_word(flags.network.string()),
                       shell_word(stem + "-w4a8.onnx"));
  io::Json::Array layers;
  for (const WeightRow& row : rows)
    layers.push_back(io::Json::Object{{"layer", row.name},
                                      {"weight", row.weight},
                                      {"operator", row.op},
                                      {"shape", row.shape},
                                      {"format", row.format},
                                      {"bits_per_weight", row.bits},
                                      {"bytes", row.bytes}});
  json.emplace_back("layers", std::move(layers));
  print(out);
  context.write_json(json);
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("inspect", "Say what a network is, and what 4 bits would do to it");
  command
      ->add_option("network", flags->network, "the network (ONNX), or a language model (a Hugging Face folder or GGUF)")
      ->required();
  add_common_flags(*command, context, true);
  command->callback([flags, &context] { run(*flags, context); });
}

}  // namespace nibble::cli
