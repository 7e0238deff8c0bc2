#pragma once
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "codec/activations.h"
#include "generate/sampling.h"
#include "model/language/open.h"
#include "text/tokenizer.h"

namespace nibble::cli {

/// While one lives, options that are added to the command become those of its group "Language models".
class LanguageOptions {
 public:
  explicit LanguageOptions(CLI::App& command) : command_(command), before_(command.get_options().size()) {}
  ~LanguageOptions();
  LanguageOptions(const LanguageOptions&) = delete;
  LanguageOptions& operator=(const LanguageOptions&) = delete;

 private:
  CLI::App& command_;
  size_t before_;
};

/// Throws Error(kUsage) naming an option that was given and has no meaning for what the network is: one for language
/// models where it is none, or, where it is one, any option that is neither theirs, common to all commands, nor in
/// `shared`.
void require_meaning(const CLI::App& command, bool language_model, const std::set<std::string>& shared = {});

/// Opens a language model; notes go to the console.
model::LanguageModel open_language(const std::filesystem::path& path, Context& context);

/// "f32" or "q8". Throws Error(kUsage) naming --act.
codec::Activations activations_of(const std::string& text);
std::string_view name_of(codec::Activations activations);

/// The tokens of a text; characters that the vocabulary has no token for are left out, and the console says how many.
std::vector<int32_t> tokens_of(const text::Tokenizer& tokenizer, const std::string& text, bool parse_special,
                               Context& context);

/// A text file as a whole. `what` is the flag that named it.
std::string read_text(const std::filesystem::path& path, const char* what);

struct LanguageEvalFlags {
  int64_t context = 512, stride = 0, chunks = 0;
  std::string act = "f32";
};
void add_language_flags(CLI::App& command, LanguageEvalFlags& flags);

struct LanguageEvalRequest {
  std::filesystem::path network, baseline, data;
  bool all_tensors = false;
  std::optional<double> max_drop;
  LanguageEvalFlags language;
};
/// `nibble eval` where the network is a language model.
void eval_language(const LanguageEvalRequest& request, Context& context);

struct LanguageQuantizeFlags {
  std::vector<std::string> tensor_types;
  std::string output_type, embedding_type, search = "best";
  std::filesystem::path imatrix, save_imatrix, modelfile;
  int64_t calibration_chunks = 0;
  bool pure = false, allow_requantize = false;
};
void add_language_flags(CLI::App& command, LanguageQuantizeFlags& flags);

struct LanguageQuantizeRequest {
  std::filesystem::path network, output, calibration;
  std::string scheme;
  bool allow_fallback = false, dry_run = false, all_tensors = false;
  LanguageQuantizeFlags language;
};
/// `nibble quantize` where the network is a language model.
void quantize_language(const LanguageQuantizeRequest& request, Context& context);

/// `nibble inspect` where the network is a language model.
void inspect_language(const std::filesystem::path& network, Context& context);

struct LanguageRunFlags {
  std::vector<std::string> prompts;
  std::filesystem::path prompt_file;
  int64_t tokens = 128;
  std::string act = "q8";
  bool raw = false;
  generate::SamplingOptions sampling;
};
void add_language_flags(CLI::App& command, LanguageRunFlags& flags);
/// `nibble run` where the network is a language model.
void run_language(const std::filesystem::path& network, const LanguageRunFlags& flags, Context& context);

}  // namespace nibble::cli
