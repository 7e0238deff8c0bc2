// nibble eval for language models: perplexity and KL divergence on a text.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cli/language/language.h"
#include "cli/version.h"
#include "eval/html/page.h"
#include "eval/language/report.h"

namespace nibble::cli {
namespace {

/// Tokens a second, one after the other, after a short text.
double generation_speed(generate::LanguageSession& session, std::span<const int32_t> text) {
  constexpr int64_t kPrompt = 16, kTokens = 32;
  if (session.context() < kPrompt + kTokens || static_cast<int64_t>(text.size()) < kPrompt + kTokens) return 0;
  session.forget_all();
  std::vector<generate::Place> prompt;
  for (size_t i = 0; i < kPrompt; ++i) prompt.push_back({text[i], 0});
  session.run(prompt, std::vector<int64_t>{kPrompt - 1});
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = kPrompt; i < kPrompt + kTokens; ++i)
    session.run(std::vector<generate::Place>{{text[i], 0}}, std::vector<int64_t>{0});
  return kTokens / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool same_tokens(const io::Vocabulary& a, const io::Vocabulary& b) { return a.tokens == b.tokens; }

std::string next_step(const eval::LanguageReport& r) {
  if (!r.before || r.after.bits_per_weight > 6 || eval::mean(r.result.divergences) < 0.02) return {};
  return fmt::format("nibble quantize {} -o OUT.gguf --scheme Q4_K_M --calib TEXT", shell_word(r.before->file));
}

}  // namespace

void add_language_flags(CLI::App& command, LanguageEvalFlags& flags) {
  const LanguageOptions group(command);
  command.add_option("--context", flags.context, "tokens of a window (default 512)")->type_name("N");
  command
      .add_option("--stride", flags.stride,
                  "overlapping windows that begin every N tokens, as Hugging Face measures perplexity "
                  "(default: llama-perplexity's windows, the second half scored)")
      ->type_name("N");
  command.add_option("--chunks", flags.chunks, "score the first N windows only")->type_name("N");
  command
      .add_option("--act", flags.act,
                  "activations of products, f32 (default) or q8, 8 bits in blocks as llama.cpp has them")
      ->type_name("TYPE");
}

void eval_language(const LanguageEvalRequest& q, Context& context) {
  const codec::Activations act = activations_of(q.language.act);
  const model::LanguageModel network = open_language(q.network, context);
  std::optional<model::LanguageModel> baseline;
  if (!q.baseline.empty()) {
    if (!model::is_language_model(q.baseline)) base::fail_usage("--baseline", "is not a language model");
    baseline = open_language(q.baseline, context);
    if (!same_tokens(network.vocabulary, baseline->vocabulary))
      context.console->note(
          "the two models list their tokens differently; the network's tokenizer cuts the text for both");
  }
  const text::Tokenizer tokenizer(network.vocabulary);
  const std::string text = read_text(q.data, "--data");
  const std::vector<int32_t> tokens = tokens_of(tokenizer, text, false, context);

  eval::LanguageReport r;
  r.options = {q.language.context, q.language.stride, q.language.chunks, -1};
  const int64_t most =
      std::min(network.model.sizes.context, baseline ? baseline->model.sizes.context : network.model.sizes.context);
  if (r.options.context > most && r.options.context == LanguageEvalFlags().context) {
    r.options.context = most;
    context.console->note(fmt::format("the model's context is {} tokens: windows have as many (--context)", most));
  }
  if (network.vocabulary.adds_bos()) r.options.bos = *network.vocabulary.special.bos;
  generate::LanguageSession after(network.model, act, *context.pool, context.limits);
  std::optional<generate::LanguageSession> before;
  if (baseline) before.emplace(baseline->model, act, *context.pool, context.limits);
  r.result =
      eval::measure_perplexity(after, before ? &*before : nullptr, tokens, r.options, *context.pool, *context.console);

  r.command = context.command_line;
  r.version = version();
  r.commit = commit();
  r.threads = context.pool->threads();
  if (const std::string* scheme = network.metadata.string("nibble.scheme")) r.scheme = *scheme;
  r.data = fmt::format("{}, {}, {} tokens", q.data.filename().string(), bytes_text(static_cast<int64_t>(text.size())),
                       count_text(static_cast<int64_t>(tokens.size())));
  r.windows = r.options.stride == 0
                  ? fmt::format(
                        "{} of {} tokens without overlap, {} tokens of their second halves scored (llama-perplexity's "
                        "convention){}",
                        r.result.windows, r.options.context, count_text(r.result.scored),
                        r.options.bos >= 0 ? "; each begins with BOS" : "")
                  : fmt::format("{} of {} tokens, one every {}, {} tokens scored once each (Hugging Face's convention)",
                                r.result.windows, r.options.context, r.options.stride, count_text(r.result.scored));
  r.after = eval::describe_side(network);
  const auto finish = [&](eval::LanguageSide& side, generate::LanguageSession& session, double seconds) {
    side.activations = name_of(act);
    side.speed = {static_cast<double>(r.result.tokens) / seconds, generation_speed(session, tokens)};
  };
  finish(r.after, after, r.result.seconds);
  if (baseline) {
    r.before = eval::describe_side(*baseline);
    finish(*r.before, *before, r.result.base_seconds);
  }
  r.tensors = eval::compare_tensors(network, baseline ? &*baseline : nullptr, *context.pool);
  r.next = next_step(r);
  if (context.wants_report()) {
    std::vector<std::pair<std::string, std::filesystem::path>> files;
    for (const auto& f : network.files) files.emplace_back("network", f);
    if (baseline)
      for (const auto& f : baseline->files) files.emplace_back("baseline", f);
    files.emplace_back("data", q.data);
    r.inputs = hashed_inputs(files);
  }
  print("\n" + eval::to_text(r, q.all_tensors));
  context.write_json(eval::to_json(r));
  if (!context.html.empty()) context.write_html(eval::to_html(eval::page_of(r)));
  if (!q.max_drop) return;
  if (!r.before) base::fail_usage("--max-drop", "needs a baseline");
  const double lost = 100 * (r.result.ratio() - 1);
  const bool met = lost <= *q.max_drop;
  print(fmt::format("  --max-drop {}: {} (perplexity {:+.2f} %)\n", *q.max_drop, met ? "met" : "missed", lost));
  if (!met) context.exit_status = 1;
}

}  // namespace nibble::cli
