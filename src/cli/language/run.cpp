// nibble run for language models: text from a prompt.
#include <fmt/format.h>

#include "cli/language/language.h"
#include "generate/generate.h"

namespace nibble::cli {

void add_language_flags(CLI::App& command, LanguageRunFlags& flags) {
  const LanguageOptions group(command);
  command.add_option("--prompt", flags.prompts, "the text to continue; more than once for a batch")->type_name("TEXT");
  command.add_option("--prompt-file", flags.prompt_file, "the same from a file")->type_name("FILE");
  command.add_option("--tokens", flags.tokens, "at most N new tokens (default 128)")->type_name("N");
  command
      .add_option("--act", flags.act,
                  "activations of products, q8 (default; 8 bits in blocks, as llama.cpp has them) or f32")
      ->type_name("TYPE");
  auto& s = flags.sampling;
  command.add_option("--temperature", s.temperature, "0 takes the likeliest token, always (default 0.8)")
      ->type_name("T");
  command.add_option("--top-k", s.top_k, "of the K likeliest tokens; 0: all (default 40)")->type_name("K");
  command.add_option("--top-p", s.top_p, "of the likeliest that together have probability P (default 0.95)")
      ->type_name("P");
  command.add_option("--min-p", s.min_p, "of those at least P times as likely as the likeliest (default 0.05)")
      ->type_name("P");
  command
      .add_option("--repetition-penalty", s.repetition_penalty, "makes the last 64 tokens less likely (default 1: off)")
      ->type_name("R");
  command.add_option("--seed", s.seed, "of the random numbers (default 0)")->type_name("N");
}

void run_language(const std::filesystem::path& network, const LanguageRunFlags& flags, Context& context) {
  generate::require_valid(flags.sampling);
  if (flags.tokens < 1) base::fail_usage("--tokens", "must be 1 or more");
  const codec::Activations act = activations_of(flags.act);
  std::vector<std::string> prompts = flags.prompts;
  if (!flags.prompt_file.empty()) prompts.push_back(read_text(flags.prompt_file, "--prompt-file"));
  if (prompts.empty())
    base::fail_usage("nibble run", "needs a --prompt for a language model",
                     "nibble run MODEL --prompt \"Once upon a time\"");
  const model::LanguageModel m = open_language(network, context);
  const text::Tokenizer tokenizer(m.vocabulary);
  generate::LanguageSession session(m.model, act, *context.pool, context.limits);
  std::vector<std::vector<int32_t>> tokens;
  for (const std::string& p : prompts) {
    tokens.push_back(tokens_of(tokenizer, p, true, context));
    if (tokens.back().empty() && m.vocabulary.special.bos) tokens.back().push_back(*m.vocabulary.special.bos);
  }
  generate::GenerateOptions options;
  options.sampling = flags.sampling;
  options.tokens = flags.tokens;
  options.end_ids = m.vocabulary.end_ids;
  const bool one = prompts.size() == 1;  // streams; several are printed when they are complete
  std::vector<text::Tokenizer::Stream> streams;
  std::vector<std::string> texts = prompts;
  for (size_t i = 0; i < prompts.size(); ++i) {
    streams.emplace_back(tokenizer);
    for (const int32_t id : tokens[i]) (void)streams[i].push(id);  // what follows depends on what came before
  }
  if (one) print(prompts[0]);
  generate::Speed speed;
  const auto endings = generate::generate(
      session, tokens, options,
      [&](size_t i, int32_t token) {
        context.console->check_cancelled();
        const std::string piece = streams[i].push(token);
        if (one)
          print(piece);
        else
          texts[i] += piece;
        return true;
      },
      speed);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::string rest = streams[i].finish();
    print(one ? rest + "\n" : (i ? "\n" : "") + fmt::format("[{}] ", i + 1) + texts[i] + rest + "\n");
    if (endings[i] == generate::Ending::kContext)
      context.console->note("the text has reached the model's context and ends there");
  }
  context.console->line(
      "speed", fmt::format("prompt {:.0f} tokens/s ({}), generation {:.1f} tokens/s ({}); {} threads, activations {}",
                           static_cast<double>(speed.prompt_tokens) / speed.prompt_seconds, speed.prompt_tokens,
                           static_cast<double>(speed.new_tokens) / std::max(1e-9, speed.new_seconds), speed.new_tokens,
                           context.pool->threads(), name_of(act)));
  if (flags.sampling.temperature > 0)
    context.console->line(
        "sampling", fmt::format("temperature {}, top-k {}, top-p {}, min-p {}, seed {}", flags.sampling.temperature,
                                flags.sampling.top_k, flags.sampling.top_p, flags.sampling.min_p, flags.sampling.seed));
}

}  // namespace nibble::cli
