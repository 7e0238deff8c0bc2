// nibble quantize for language models: a GGUF file from a Hugging Face folder or another GGUF file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/language/language.h"
#include "cli/version.h"
#include "eval/html/page.h"
#include "eval/html/report_page.h"
#include "eval/language/report.h"
#include "io/gguf/read.h"
#include "io/hash/sha256.h"
#include "model/language/metadata.h"
#include "quant/language/importance.h"
#include "quant/language/write.h"

namespace nibble::cli {
namespace {

tensor::DType type_of(const std::string& text, const char* flag) {
  const auto type = io::gguf::find_type(text);
  if (!type || (!tensor::is_blocked(*type) && *type != tensor::DType::f32 && *type != tensor::DType::f16 &&
                *type != tensor::DType::bf16)) {
    std::string known = "F32 F16 BF16";
    for (const codec::BlockFormat* f : codec::all_block_formats()) known += " " + std::string(f->name);
    base::fail_usage(flag, "there is no type " + base::in_quotes(text), "there are " + known);
  }
  return *type;
}

quant::LanguageScheme scheme_of(const LanguageQuantizeRequest& q, Context& context) {
  quant::LanguageScheme s;
  std::string name = q.scheme;
  if (name == "W4A16") {
    name = "Q4_K_M";
    context.console->note("no GGUF scheme was named: Q4_K_M (--scheme)");
  }
  s.mix = quant::find_mix(name);
  if (!s.mix) {
    std::string known;
    for (const quant::Mix& m : quant::all_mixes()) known += (known.empty() ? "" : " ") + std::string(m.name);
    base::fail_usage("--scheme", "there is no scheme " + base::in_quotes(name) + " for language models",
                     "there are " + known);
  }
  s.pure = q.language.pure;
  s.allow_fallback = q.allow_fallback;
  s.allow_requantize = q.language.allow_requantize;
  if (!q.language.output_type.empty()) s.output = type_of(q.language.output_type, "--output-tensor-type");
  if (!q.language.embedding_type.empty()) s.embedding = type_of(q.language.embedding_type, "--token-embedding-type");
  for (const std::string& text : q.language.tensor_types) {
    const size_t at = text.rfind('=');
    if (at == std::string::npos || at == 0)
      base::fail_usage("--tensor-type", base::in_quotes(text) + " is not REGEX=TYPE");
    s.tensors.emplace_back(text.substr(0, at), type_of(text.substr(at + 1), "--tensor-type"));
  }
  return s;
}

std::string plan_line(const quant::LanguagePlan& p) {
  std::vector<tensor::DType> types;
  for (const auto& t : p.tensors) types.push_back(t.to);
  return fmt::format("{}: {} · {} → {} · {:.2f} bits a weight · about {} of memory", quant::to_text(p.scheme),
                     eval::types_text(types), bytes_text(p.bytes_before), bytes_text(p.bytes_after),
                     p.bits_per_weight(), bytes_text(p.memory));
}

std::string plan_table(const quant::LanguagePlan& p) {
  Table table;
  table.row({"tensor", "shape", "from", "to", "bytes", "why"});
  for (const auto& t : p.tensors)
    table.row({t.name, tensor::to_string(t.shape), io::gguf::type_name(t.from), io::gguf::type_name(t.to),
               count_text(t.bytes_after), t.reason});
  return table.text({false, false, false, false, true, false});
}

io::Json plan_json(const quant::LanguagePlan& p) {
  io::Json::Array rows;
  for (const auto& t : p.tensors)
    rows.push_back(io::Json::Object{{"tensor", t.name},
                                    {"shape", tensor::to_string(t.shape)},
                                    {"from", io::gguf::type_name(t.from)},
                                    {"to", io::gguf::type_name(t.to)},
                                    {"bytes_before", t.bytes_before},
                                    {"bytes_after", t.bytes_after},
                                    {"reason", t.reason}});
  return io::Json::Object{{"scheme", quant::to_text(p.scheme)}, {"bytes_before", p.bytes_before},
                          {"bytes_after", p.bytes_after},       {"bits_per_weight", p.bits_per_weight()},
                          {"memory_bytes", p.memory},           {"tensors", std::move(rows)}};
}

/// The importance matrix that the flags ask for: read, or collected on a text.
std::optional<io::gguf::ImportanceMatrix> importance_of(const LanguageQuantizeRequest& q, const model::LanguageModel& m,
                                                        Context& context) {
  if (!q.language.imatrix.empty() && !q.calibration.empty())
    base::fail_usage("--imatrix", "and --calib are two ways to say the same", "choose one");
  if (!q.language.imatrix.empty()) {
    auto matrix = io::gguf::read_imatrix(q.language.imatrix, context.limits);
    const std::string place = base::printable(q.language.imatrix.string(), 400);
    const int64_t unknown = quant::require_fitting(matrix, m, place);
    if (unknown == static_cast<int64_t>(matrix.weights.size()))
      base::fail_usage("--imatrix", place + " has no weight of this model");
    if (unknown)
      context.console->note(fmt::format("{} weights of the importance matrix are not in this model", unknown));
    return matrix;
  }
  if (q.calibration.empty()) return std::nullopt;
  const std::string text = read_text(q.calibration, "--calib");
  const std::vector<int32_t> tokens = tokens_of(text::Tokenizer(m.vocabulary), text, false, context);
  quant::ImportanceOptions options;
  options.chunks = q.language.calibration_chunks;
  options.limits = context.limits;
  return quant::collect_importance(m, tokens, q.calibration.filename().string(), options, *context.pool,
                                   *context.console);
}

void set_provenance(const LanguageQuantizeRequest& q, const quant::LanguagePlan& plan,
                    const std::optional<io::gguf::ImportanceMatrix>& importance, io::gguf::Metadata& metadata) {
  for (const char* key : {"quantize.imatrix.file", "quantize.imatrix.dataset", "quantize.imatrix.entries_count",
                          "quantize.imatrix.chunks_count", "nibble.calibration.name", "nibble.calibration.sha256"})
    metadata.erase(key);
  metadata.set("general.file_type", plan.scheme.mix->file_type);
  metadata.set("general.quantization_version", uint32_t{2});
  metadata.set("nibble.version", std::string(version()));
  metadata.set("nibble.scheme",
               quant::to_text(plan.scheme) + (q.language.search == "best" ? "" : ",search=" + q.language.search));
  if (!importance) return;
  const std::filesystem::path source = q.language.imatrix.empty() ? q.calibration : q.language.imatrix;
  metadata.set("quantize.imatrix.file", source.filename().string());
  if (!importance->datasets.empty()) metadata.set("quantize.imatrix.dataset", importance->datasets[0]);
  metadata.set("quantize.imatrix.entries_count", static_cast<uint32_t>(importance->weights.size()));
  if (importance->chunks > 0) metadata.set("quantize.imatrix.chunks_count", static_cast<uint32_t>(importance->chunks));
  metadata.set("nibble.calibration.name", source.filename().string());
  metadata.set("nibble.calibration.sha256", io::sha256_of_path(source));
}

/// A Modelfile for Ollama: the file and the tokens that end a text. Ollama reads the chat template from the file
/// itself.
std::string modelfile_text(const LanguageQuantizeRequest& q, const io::Vocabulary& v) {
  std::string text = "FROM " + std::filesystem::absolute(q.output).string() + "\n";
  for (const int32_t id : v.end_ids)
    text += "PARAMETER stop " + base::in_quotes(v.tokens[static_cast<size_t>(id)]) + "\n";
  return text;
}

std::string losses_table(const quant::LanguagePlan& plan, std::vector<quant::TensorResult> results, bool all) {
  results.erase(std::remove_if(results.begin(), results.end(), [](const auto& r) { return !r.sqnr_db; }),
                results.end());
  std::stable_sort(results.begin(), results.end(),
                   [](const auto& a, const auto& b) { return *a.sqnr_db < *b.sqnr_db; });
  const size_t shown = all ? results.size() : std::min<size_t>(5, results.size());
  Table table;
  table.row({"weights that lost most", "shape", "type", "bits", "SQNR dB"});
  for (size_t i = 0; i < shown; ++i) {
    const auto it = std::find_if(plan.tensors.begin(), plan.tensors.end(),
                                 [&](const auto& t) { return t.name == results[i].name; });
    table.row({results[i].name, tensor::to_string(it->shape), io::gguf::type_name(it->to),
               fmt::format("{:.2f}", tensor::stored_bits(it->to)),
               std::isinf(*results[i].sqnr_db) ? "exact" : fmt::format("{:.1f}", *results[i].sqnr_db)});
  }
  std::string text = shown ? table.text({false, false, false, true, true}) : "";
  if (shown < results.size()) text += fmt::format("  ... {} more (--layers all)\n", results.size() - shown);
  return text;
}

}  // namespace

void add_language_flags(CLI::App& command, LanguageQuantizeFlags& flags) {
  const LanguageOptions group(command);
  command
      .add_option("--tensor-type", flags.tensor_types,
                  "REGEX=TYPE, the type of the tensors whose names match; the first match wins")
      ->type_name("REGEX=TYPE");
  command.add_option("--output-tensor-type", flags.output_type, "the type of output.weight")->type_name("TYPE");
  command.add_option("--token-embedding-type", flags.embedding_type, "the type of token_embd.weight")
      ->type_name("TYPE");
  command.add_flag("--pure", flags.pure, "one type for all matrices, none of the mix's exceptions");
  command.add_flag("--allow-requantize", flags.allow_requantize, "quantize tensors that are quantized already");
  command
      .add_option("--imatrix", flags.imatrix,
                  "an importance matrix of llama.cpp's (GGUF or the older form) instead of --calib")
      ->type_name("FILE");
  command.add_option("--save-imatrix", flags.save_imatrix, "write the importance matrix that was used (GGUF)")
      ->type_name("FILE");
  command.add_option("--calib-chunks", flags.calibration_chunks, "windows of --calib to use (default: all)")
      ->type_name("N");
  command
      .add_option("--search", flags.search, "best (default), or reference: the formats' plain encoders, byte for byte")
      ->type_name("SEARCH");
  command.add_option("--modelfile", flags.modelfile, "write a Modelfile for Ollama beside the model")
      ->type_name("FILE");
}

void quantize_language(const LanguageQuantizeRequest& q, Context& context) {
  if (q.output.empty() && !q.dry_run)
    base::fail_usage("-o", "the output file is missing", "add -o FILE.gguf, or --dry-run to see the plan only");
  const auto search = fit::find_block_search(q.language.search);
  if (!search)
    base::fail_usage("--search", "there is no search " + base::in_quotes(q.language.search),
                     "there are best and reference");
  const quant::LanguageScheme scheme = scheme_of(q, context);
  const model::LanguageModel m = open_language(q.network, context);
  const bool important = !q.language.imatrix.empty() || !q.calibration.empty();
  const quant::LanguagePlan plan = quant::plan_language(m, scheme, important);
  for (const std::string& note : plan.notes) context.console->note(note);
  context.console->line("plan", plan_line(plan));
  if (q.dry_run) {
    print(plan_table(plan));
    context.write_json(plan_json(plan));
    return;
  }
  std::vector<std::string> notes;
  io::gguf::Metadata metadata = model::gguf_metadata(m, notes);
  for (const std::string& note : notes) context.console->note(note);
  const auto importance = importance_of(q, m, context);
  set_provenance(q, plan, importance, metadata);
  quant::WriteOptions options;
  options.force = context.force;
  options.inputs = m.files;
  for (const auto& input : {q.calibration, q.language.imatrix})
    if (!input.empty()) options.inputs.push_back(input);
  options.search = *search;
  std::optional<base::AtomicFile> saved, modelfile;
  if (!q.language.save_imatrix.empty()) {
    if (!importance) base::fail_usage("--save-imatrix", "there is no importance matrix to write", "add --calib TEXT");
    saved.emplace(q.language.save_imatrix, context.force, options.inputs);
    io::gguf::write_imatrix(*importance, *saved);
  }
  if (!q.language.modelfile.empty()) {
    modelfile.emplace(q.language.modelfile, context.force, options.inputs);
    modelfile->write(modelfile_text(q, m.vocabulary));
  }
  const quant::WriteResult result = quant::write_language(m, plan, metadata, importance ? &*importance : nullptr,
                                                          q.output, options, *context.pool, *context.console);
  if (saved) saved->commit();
  if (modelfile) modelfile->commit();
  if (importance && result.without_importance)
    context.console->note(fmt::format("{} tensors are not in the importance matrix: their columns count alike",
                                      result.without_importance));
  context.console->line(
      "write",
      fmt::format("{}   {} ({:.1f} times smaller, {:.2f} bits a weight)   checked by reading it back",
                  q.output.string(), bytes_text(static_cast<int64_t>(result.file_bytes)),
                  static_cast<double>(m.file_bytes) / static_cast<double>(result.file_bytes), plan.bits_per_weight()));
  if (saved) context.console->line("write", q.language.save_imatrix.string() + "   the importance matrix");
  if (modelfile)
    context.console->line("write", fmt::format("{}   for: ollama create NAME -f {}", q.language.modelfile.string(),
                                               q.language.modelfile.string()));
  const std::string next = fmt::format("nibble eval {} --baseline {} --data TEXT", shell_word(q.output.string()),
                                       shell_word(q.network.string()));
  print("\n" + losses_table(plan, result.tensors, q.all_tensors) + "\n  " + display_width_padded("next", 15, false) +
        next + "\n");
  if (!context.wants_report()) return;
  std::vector<std::pair<std::string, std::filesystem::path>> files;
  for (const auto& f : m.files) files.emplace_back("float model", f);
  files.insert(files.end(),
               {{"calibration text", q.calibration}, {"importance matrix", q.language.imatrix}, {"output", q.output}});
  const auto inputs = hashed_inputs(files);
  io::Json::Array tensors;
  for (const auto& r : result.tensors)
    tensors.push_back(io::Json::Object{
        {"tensor", r.name}, {"sqnr_db", r.sqnr_db && std::isfinite(*r.sqnr_db) ? io::Json(*r.sqnr_db) : io::Json()}});
  const io::Json json = io::Json::Object{{"schema", eval::kReportSchema},
                                         {"command", context.command_line},
                                         {"version", version()},
                                         {"commit", commit()},
                                         {"kind", "language model"},
                                         {"files", eval::to_json(inputs)},
                                         {"plan", plan_json(plan)},
                                         {"output", q.output.string()},
                                         {"file_bytes", static_cast<int64_t>(result.file_bytes)},
                                         {"float_file_bytes", m.file_bytes},
                                         {"tensors", std::move(tensors)}};
  context.write_json(json);
  if (context.html.empty()) return;
  eval::Page page;
  page.kind = "nibble quantize";
  page.title = fmt::format("{} from {}", q.output.filename().string(), m.name);
  page.two = true;
  page.lead = fmt::format("{} tensors, {:.2f} bits a weight.", plan.tensors.size(), plan.bits_per_weight());
  page.notes = {"This page says what became of the weights. What that costs is measured by nibble eval."};
  page.bars = {eval::size_bar(m.file_bytes, static_cast<int64_t>(result.file_bytes))};
  page.bill = {{"file", bytes_text(m.file_bytes), bytes_text(static_cast<int64_t>(result.file_bytes)),
                eval::ratio_text(static_cast<double>(m.file_bytes), static_cast<double>(result.file_bytes), "smaller",
                                 "larger")}};
  page.facts = {{"scheme", quant::to_text(plan.scheme)}};
  for (const std::string& note : plan.notes) page.facts.push_back({"fallback", note});
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    const auto& t = plan.tensors[i];
    eval::PageLayer l{.name = t.name,
                      .op = "",
                      .shape = tensor::to_string(t.shape),
                      .format = io::gguf::type_name(t.to),
                      .weight_db = {},
                      .output_db = {},
                      .cosine = {}};
    l.bits_per_weight = tensor::stored_bits(t.to);
    l.bits = static_cast<int>(l.bits_per_weight);
    l.bytes = t.bytes_after;
    l.weight_db = result.tensors[i].sqnr_db;
    page.layers.push_back(std::move(l));
  }
  page.layers_text =
      "Signal to quantization noise (SQNR) of the weights in decibels, more is better. The bits of a weight count its "
      "scales.";
  page.next_text = "What did it cost?";
  page.next = next;
  page.command = context.command_line;
  page.provenance = {{"nibble", std::string(version()) + " (" + commit() + ")"},
                     {"report schema", std::to_string(eval::kReportSchema)}};
  page.inputs = inputs;
  page.json = json;
  context.write_html(eval::to_html(page));
}

}  // namespace nibble::cli
