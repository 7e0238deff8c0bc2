// nibble tokenize: what a model's vocabulary makes of a text.
#include <fmt/format.h>

#include "cli/command.h"
#include "text/tokenizer.h"

namespace nibble::cli {
namespace {

struct Flags {
  std::filesystem::path model, file;
  std::string text;
  bool ids = false, lines = false, no_special = false, parse_special = false;
};

std::string ids_line(const std::vector<int32_t>& ids) { return fmt::format("{}\n", fmt::join(ids, " ")); }

/// One row a token: id, kind, text.
std::string table_of(const text::Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  Table table;
  table.row({"id", "token", "kind"});
  for (const int32_t id : ids)
    table.row(
        {std::to_string(id), base::in_quotes(tokenizer.token_text(id)), tokenizer.is_special(id) ? "special" : ""});
  return table.text({true, false, false});
}

void run(const Flags& flags, Context& context) {
  context.start();
  const text::Tokenizer tokenizer(io::read_vocabulary(flags.model, context.limits));
  int64_t dropped = 0;
  const text::EncodeOptions options{
      .add_special = !flags.no_special, .parse_special = flags.parse_special, .dropped = &dropped};
  std::shared_ptr<const base::MappedFile> file;
  std::string_view text = flags.text;
  if (!flags.file.empty()) {
    file = base::MappedFile::open(flags.file, true);
    text = base::as_text(file->bytes());
  }
  std::string out;
  int64_t tokens = 0;
  const auto add = [&](std::string_view part) {
    const auto ids = tokenizer.encode(part, options);
    tokens += static_cast<int64_t>(ids.size());
    out += flags.ids ? ids_line(ids) : table_of(tokenizer, ids);
  };
  if (flags.lines) {
    while (!text.empty()) {
      const size_t end = text.find('\n');
      add(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
  } else {
    add(text);
  }
  print(out);
  if (dropped)
    context.console->note(
        fmt::format("{} bytes or characters of the text have no token in this vocabulary and were left out", dropped));
  if (!context.quiet) context.console->line("tokens", fmt::format("{}", tokens));
}

}  // namespace

void add_tokenize(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("tokenize", "Say what tokens a language model's vocabulary makes of a text");
  command
      ->add_option("model", flags->model,
                   "a Hugging Face folder, a GGUF file, tokenizer.json, tokenizer.model or vocab.json")
      ->required();
  auto* text = command->add_option("--text", flags->text, "the text");
  auto* file = command->add_option("--file", flags->file, "the text, from a file")->excludes(text);
  command->add_flag("--ids", flags->ids, "only the tokens' numbers, on one line");
  command->add_flag("--lines", flags->lines, "each line of the text is a text of its own");
  command->add_flag("--no-special", flags->no_special, "no BOS or EOS around the text");
  command->add_flag("--parse-special", flags->parse_special, "control tokens spelled in the text become those tokens");
  add_common_flags(*command, context, false);
  command->callback([flags, text, file, &context] {
    if (text->count() == 0 && file->count() == 0)
      base::fail_usage("tokenize", "neither --text nor --file is given", "give the text");
    run(*flags, context);
  });
}

}  // namespace nibble::cli
