#include <cstdio>
#include <new>
#include <sstream>

#include "base/error.h"
#include "cli/command.h"
#include "cli/version.h"

namespace {

using namespace nibble;

int fail(int status, const std::string& text) {
  std::fputs(("nibble: error: " + text + "\n").c_str(), stderr);
  return status;
}

int run(int argc, char** argv) {
  CLI::App app{"nibble makes trained neural networks 4 bits wide, and says what that cost", "nibble"};
  cli::Context context;
  for (int i = 0; i < argc; ++i) context.command_line += (i ? " " : "") + cli::shell_word(i ? argv[i] : "nibble");
  app.set_version_flag("--version", std::string("nibble ") + cli::version() + " (" + cli::commit() + ")");
  app.require_subcommand(1);
  app.footer(
      "`nibble COMMAND --help` says more. Exit status: 0 done, 1 a limit such as --max-drop was missed, 2 usage,\n"
      "3 malformed input, 4 not supported, 5 input or output failed, 6 a safety limit, 7 a bug in nibble.");
#define NIBBLE_COMMAND(name) cli::add_##name(app, context);
#include "cli/commands.def"
#undef NIBBLE_COMMAND
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help and --version
    std::ostringstream text;
    const int status = app.exit(e, text, text);
    cli::print(text.str());
    return status;
  } catch (const CLI::ParseError& e) {
    return fail(2, base::printable(e.what(), 400) + "; see `nibble --help`");
  }
  return context.exit_status;
}

}  // namespace

int main(int argc, char** argv) {
  cli::install_signal_handlers();
  try {
    return run(argc, argv);
  } catch (const base::Error& e) {
    return fail(e.exit_status(), e.what());
  } catch (const cli::Interrupted& e) {
    return fail(128 + e.signal, "interrupted; " + e.left);
  } catch (const std::bad_alloc&) {
    return fail(6, "out of memory");
  } catch (const std::exception& e) {
    return fail(7, std::string("internal error: ") + e.what() + "; please report it");
  }
}
