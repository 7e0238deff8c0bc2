// nibble run: one input through a network.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/file.h"
#include "cli/command.h"
#include "cli/language/language.h"
#include "io/npy/npy.h"
#include "runtime/session.h"

namespace nibble::cli {
namespace {

struct Flags {
  const CLI::App* command = nullptr;
  std::filesystem::path network, image, input, output;
  DataFlags data;
  LanguageRunFlags language;
  int64_t top = 5;
};

std::string data_name(const Flags& flags) {
  return base::printable((flags.image.empty() ? flags.input : flags.image).string(), 400);
}

/// The first output of every sample, one after another along its first dimension, as .npy.
void write_outputs(runtime::Session& session, const data::Dataset& dataset, const Flags& flags, Context& context) {
  const int64_t fixed = dataset.fixed_batch(session.graph());
  const int64_t size = fixed == tensor::kUnknown ? 16 : fixed;
  std::vector<tensor::Tensor> parts;
  int64_t rows = 0, bytes = 0;
  context.console->begin("run", dataset.size(), "samples");
  for (int64_t at = 0; at + (fixed == tensor::kUnknown ? 1 : size) <= dataset.size(); at += size) {
    context.console->check_cancelled();
    const data::Batch batch = dataset.batch(at, size, *context.pool);
    if (batch.empty()) continue;
    parts.push_back(session.run(batch.inputs).at(0));
    const tensor::Tensor& y = parts.back();
    if (y.rank() == 0 || y.dtype() != parts[0].dtype() ||
        !std::equal(y.shape().begin() + 1, y.shape().end(), parts[0].shape().begin() + 1, parts[0].shape().end()))
      base::fail_unsupported("-o", "the outputs of different samples cannot be joined", "run one sample (--samples 1)");
    rows += y.shape()[0];
    bytes += static_cast<int64_t>(y.bytes().size());
    context.console->advance(at + batch.size());
  }
  context.console->end();
  if (const int64_t left = fixed > 0 ? dataset.size() % fixed : 0)
    context.console->note(
        fmt::format("the network takes batches of exactly {}: the last {} samples were not run", fixed, left));
  if (parts.empty()) base::fail_usage(data_name(flags), "has no sample that can be used");
  tensor::Shape shape = parts[0].shape();
  shape[0] = rows;
  tensor::Tensor all(parts[0].dtype(), shape, true);
  auto to = all.mutable_bytes().begin();
  for (const auto& part : parts) to = std::copy(part.bytes().begin(), part.bytes().end(), to);
  const std::vector<std::filesystem::path> sources{flags.network, flags.image.empty() ? flags.input : flags.image};
  base::AtomicFile file(flags.output, context.force, sources, static_cast<uint64_t>(bytes));
  file.write(io::npy_file(all));
  file.commit();
  context.console->line("write",
                        fmt::format("{}   {} {}", flags.output.string(), tensor::to_string(shape), bytes_text(bytes)));
}

void run(const Flags& flags, Context& context) {
  context.start();
  const bool language_model = model::is_language_model(flags.network);
  require_meaning(*flags.command, language_model);
  if (language_model) return run_language(flags.network, flags.language, context);
  if (flags.image.empty() == flags.input.empty()) base::fail_usage("nibble run", "needs one of --image and --data");
  const Network network = open_network(flags.network, context);
  const auto dataset = open_data(flags.image.empty() ? flags.input : flags.image, flags.data, network, context);
  runtime::SessionOptions options;
  options.limits = context.limits;
  runtime::Session session(network.graph, *context.pool, options);
  const int64_t fixed = dataset->fixed_batch(network.graph);
  const int64_t together = fixed == tensor::kUnknown ? 1 : fixed;
  data::Batch batch = dataset->batch(0, together, *context.pool);
  for (int64_t at = together; batch.empty() && at < dataset->size(); at += together)
    batch = dataset->batch(at, together, *context.pool);
  if (batch.empty()) base::fail_usage(data_name(flags), "has no sample that can be used");
  if (dataset->size() > 1 && flags.output.empty())
    context.console->note(
        fmt::format("the data has {} samples, the first one is run (-o FILE runs all)", dataset->size()));
  const auto start = std::chrono::steady_clock::now();
  const auto outputs = session.run(batch.inputs);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  std::string text;
  const auto& classes = network.description.classes;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const graph::Value& value = network.graph.value(network.graph.outputs[i]);
    text += "  " + base::printable(value.name, 60) + " " + std::string(name_of(outputs[i].dtype())) + " " +
            tensor::to_string(outputs[i].shape()) + "\n";
    if (outputs[i].dtype() != tensor::DType::f32) continue;
    const auto y = outputs[i].values<float>();
    if (outputs[i].rank() == 2 && !y.empty()) {
      std::vector<size_t> order(y.size());
      for (size_t k = 0; k < order.size(); ++k) order[k] = k;
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return y[a] > y[b]; });
      Table table;
      for (size_t k = 0; k < std::min<size_t>(order.size(), static_cast<size_t>(std::max<int64_t>(1, flags.top))); ++k)
        table.row({fmt::format("{}", order[k]), fmt::format("{:.4g}", y[order[k]]),
                   order[k] < classes.size() ? base::printable(classes[order[k]], 60) : ""});
      text += table.text({true, true, false}, 4);
    } else if (!y.empty()) {
      const auto [low, high] = std::minmax_element(y.begin(), y.end());
      text += fmt::format("    from {:.6g} to {:.6g}\n", *low, *high);
    }
  }
  print(text);
  context.console->line("time",
                        fmt::format("{} (first run, {} threads)", seconds_text(seconds), context.pool->threads()));
  if (!flags.output.empty()) write_outputs(session, *dataset, flags, context);
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("run", "Run one input through a network, or continue a text");
  flags->command = command;
  command
      ->add_option("network", flags->network, "the network (ONNX), or a language model (a Hugging Face folder or GGUF)")
      ->required();
  command->add_option("--image", flags->image, "an image")->type_name("FILE");
  command->add_option("--data", flags->input, "other data (.npy, .npz, ...); the first sample is run")
      ->type_name("DATA");
  command->add_option("-o,--output", flags->output, "run every sample and write the first output as .npy")
      ->type_name("FILE");
  command->add_option("--top", flags->top, "how many classes to print (default 5)")->type_name("N");
  add_language_flags(*command, flags->language);
  add_data_flags(*command, flags->data);
  add_common_flags(*command, context, false);
  command->callback([flags, &context] { run(*flags, context); });
}

}  // namespace nibble::cli
