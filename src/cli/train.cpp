// nibble train: win back what 4 bits cost.
#include <fmt/format.h>

#include <cmath>

#include "cli/command.h"
#include "cli/language/language.h"
#include "cli/quantization.h"
#include "cli/training.h"
#include "cli/version.h"
#include "quant/prepare/prepare.h"
#include "train/batch_norm.h"
#include "train/initialize.h"
#include "train/train.h"

namespace nibble::cli {
namespace {

struct Flags {
  std::filesystem::path network, output, data_path, log, checkpoint, resume;
  std::string validation = "5%", task, quantizer = "lsq", gradual, batch_norm = "fold", optimizer = "adam",
              schedule = "cosine", augmentation = "none";
  QuantizationFlags quantization;
  DataFlags data;
  train::Options options;
  std::optional<double> distillation, learning_rate;
  bool floats = false, from_scratch = false;
};

/// Refuses before the work what could not be written after it, and what must not be overwritten.
void check_outputs(const Flags& flags, const std::filesystem::path& checkpoint, const Context& context) {
  std::vector<std::filesystem::path> inputs{flags.network, flags.data_path, flags.validation,
                                            flags.quantization.calibration_data, flags.quantization.ranges};
  std::erase_if(inputs, [](const auto& path) { return path.empty(); });
  const base::AtomicFile output(flags.output, context.force, inputs);  // never committed: leaves nothing
  if (checkpoint.lexically_normal() == flags.output.lexically_normal() || base::same_file(checkpoint, flags.output))
    base::fail_usage("--checkpoint", "is the output file itself", "give it a name of its own");
  const base::AtomicFile kept(checkpoint, true, inputs);
  std::error_code none;
  if (!context.force && std::filesystem::exists(checkpoint, none) && !base::same_file(checkpoint, flags.resume))
    base::fail_usage(base::printable(checkpoint.string(), 400), "exists, perhaps from a training that was interrupted",
                     "go on from it with --resume, or start anew with --force");
}

void run(Flags flags, Context& context) {
  context.start(
      {flags.network, flags.data_path, flags.quantization.calibration_data, flags.quantization.ranges, flags.resume});
  if (model::is_language_model(flags.network))
    base::fail_unsupported(base::printable(flags.network.string(), 400),
                           "is a language model, and nibble trains networks from ONNX",
                           "nibble quantize, with --calib TEXT");
  if (flags.output.empty()) base::fail_usage("-o", "the output file is missing", "add -o FILE");
  const std::filesystem::path checkpoint =
      flags.checkpoint.empty() ? std::filesystem::path(flags.output.string() + ".checkpoint") : flags.checkpoint;
  check_outputs(flags, checkpoint, context);
  train::Options& options = flags.options;
  options.quantizer = train::parse_quantizer(flags.quantizer);
  options.batch_norm = train::parse_batch_norm(flags.batch_norm);
  options.optimizer = train::parse_optimizer(flags.optimizer);
  options.schedule = train::parse_schedule(flags.schedule);
  options.augmentation = train::parse_augmentation(flags.augmentation);
  options.quantize = !flags.floats;
  if (flags.floats) flags.quantization.options.push_back("bias-correction=off");  // nothing to take back
  if (flags.from_scratch) {
    options.distillation = 0;  // there is no trained network to learn from
    options.learning_rate = 2e-2;
    options.gradual = train::Gradual::kFloat;
    options.gradual_share = 0.5;
    if (flags.distillation && *flags.distillation > 0)
      base::fail_usage("--distill", "needs a trained network, and --from-scratch forgets it");
  }
  if (flags.distillation) options.distillation = *flags.distillation;
  if (flags.learning_rate) options.learning_rate = *flags.learning_rate;
  if (!flags.gradual.empty()) {
    const size_t colon = flags.gradual.find(':');
    options.gradual = train::parse_gradual(flags.gradual.substr(0, colon));
    if (colon != std::string::npos) {
      char* end = nullptr;
      options.gradual_share = std::strtod(flags.gradual.c_str() + colon + 1, &end);
      if (*end != '\0') options.gradual_share = 0;  // refused below
    }
  }
  train::check(options);
  const eval::TaskChoice task = eval::parse_task(flags.task);
  const train::Module& module = train::load_module();

  Network network = open_network(flags.network, context);
  if (flags.from_scratch) {
    const auto done = train::initialize_randomly(network.graph, options.seed);
    int64_t count = 0;
    for (const auto& d : done) count += d.elements;
    context.console->line("from scratch", fmt::format("{} constants with {} numbers start anew, seed {}", done.size(),
                                                      count_text(count), options.seed));
  }
  const TrainingData data =
      open_training_data(flags.data_path, flags.validation, flags.data, options.seed, network, context);
  if (!data.training->has_labels() && !flags.from_scratch)
    context.console->line("labels", "none: the float network's answers alone are learned");
  if (options.batch_norm != train::BatchNorm::kFold) {
    flags.quantization.keep_normalizations = true;
    if (const int64_t turned = train::make_scales_positive(network.graph))
      context.console->line("batch norm",
                            fmt::format("{} channels turned around, so that every scale is positive", turned));
  }
  if (flags.quantization.calibration_data.empty() && flags.quantization.ranges.empty())
    flags.quantization.calibration_data = flags.data_path;
  PlannedQuantization q = plan_quantization(network, flags.quantization, flags.data, false, context);

  train::Job job;
  job.teacher = job.prepared = &q.graph;
  job.plan = q.plan;
  job.quantized = q.graph;
  job.data = data.training.get();
  job.validation = data.validation.get();
  job.task = task;
  job.from_scratch = flags.from_scratch;
  job.limits = context.limits;
  job.calibration = [&] {
    const int64_t total = std::min(data.training->size(), flags.quantization.calibration_samples);
    return calibration_batches(*data.training, q.graph, total, *context.pool);
  };
  quant::apply(job.quantized, q.plan, q.calibration ? &*q.calibration : nullptr, *context.pool, *context.console);

  context.console->line("train", fmt::format("{} · {}", train::to_text(options), module.libraries));
  std::unique_ptr<base::AtomicFile> log;
  if (!flags.log.empty()) log = std::make_unique<base::AtomicFile>(flags.log, context.force);
  train::Watch watch;
  watch.progress = context.console.get();
  watch.checkpoint = checkpoint;
  watch.resume = flags.resume;
  const auto log_epoch = [&](const train::Epoch& e) {
    if (log) log->write(io::to_text(train::to_json(e), 0) + "\n");
  };
  watch.on_start = [&](const train::Forecast& f) {
    for (const train::Epoch& e : f.done) log_epoch(e);
    context.console->line(
        "", fmt::format("{} samples, {} to validate with · {} steps · {} parameters · about {}, {} of memory",
                        count_text(f.samples), count_text(data.validation ? data.validation->size() : 0),
                        count_text(f.steps), count_text(f.parameters), seconds_text(f.seconds),
                        bytes_text(f.memory_bytes)));
    if (!f.start_text.empty())
      context.console->line("",
                            fmt::format("{} on validation: {}quantized before training {}", f.score_name,
                                        f.teacher_text.empty() ? "" : "float " + f.teacher_text + ", ", f.start_text));
  };
  watch.on_epoch = [&](const train::Epoch& e) {
    context.console->line("epoch", epoch_text(e, options.epochs));
    log_epoch(e);
  };
  const train::Outcome outcome = [&] {
    try {
      return train::train(job, options, module, watch, *context.pool);
    } catch (Interrupted& e) {
      if (log) log->commit();
      e.left = watch.checkpoint.string() + " holds what was trained; go on with --resume " +
               shell_word(watch.checkpoint.string());
      throw;
    }
  }();
  if (!outcome.stopped.empty()) context.console->note("stopped early: " + outcome.stopped);

  if (outcome.best_epoch == 0)
    context.console->note(
        "no epoch was better than quantization without training, which is what is written; a smaller "
        "--learning-rate or more data may help");
  graph::Graph result = outcome.graph;
  result.metadata["nibble.train"] = train::to_text(options);
  const model::SaveResult saved =
      save_quantized(result, network, flags.quantization, flags.output, model::SaveOptions(), context);
  context.console->line(
      "write", fmt::format("{}   {}   epoch {}   checked by reading it back", flags.output.string(),
                           bytes_text(static_cast<int64_t>(saved.file_bytes + saved.data_bytes)), outcome.best_epoch));
  if (log) log->commit();
  std::error_code none;
  if (flags.checkpoint.empty()) std::filesystem::remove(watch.checkpoint, none);

  const std::string next = fmt::format("nibble eval {} --baseline {} --data TEST-DATA",
                                       shell_word(flags.output.string()), shell_word(flags.network.string()));
  const std::string sentence = verdict(outcome);
  print("\n" + (sentence.empty() ? "" : "  " + eval::wrapped(sentence + ".", 2, 2) + "\n\n") + "  " +
        display_width_padded("next", 15, false) + next + "\n");
  if (!context.wants_report()) return;
  const auto size = static_cast<int64_t>(saved.file_bytes + saved.data_bytes);
  const auto inputs = hashed_inputs({{"float network", flags.network},
                                     {"training data", flags.data_path},
                                     {"ranges", flags.quantization.ranges},
                                     {"output", flags.output}});
  io::Json::Object json{{"schema", eval::kReportSchema},
                        {"command", context.command_line},
                        {"version", version()},
                        {"commit", commit()},
                        {"libraries", std::string(module.libraries)},
                        {"files", eval::to_json(inputs)},
                        {"plan", plan_json(q.plan)},
                        {"output", flags.output.string()},
                        {"file_bytes", size},
                        {"float_file_bytes", network.file_bytes},
                        {"samples", data.training->size()},
                        {"validation_samples", data.validation ? data.validation->size() : 0}};
  json.emplace_back("training", training_json(outcome, options));
  context.write_json(json);
  if (context.html.empty()) return;
  eval::Page page =
      training_page(outcome, options, q.plan,
                    fmt::format("{} from {}", flags.output.filename().string(), flags.network.filename().string()),
                    network.file_bytes, size);
  page.next_text = "What is it worth?";
  page.next = next;
  page.command = context.command_line;
  page.provenance = {{"nibble", std::string(version()) + " (" + commit() + ")"},
                     {"libraries", std::string(module.libraries)},
                     {"report schema", std::to_string(eval::kReportSchema)}};
  page.inputs = inputs;
  page.json = json;
  context.write_html(eval::to_html(page));
}

}  // namespace

void add_train(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("train", "Win back what 4 bits cost: quantization-aware training");
  train::Options& o = flags->options;
  std::string group = "Options";
  const auto add = [&](const char* name, auto& variable, const char* type, const char* help) {
    return command->add_option(name, variable, help)->type_name(type)->group(group);
  };
  command->add_option("network", flags->network, "the float network (ONNX)")->required();
  add("-o,--output", flags->output, "FILE", "the file to write");
  add("--data", flags->data_path, "DATA", "what to train on (and to calibrate with, unless --calib says otherwise)")
      ->required();
  add("--val", flags->validation, "WHAT",
      "what validates every epoch: a share of the data (default 5%), a number of samples, data of its own, or none");
  add("--task", flags->task, "TASK", "how validation is scored, as for nibble eval");
  add_quantization_flags(*command, flags->quantization, "W4A4");
  group = "Training";
  add("--epochs", o.epochs, "N", "passes over the data (default 10)");
  add("--learning-rate", flags->learning_rate, "R",
      "relative to each tensor's size (default 0.005, from scratch 0.02)");
  add("--augment", flags->augmentation, "LIST", "random changes of images: crop=4,flip,colour=0.2 (default none)");
  add("--batch", o.batch, "N", "samples a step (default 128)");
  add("--slice", o.slice, "N", "samples that go through the network at once, one slice a thread (default 32)");
  add("--seed", o.seed, "N", "of everything random (default 0)");
  add("--patience", o.patience, "N", "stop after so many epochs without a better validation (default 0: never)");
  add("--optimizer", flags->optimizer, "NAME", "adam (default) or sgd");
  add("--momentum", o.momentum, "M", "of sgd (default 0.9)");
  add("--warm-up", o.warm_up, "S", "share of the steps in which the learning rate rises (default 0.05)");
  add("--schedule", flags->schedule, "NAME",
      "what the learning rate does then: cosine (falls to nothing, default) or constant");
  add("--clip-gradient", o.clip_gradient, "N", "largest norm of all gradients together (default 0: none)");
  command->add_flag("--float", flags->floats, "train floats, in exactly the same way: what training alone gives")
      ->group(group);
  command
      ->add_flag("--from-scratch", flags->from_scratch,
                 "forget what the network has learned and start from random weights")
      ->group(group);
  group = "How 4 bits are learned";
  add("--quantizer", flags->quantizer, "NAME",
      "lsq (learned scales, default), lsq+ (zero points too), pact or ste (scales follow the data's range)");
  add("--scale-rate", o.scale_rate, "F", "learning rate of scales, as a factor (default 1)");
  add("--gradual", flags->gradual, "NAME",
      "a stage before the last: none (default), activations (they stay floats), bits (8 of them) or float; NAME:SHARE "
      "of the epochs (default 0.25; from scratch float:0.5)");
  add("--freeze", o.freeze, "F",
      "fix the codes of weights that turn back more often, for example 0.01 (default 0: never)");
  add("--damping", o.damping, "W", "pull weights to their levels, more and more (default 0)");
  add("--batch-norm", flags->batch_norm, "WHAT",
      "fold it before training (default), follow the statistics of the slices, or freeze them");
  add("--reestimate", o.reestimate_batches, "N", "batches for its statistics at the end (default 0)");
  add("--average", o.averaging, "M", "running averages of all parameters, which are what is written (default 0: none)");
  group = "What is learned";
  add("--distill", flags->distillation, "W",
      "weight of the float network's answers, labels have the rest (default 0.7, from scratch 0)");
  add("--temperature", o.temperature, "T", "of both distributions there (default 2)");
  add("--distill-features", o.features, "W", "weight of its values at the ends of blocks (default 0)");
  add("--label-smoothing", o.label_smoothing, "S", "share of a label that goes to all classes (default 0)");
  add("--weight-decay", o.weight_decay, "W", "pull weights to zero (default 0)");
  add("--kurtosis", o.kurtosis, "W", "pull each layer's weights to an even distribution (default 0)");
  group = "Going on";
  add("--checkpoint", flags->checkpoint, "FILE",
      "what a stopped training can go on from (default OUTPUT.checkpoint, removed at the end)");
  add("--resume", flags->resume, "FILE", "go on from a checkpoint");
  add("--log", flags->log, "FILE", "write a line of JSON for each epoch");
  add_data_flags(*command, flags->data);
  add_common_flags(*command, context, true);
  add_html_flag(*command, context);
  command->callback([flags, &context] { run(*flags, context); });
}

}  // namespace nibble::cli
