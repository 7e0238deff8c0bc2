#pragma once
#include <CLI/CLI.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/limits.h"
#include "base/thread_pool.h"
#include "cli/console.h"
#include "data/dataset.h"
#include "data/description.h"
#include "eval/report.h"
#include "graph/graph.h"
#include "io/json/json.h"

namespace nibble::cli {

/// What every command has: the flags that mean the same everywhere.
struct Context {
  int threads = 0;
  bool quiet = false;
  int verbose = 0;
  std::filesystem::path json, html;
  bool force = false;
  std::vector<std::string> limit_flags;
  base::Limits limits;
  std::string command_line;

  std::unique_ptr<base::AtomicFile> json_file, html_file;  ///< opened by start()
  std::unique_ptr<Console> console;
  std::unique_ptr<base::ThreadPool> pool;
  int exit_status = 0;

  /// Called once the flags are known. Opens the reports, so that one that cannot be written is refused before any work.
  /// `inputs` are never replaced, not even with --force.
  void start(const std::vector<std::filesystem::path>& inputs = {});
  /// Writes the --json file, if one was asked for.
  void write_json(const io::Json& json) const;
  /// Writes the --html file, and says so.
  void write_html(const std::string& page) const;
  /// Whether a report will be written, so that what only reports need is worth computing.
  bool wants_report() const { return !json.empty() || !html.empty(); }
};

/// Adds --threads, --quiet, -v, --limit and, where the command measures something, --json.
void add_common_flags(CLI::App& command, Context& context, bool with_json);

/// Adds --html.
void add_html_flag(CLI::App& command, Context& context);

/// The files of a report with their hashes: a role and a path each, empty paths left out. A network's external data
/// follows it.
std::vector<eval::InputFile> hashed_inputs(const std::vector<std::pair<std::string, std::filesystem::path>>& files);

/// The flags that say what the data is and how it becomes input.
struct DataFlags {
  std::string preprocess, audio, labels = "auto", references, input_name;
  int64_t samples = 0, offset = 0;
  std::optional<uint64_t> seed;
  bool skip_bad = false;
};
void add_data_flags(CLI::App& command, DataFlags& flags);

/// A network and what is known of its data: NAME.data.json beside it, or its own metadata.
struct Network {
  std::filesystem::path path;
  graph::Graph graph;
  data::DataDescription description;
  int64_t file_bytes = 0;  ///< with external data
};
Network open_network(const std::filesystem::path& path, Context& context);

/// Opens data for a network; what was assumed is noted on the console, unless it has been `said` before. Flags win over
/// the network's description.
std::unique_ptr<data::Dataset> open_data(const std::filesystem::path& path, const DataFlags& flags,
                                         const Network& network, Context& context, bool said = false);

/// "net-w4a8.onnx" quoted for a shell where it must be.
std::string shell_word(const std::string& word);

#define NIBBLE_COMMAND(name) void add_##name(CLI::App& app, Context& context);
#include "cli/commands.def"
#undef NIBBLE_COMMAND

}  // namespace nibble::cli
