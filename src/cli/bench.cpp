// nibble bench: how fast, at which batch sizes and threads, and where the time goes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "cli/command.h"
#include "cli/version.h"
#include "eval/latency.h"
#include "eval/profile.h"
#include "eval/report.h"

namespace nibble::cli {
namespace {

struct Flags {
  std::filesystem::path network, baseline, data_path;
  DataFlags data;
  std::vector<int64_t> batches;
  std::vector<int> threads;
  double seconds = 2;
  bool profile = false;
};

constexpr uint64_t kSeed = 1;

/// Normally distributed floats that depend on the seed and the input's place alone; zeros in every other type, which
/// are safe as indices.
tensor::Tensor made_input(const graph::Value& value, tensor::Shape shape, uint64_t stream) {
  tensor::Tensor t(value.dtype, std::move(shape));
  if (value.dtype != tensor::DType::f32) return t;
  base::Random random(kSeed, stream);
  for (float& x : t.mutable_values<float>()) x = static_cast<float>(random.normal());
  return t;
}

/// Shape of an input for `batch` samples: the batch is the first size. Other sizes must be known.
tensor::Shape input_shape(const graph::Value& value, int64_t batch, const base::Limits& limits) {
  const std::string place = "input " + base::in_quotes(value.name);
  if (!value.shape_known) base::fail_usage(place, "has a shape that the file leaves open", "give inputs with --data");
  tensor::Shape shape = value.shape;
  int64_t elements = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (d == 0 && shape[d] == tensor::kUnknown) shape[d] = batch;
    if (shape[d] == tensor::kUnknown)
      base::fail_usage(place, "has the shape " + tensor::to_string(value.shape) + ", whose sizes the file leaves open",
                       "give inputs with --data");
    if (__builtin_mul_overflow(elements, shape[d], &elements) || elements > limits.tensor_elements)
      base::fail_limit(place, "a batch of " + std::to_string(batch) + " is too large");
  }
  return shape;
}

/// The batch sizes to run: those asked for, or 1; or the one that the network is fixed to.
std::vector<int64_t> batches_of(const Flags& flags, const graph::Graph& graph) {
  for (const int64_t b : flags.batches)
    if (b < 1) base::fail_usage("--batch", "takes numbers from 1");
  if (graph.inputs.empty()) base::fail_unsupported("", "the network has no inputs");
  const int64_t fixed = graph.fixed_batch();
  if (fixed == tensor::kUnknown) return flags.batches.empty() ? std::vector<int64_t>{1} : flags.batches;
  for (const int64_t b : flags.batches)
    if (b != fixed) base::fail_usage("--batch", fmt::format("{}: the network takes batches of exactly {}", b, fixed));
  return {fixed};
}

std::vector<tensor::Tensor> inputs_of(const graph::Graph& graph, const data::Dataset* dataset, int64_t batch,
                                      Context& context) {
  std::vector<tensor::Tensor> inputs;
  if (dataset) {
    if (dataset->holds_runs()) return dataset->batch(0, 1, *context.pool).inputs;
    const data::Batch data = dataset->batch(0, batch, *context.pool);
    if (data.size() < batch)
      base::fail_usage("--batch", fmt::format("{}: the data has {} samples that can be used", batch, data.size()));
    return data.inputs;
  }
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const graph::Value& value = graph.value(graph.inputs[i]);
    inputs.push_back(made_input(value, input_shape(value, batch, context.limits), i));
  }
  return inputs;
}

/// One setting of batch and threads, all networks.
struct Setting {
  int64_t batch = 1;
  int threads = 1;
  std::vector<eval::Latency> latencies;  ///< baseline first, where there is one
};

std::string speed_up_text(const eval::SpeedUp& s) {
  const bool faster = s.ratio >= 1;
  const double ratio = faster ? s.ratio : 1 / s.ratio;
  const double a = faster ? s.interval.low : 1 / s.interval.high, b = faster ? s.interval.high : 1 / s.interval.low;
  return fmt::format("{:.2f} x {}  [{:.2f}, {:.2f}]{}", ratio, faster ? "faster" : "slower", a, b,
                     a <= 1 ? "  noise" : "");
}

std::string settings_text(const std::vector<Setting>& settings, const std::vector<std::string>& names) {
  Table table;
  const bool two = names.size() > 1;
  table.row({"batch", "threads", two ? "network" : "", "p50", "p90", "p99", "a second", "runs"});
  for (const Setting& s : settings) {
    for (size_t i = 0; i < names.size(); ++i) {
      const eval::Latency& l = s.latencies[i];
      table.row({i ? "" : fmt::format("{}", s.batch), i ? "" : fmt::format("{}", s.threads),
                 two ? base::printable(names[i], 32) : "", seconds_text(l.p50()),
                 l.has_p90() ? seconds_text(l.p90()) : "-", l.has_p99() ? seconds_text(l.p99()) : "-",
                 fmt::format("{:.4g}", static_cast<double>(s.batch) / l.p50()),
                 count_text(static_cast<int64_t>(l.runs.size()))});
    }
    if (two) table.row({"", "", speed_up_text(eval::speed_up(s.latencies[0], s.latencies[1]))});
  }
  return table.text({true, true, false, true, true, true, true, true});
}

std::string profile_text(const eval::Profile& p, const std::string& title) {
  constexpr size_t kNodes = 10;
  const auto cells = [&](const eval::NodeCost& c) {
    const auto gflops = c.gflops();
    return std::vector<std::string>{seconds_text(c.seconds), fmt::format("{:.1f} %", 100 * c.seconds / p.seconds),
                                    gflops ? fmt::format("{:.3g}", *gflops) : "-"};
  };
  Table operators, nodes;
  operators.row({title, "nodes", "a run", "share", "GFLOP/s"});
  for (const eval::NodeCost& c : p.by_operator()) {
    const auto rest = cells(c);
    operators.row({base::printable(c.op, 40), fmt::format("{}", c.nodes), rest[0], rest[1], rest[2]});
  }
  std::vector<eval::NodeCost> sorted = p.nodes;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  nodes.row({"slowest nodes", "operator", "a run", "share", "GFLOP/s"});
  for (size_t i = 0; i < std::min(kNodes, sorted.size()); ++i) {
    const auto rest = cells(sorted[i]);
    nodes.row({base::printable(sorted[i].name, 40), base::printable(sorted[i].op, 24), rest[0], rest[1], rest[2]});
  }
  std::string text =
      operators.text({false, true, true, true, true}) + "\n" + nodes.text({false, false, true, true, true});
  if (sorted.size() > kNodes) text += fmt::format("  ... {} more (--json)\n", sorted.size() - kNodes);
  return text + fmt::format("  all nodes together {} a run, mean of {} runs\n", seconds_text(p.seconds), p.runs);
}

io::Json profile_json(const eval::Profile& p, const std::string& file) {
  io::Json::Array nodes;
  for (const eval::NodeCost& c : p.nodes)
    nodes.push_back(io::Json::Object{{"node", c.name}, {"operator", c.op}, {"seconds", c.seconds}, {"macs", c.macs}});
  return io::Json::Object{{"file", file}, {"runs", p.runs}, {"seconds", p.seconds}, {"nodes", std::move(nodes)}};
}

io::Json setting_json(const Setting& s, const std::vector<std::string>& names) {
  io::Json::Array networks;
  for (size_t i = 0; i < names.size(); ++i)
    networks.push_back(io::Json::Object{{"file", names[i]},
                                        {"latency_seconds", eval::to_json(s.latencies[i])},
                                        {"samples_a_second", static_cast<double>(s.batch) / s.latencies[i].p50()},
                                        {"peak_activation_bytes", s.latencies[i].peak_activation_bytes}});
  io::Json::Object o{{"batch", s.batch}, {"threads", s.threads}, {"networks", std::move(networks)}};
  if (names.size() > 1) {
    const eval::SpeedUp up = eval::speed_up(s.latencies[0], s.latencies[1]);
    o.emplace_back("speed_up", io::Json::Object{{"ratio", up.ratio},
                                                {"interval", io::Json::Array{up.interval.low, up.interval.high}}});
  }
  return o;
}

/// Both networks must take what is given to one of them.
void check_same_inputs(const graph::Graph& a, const graph::Graph& b) {
  bool same = a.inputs.size() == b.inputs.size();
  for (size_t i = 0; same && i < a.inputs.size(); ++i) {
    const graph::Value &x = a.value(a.inputs[i]), &y = b.value(b.inputs[i]);
    same = x.dtype == y.dtype && x.shape_known == y.shape_known && x.shape == y.shape;
  }
  if (!same) base::fail_usage("--baseline", "takes other inputs than the network");
}

void run(const Flags& flags, Context& context) {
  context.threads = flags.threads.empty() ? 0 : *std::max_element(flags.threads.begin(), flags.threads.end());
  for (const int t : flags.threads)
    if (t < 1 || t > 1024) base::fail_usage("--threads", "takes numbers from 1 to 1024");
  context.start({flags.network, flags.baseline, flags.data_path});
  if (!(flags.seconds >= 0) || flags.seconds > 86400) base::fail_usage("--seconds", "takes a number from 0 to 86400");
  const Network network = open_network(flags.network, context);
  std::optional<Network> baseline;
  if (!flags.baseline.empty()) {
    baseline = open_network(flags.baseline, context);
    check_same_inputs(network.graph, baseline->graph);
  }
  std::vector<const graph::Graph*> graphs;
  std::vector<std::string> names;
  if (baseline) {
    graphs.push_back(&baseline->graph);
    names.push_back(flags.baseline.filename().string());
  }
  graphs.push_back(&network.graph);
  names.push_back(flags.network.filename().string());

  const auto batches = batches_of(flags, network.graph);
  std::unique_ptr<data::Dataset> dataset;
  if (!flags.data_path.empty()) dataset = open_data(flags.data_path, flags.data, network, context);
  if (dataset && dataset->holds_runs() && !flags.batches.empty())
    base::fail_usage("--batch", "the data holds whole runs, whose batch is their own");
  std::string input = dataset ? dataset->describe() : fmt::format("normally distributed numbers of seed {}", kSeed);
  if (!dataset) {
    const bool all_floats =
        std::all_of(network.graph.inputs.begin(), network.graph.inputs.end(),
                    [&](graph::ValueId v) { return network.graph.value(v).dtype == tensor::DType::f32; });
    if (!all_floats) input += ", zeros where inputs are no floats";
    context.console->note("inputs are " + input + "; --data DATA takes real ones");
  }
  const std::vector<int> threads = flags.threads.empty() ? std::vector<int>{context.pool->threads()} : flags.threads;
  const auto total = static_cast<int64_t>(batches.size() * threads.size());
  std::vector<Setting> settings;
  std::vector<eval::Profile> profiles;
  context.console->begin("measure", total, total == 1 ? "setting" : "settings");
  for (const int t : threads) {
    base::ThreadPool pool(t);
    for (const int64_t batch : batches) {
      const auto inputs = inputs_of(network.graph, dataset.get(), batch, context);
      settings.push_back(
          {batch, t, eval::measure_latency(graphs, inputs, {flags.seconds, context.limits}, pool, *context.console)});
      if (flags.profile && profiles.empty())
        for (const auto* g : graphs)
          profiles.push_back(eval::profile(*g, inputs, flags.seconds / 2, context.limits, pool, *context.console));
      context.console->advance(static_cast<int64_t>(settings.size()));
    }
  }
  context.console->end();

  std::string out = "\n" + settings_text(settings, names);
  const bool few = std::any_of(settings.begin(), settings.end(), [](const Setting& s) {
    return std::any_of(s.latencies.begin(), s.latencies.end(), [](const auto& l) { return !l.has_p99(); });
  });
  if (baseline) out += "  in brackets the 95 % interval of the ratio of medians; noise: it holds 1\n";
  if (few) out += "  fewer than 100 runs say nothing of the 99th percentile; --seconds S measures longer\n";
  for (size_t i = 0; i < profiles.size(); ++i)
    out +=
        "\n" + profile_text(profiles[i], fmt::format("{}, batch {}, {} {}", base::printable(names[i], 40), batches[0],
                                                     threads[0], threads[0] == 1 ? "thread" : "threads"));
  print(out);

  if (context.json.empty()) return;
  io::Json::Array settings_list, profile_list;
  for (const Setting& s : settings) settings_list.push_back(setting_json(s, names));
  for (size_t i = 0; i < profiles.size(); ++i) profile_list.push_back(profile_json(profiles[i], names[i]));
  io::Json::Object json{
      {"schema", eval::kReportSchema},
      {"command", context.command_line},
      {"version", version()},
      {"commit", commit()},
      {"files", eval::to_json(hashed_inputs(
                    {{"network", flags.network}, {"baseline", flags.baseline}, {"data", flags.data_path}}))},
      {"inputs", input},
      {"settings", std::move(settings_list)}};
  if (!profile_list.empty()) json.emplace_back("profile", std::move(profile_list));
  context.write_json(json);
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("bench", "Measure how fast a network runs here");
  command->add_option("network", flags->network, "the network (ONNX)")->required();
  command
      ->add_option("--baseline", flags->baseline,
                   "another network, run in turn with it: what it is faster or slower than")
      ->type_name("FILE");
  command->add_option("--batch", flags->batches, "samples in a run, one number or several: 1,8 (default 1)")
      ->delimiter(',')
      ->type_name("N");
  command->add_option("--seconds", flags->seconds, "how long to measure each setting (default 2)")->type_name("S");
  command->add_flag("--profile", flags->profile,
                    "say where the time goes, by operator and node (at the first batch size and number of threads)");
  command->add_option("--data", flags->data_path, "run samples of this instead of random numbers")->type_name("DATA");
  add_data_flags(*command, flags->data);
  add_common_flags(*command, context, true);
  command->remove_option(command->get_option("--threads"));
  command
      ->add_option("--threads", flags->threads,
                   "threads to use, one number or several: 1,2 (default: every core this process may use)")
      ->delimiter(',')
      ->type_name("N");
  command->callback([flags, &context] { run(*flags, context); });
}

}  // namespace nibble::cli
