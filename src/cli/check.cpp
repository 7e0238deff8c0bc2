// nibble check: everything that hinders a network, or that one should know before quantizing it.
#include "quant/check/check.h"
#include "model/language/open.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/version.h"

namespace nibble::cli {
namespace {

struct Flags {
  std::filesystem::path network;
  std::string scheme = "W4A16";
  bool all = false;
};

/// The place without the file's name, which stands below.
std::string place_in(const quant::Finding& finding, const std::string& file) {
  if (finding.place == file) return {};
  return finding.place.rfind(file + ": ", 0) == 0 ? finding.place.substr(file.size() + 2) : finding.place;
}

std::string counted(int64_t n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

void run(const Flags& flags, Context& context) {
  context.start({flags.network});
  if (model::is_language_model(flags.network))
    base::fail_unsupported(base::printable(flags.network.string(), 400),
                           "is a language model; check looks at ONNX networks", "nibble inspect says what it is");
  const auto findings = quant::check(flags.network, quant::parse_scheme(flags.scheme), context.limits, *context.pool);
  const std::string file = base::printable(flags.network.string(), 400);
  constexpr size_t kShown = 20;
  const size_t shown = flags.all ? findings.size() : std::min(kShown, findings.size());
  int64_t counts[3] = {};
  io::Json::Array list;
  std::string out;
  for (size_t i = 0; i < findings.size(); ++i) {
    const quant::Finding& f = findings[i];
    ++counts[static_cast<size_t>(f.severity)];
    const std::string place = place_in(f, file);
    list.push_back(io::Json::Object{{"severity", std::string(name_of(f.severity))},
                                    {"place", place},
                                    {"finding", f.sentence},
                                    {"advice", f.advice}});
    if (i >= shown) continue;
    const std::string text =
        (place.empty() ? "" : place + ": ") + f.sentence + (f.advice.empty() ? "" : "; " + f.advice);
    out += "  " + display_width_padded(name_of(f.severity), 9, false) + eval::wrapped(text, 11, 11) + "\n";
  }
  if (shown < findings.size()) out += fmt::format("  ... and {} more (--all)\n", findings.size() - shown);
  if (!out.empty()) out += "\n";
  const bool hindered = counts[0] > 0;
  out +=
      "  " +
      eval::wrapped(fmt::format("{}: {}, {}, {}; {}", base::printable(flags.network.filename().string()),
                                counted(counts[0], "error"), counted(counts[1], "warning"), counted(counts[2], "note"),
                                hindered ? "it cannot be used as it is" : "nothing hinders"),
                    2, 2) +
      "\n";
  print(out);
  context.write_json(io::Json::Object{{"schema", eval::kReportSchema},
                                      {"command", context.command_line},
                                      {"version", version()},
                                      {"commit", commit()},
                                      {"file", flags.network.filename().string()},
                                      {"scheme", flags.scheme},
                                      {"errors", counts[0]},
                                      {"warnings", counts[1]},
                                      {"notes", counts[2]},
                                      {"findings", std::move(list)}});
  if (hindered) context.exit_status = 1;
}

}  // namespace

void add_check(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("check", "Say what hinders a network, all of it");
  command->add_option("network", flags->network, "the network (ONNX)")->required();
  command->add_option("--scheme", flags->scheme, "the quantization that weights are looked at for (default: W4A16)")
      ->type_name("SCHEME");
  command->add_flag("--all", flags->all, "list every finding, not only the first 20");
  add_common_flags(*command, context, true);
  command->callback([flags, &context] { run(*flags, context); });
}

}  // namespace nibble::cli
