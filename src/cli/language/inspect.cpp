// nibble inspect for language models: what it is, and what 4 bits would do to it.
#include <fmt/format.h>

#include "cli/language/language.h"
#include "eval/language/report.h"
#include "io/gguf/read.h"
#include "quant/language/plan.h"

namespace nibble::cli {

void inspect_language(const std::filesystem::path& network, Context& context) {
  const model::LanguageModel m = open_language(network, context);
  const arch::Hyperparameters& h = m.model.sizes;
  const eval::LanguageSide side = eval::describe_side(m);
  std::string out;
  const auto line = [&](const char* label, const std::string& text) {
    out += "  " + display_width_padded(label, 15, false) + eval::wrapped(text, 17, 17) + "\n";
  };
  print(fmt::format("{} · {} ({}) · {} · {} weights · {}\n\n", base::printable(m.name, 60),
                    m.is_folder() ? "Hugging Face folder" : "GGUF", m.model.architecture->name, side.types,
                    count_text(side.parameters), bytes_text(side.file_bytes)));
  line("blocks", fmt::format("{} of width {}, feed-forward {}; {} heads of {}, {} of keys and values{}", h.layers,
                             h.embedding, h.feed_forward, h.heads, h.head_size, h.kv_heads,
                             h.window > 0 ? fmt::format(", a window of {}", h.window) : ""));
  line("context", fmt::format("{} tokens", count_text(h.context)));
  line("vocabulary", fmt::format("{} tokens, {}{}{}", count_text(static_cast<int64_t>(m.vocabulary.size())),
                                 m.vocabulary.kind == io::VocabularyKind::kSentencePiece ? "SentencePiece"
                                 : m.vocabulary.byte_level                               ? "byte-level BPE"
                                                                                         : "BPE",
                                 m.vocabulary.chat_template.empty() ? "" : ", with a chat template",
                                 h.tied ? "; the output shares the embeddings" : ""));
  line("weights", fmt::format("{:.2f} bits each on average", side.bits_per_weight));
  io::Json::Array at;
  if (side.bits_per_weight > 8.6) {
    std::string text;
    for (const char* name : {"Q4_0", "IQ4_XS", "Q4_K_M", "Q8_0"}) {
      quant::LanguageScheme scheme;
      scheme.mix = quant::find_mix(name);
      scheme.allow_fallback = scheme.allow_requantize = true;
      const quant::LanguagePlan plan = quant::plan_language(m, scheme, false);
      text += fmt::format("{}{} {} ({:.2f} bits a weight{})", text.empty() ? "" : " · ", name,
                          bytes_text(plan.bytes_after), plan.bits_per_weight(),
                          plan.notes.empty() ? "" : fmt::format(", {} tensors do not fit it", plan.notes.size()));
      at.push_back(io::Json::Object{{"scheme", name},
                                    {"bytes", plan.bytes_after},
                                    {"bits_per_weight", plan.bits_per_weight()},
                                    {"fallbacks", static_cast<int64_t>(plan.notes.size())}});
    }
    line("at 4 bits", text);
    out += "\n  " + display_width_padded("next", 15, false) +
           fmt::format("nibble quantize {} -o {} --scheme Q4_K_M\n", shell_word(network.string()),
                       shell_word(m.name + "-Q4_K_M.gguf"));
  }
  io::Json::Array tensors;
  Table table;
  table.row({"tensor", "shape", "type", "bits", "bytes"});
  for (const eval::TensorError& t : eval::compare_tensors(m, nullptr, *context.pool)) {
    table.row({t.name, t.shape, t.type, fmt::format("{:.2f}", t.bits), count_text(t.bytes)});
    tensors.push_back(io::Json::Object{
        {"tensor", t.name}, {"shape", t.shape}, {"type", t.type}, {"bits", t.bits}, {"bytes", t.bytes}});
  }
  if (context.verbose) out += "\n" + table.text({false, false, false, true, true});
  print(out);
  context.write_json(io::Json::Object{{"schema", eval::kReportSchema},
                                      {"kind", "language model"},
                                      {"file", side.file},
                                      {"name", m.name},
                                      {"architecture", std::string(m.model.architecture->name)},
                                      {"parameters", side.parameters},
                                      {"file_bytes", side.file_bytes},
                                      {"bits_per_weight", side.bits_per_weight},
                                      {"types", side.types},
                                      {"context", h.context},
                                      {"layers", h.layers},
                                      {"tokens", static_cast<int64_t>(m.vocabulary.size())},
                                      {"at_4_bits", std::move(at)},
                                      {"tensors", std::move(tensors)}});
}

}  // namespace nibble::cli
