#include "cli/language/language.h"

#include "base/error.h"
#include "base/file.h"

namespace nibble::cli {
namespace {

constexpr const char* kGroup = "Language models";

}  // namespace

LanguageOptions::~LanguageOptions() {
  const auto options = command_.get_options();
  for (size_t i = before_; i < options.size(); ++i) options[i]->group(kGroup);
}

void require_meaning(const CLI::App& command, bool language_model, const std::set<std::string>& shared) {
  static const std::set<std::string> kCommon = {"network", "--threads", "--quiet", "--verbose",
                                                "--limit", "--force",   "--json",  "--html"};
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0) continue;
    const std::string name = option->get_name();
    const bool theirs = option->get_group() == kGroup;
    if (theirs && !language_model)
      base::fail_usage(name, "is for language models (a Hugging Face folder or a GGUF file)");
    if (!theirs && language_model && !kCommon.contains(name) && !shared.contains(name))
      base::fail_usage(name, "has no meaning for a language model");
  }
}

model::LanguageModel open_language(const std::filesystem::path& path, Context& context) {
  std::vector<std::string> notes;
  model::LanguageModel m = model::open_language_model(path, context.limits, notes);
  for (const std::string& note : notes) context.console->note(note);
  return m;
}

codec::Activations activations_of(const std::string& text) {
  if (text == "f32") return codec::Activations::kFloat;
  if (text == "q8") return codec::Activations::kQ8;
  base::fail_usage("--act", "there are no activations " + base::in_quotes(text), "there are f32 and q8");
}

std::string_view name_of(codec::Activations activations) {
  return activations == codec::Activations::kQ8 ? "q8" : "f32";
}

std::vector<int32_t> tokens_of(const text::Tokenizer& tokenizer, const std::string& text, bool parse_special,
                               Context& context) {
  int64_t dropped = 0;
  std::vector<int32_t> tokens =
      tokenizer.encode(text, {.add_special = true, .parse_special = parse_special, .dropped = &dropped});
  if (dropped)
    context.console->note(std::to_string(dropped) +
                          " characters have no token in this model's vocabulary and are left out");
  return tokens;
}

std::string read_text(const std::filesystem::path& path, const char* what) {
  const auto file = base::MappedFile::open(path, true);
  if (file->bytes().empty()) base::fail_usage(what, base::printable(path.string(), 400) + " is empty");
  return std::string(base::as_text(file->bytes()));
}

}  // namespace nibble::cli
