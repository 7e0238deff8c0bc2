#include "cli/command.h"

#include <fmt/format.h>

#include "io/hash/sha256.h"
#include "model/language/open.h"
#include "model/open.h"

namespace nibble::cli {

void Context::start(const std::vector<std::filesystem::path>& inputs) {
  for (const std::string& flag : limit_flags) limits.set(flag);
  console = std::make_unique<Console>(quiet);
  if (threads < 0 || threads > 1024) base::fail_usage("--threads", "takes a number from 1 to 1024 (0: every core)");
  pool = std::make_unique<base::ThreadPool>(threads);
  if (!json.empty() && json.lexically_normal() == html.lexically_normal())
    base::fail_usage("--html", "names the same file as --json");
  if (!json.empty()) json_file = std::make_unique<base::AtomicFile>(json, force, inputs);
  if (!html.empty()) html_file = std::make_unique<base::AtomicFile>(html, force, inputs);
}

void Context::write_json(const io::Json& value) const {
  if (!json_file) return;
  json_file->write(io::to_text(value) + "\n");
  json_file->commit();
}

void Context::write_html(const std::string& page) const {
  if (!html_file) return;
  html_file->write(page);
  html_file->commit();
  console->line("report", html.string());
}

void add_common_flags(CLI::App& command, Context& context, bool with_json) {
  command.add_option("--threads", context.threads, "threads to use (default: every core this process may use)")
      ->type_name("N");
  command.add_flag("-q,--quiet", context.quiet, "no progress");
  command.add_flag("-v,--verbose", context.verbose, "say more");
  command.add_option("--limit", context.limit_flags, "raise a safety limit, as `nibble limits` lists them")
      ->type_name("NAME=VALUE");
  command.add_flag("--force", context.force, "replace outputs that exist");
  if (with_json)
    command.add_option("--json", context.json, "write everything that is printed, and more, as JSON")
        ->type_name("FILE");
}

void add_html_flag(CLI::App& command, Context& context) {
  command.add_option("--html", context.html, "write a report for people: one page that needs no network")
      ->type_name("FILE");
}

std::vector<eval::InputFile> hashed_inputs(const std::vector<std::pair<std::string, std::filesystem::path>>& files) {
  std::vector<eval::InputFile> inputs;
  for (const auto& [role, path] : files) {
    if (path.empty()) continue;
    const auto& named = path.has_filename() ? path : path.parent_path();  // "images/" is images
    inputs.push_back({role, named.filename().string(), io::sha256_of_path(path)});
    auto external = path;
    external += ".data";
    std::error_code error;
    if (path.extension() == ".onnx" && std::filesystem::is_regular_file(external, error))
      inputs.push_back({role + ", external data", external.filename().string(), io::sha256_of_path(external)});
  }
  return inputs;
}

void add_data_flags(CLI::App& command, DataFlags& flags) {
  command
      .add_option("--preprocess", flags.preprocess,
                  "how images become input, for example "
                  "resize=256,crop=224,scale=1/255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225,order=rgb,layout=nchw "
                  "(default: NAME.data.json beside the network)")
      ->type_name("STEPS");
  command
      .add_option("--audio", flags.audio,
                  "how sound becomes input: rate=16000,frame=512,context=64,hop=512,run=on (default: NAME.data.json, "
                  "else frames of the input's length)")
      ->type_name("SETTINGS");
  command
      .add_option("--labels", flags.labels,
                  "where labels come from: auto, none, folders, prefix-number, pattern:REGEX, column:NAME or a file")
      ->type_name("FROM");
  command
      .add_option(
          "--references", flags.references,
          "right answers that are no classes: FROM=TO (the image called like the sample with FROM replaced by "
          "TO), a folder or archive of images, an .npy, or a text file of name TAB text, also one of the data's "
          "own")
      ->type_name("FROM");
  command.add_option("--samples", flags.samples, "use at most so many samples (default: all)")->type_name("N");
  command.add_option("--skip", flags.offset, "leave out the first so many samples")->type_name("N");
  command.add_option("--shuffle", flags.seed, "take the samples in the order that this seed gives")->type_name("SEED");
  command.add_option("--input", flags.input_name, "which array of an .npz file feeds the network")->type_name("NAME");
  command.add_flag("--skip-bad", flags.skip_bad, "leave out images that cannot be decoded, and count them");
}

Network open_network(const std::filesystem::path& path, Context& context) {
  if (model::is_language_model(path))
    base::fail_unsupported(base::printable(path.string(), 400), "is a language model; this command takes ONNX networks",
                           "inspect, quantize, eval and run take both");
  Network network;
  network.path = path;
  io::Notes notes;
  model::OpenOptions options;
  options.limits = context.limits;
  network.graph = model::open(path, options, notes);
  for (const std::string& note : notes) context.console->note(note);
  std::error_code error;
  network.file_bytes = static_cast<int64_t>(std::filesystem::file_size(path, error));
  auto external = path;
  external += ".data";
  if (std::filesystem::exists(external, error))
    network.file_bytes += static_cast<int64_t>(std::filesystem::file_size(external, error));
  network.description = data::description_of(path, network.graph.metadata, context.limits);
  return network;
}

std::unique_ptr<data::Dataset> open_data(const std::filesystem::path& path, const DataFlags& flags,
                                         const Network& network, Context& context, bool said) {
  data::DataChoice choice{flags.preprocess, flags.audio,  flags.labels, flags.references,
                          flags.seed,       flags.offset, std::nullopt, flags.skip_bad};
  if (flags.samples > 0) choice.limit = flags.samples;
  data::DatasetOptions options = data::options_for(network.graph, network.description, choice);
  if (!flags.input_name.empty()) {
    if (options.inputs.size() > 1)
      base::fail_usage("--input", "is for networks with one input; this one has " +
                                      std::to_string(options.inputs.size()) + ", each fed by the array of its name");
    options.inputs[0].name = flags.input_name;
  }
  auto dataset = data::open_dataset(path, options, context.limits);
  if (said) return dataset;
  context.console->line("data", dataset->describe());
  for (const std::string& note : dataset->notes()) context.console->note(note);
  return dataset;
}

std::string shell_word(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./=:,+%@") ==
                                          std::string::npos;
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace nibble::cli
