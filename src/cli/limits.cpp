// nibble limits: the caps on what a file may make nibble do.
#include <fmt/format.h>

#include "cli/command.h"

namespace nibble::cli {

void add_limits(CLI::App& app, Context&) {
  auto* command = app.add_subcommand("limits", "List the safety limits, their defaults and what they cap");
  command->callback([] {
    Table table;
    for (const auto& row : base::limit_rows())
      table.row({std::string(row.name), fmt::format("{}", row.value), std::string(row.why)});
    print("Raise one with --limit NAME=VALUE (K, M and G are 2^10, 2^20 and 2^30).\n\n" +
          table.text({false, true, false}));
  });
}

}  // namespace nibble::cli
