#pragma once
#include <optional>
#include <string>
#include <vector>

#include "eval/html/page.h"
#include "eval/language/perplexity.h"
#include "eval/report.h"
#include "model/language/open.h"

namespace nibble::eval {

/// Tokens a second: of the scored windows, and of single tokens one after the other.
struct TokenSpeed {
  double prompt = 0, generation = 0;
};

struct LanguageSide {
  std::string file;
  int64_t file_bytes = 0, parameters = 0;
  double bits_per_weight = 0;  ///< over all of its tensors
  std::string types;           ///< "113 Q4_K, 20 Q6_K, 61 F32"
  std::string activations;     ///< "f32" or "q8"
  TokenSpeed speed;
};

/// What a tensor lost: its signal over its error in decibels, against the baseline's.
struct TensorError {
  std::string name, op, shape, type;
  double bits = 0;
  int64_t bytes = 0;
  std::optional<double> sqnr_db;  ///< absent without a baseline; infinite: exact
};

/// The before/after table of a language model as data.
struct LanguageReport {
  std::string command, version, commit, scheme;
  std::string data;     ///< "eval.txt, 161,410 bytes, 41,203 tokens"
  std::string windows;  ///< how the text was cut
  PerplexityOptions options;
  PerplexityResult result;
  LanguageSide after;
  std::optional<LanguageSide> before;
  std::vector<TensorError> tensors;
  std::vector<InputFile> inputs;
  int threads = 1;
  std::string next;
};

/// What is known of a model without running it.
LanguageSide describe_side(const model::LanguageModel& model);
/// Every tensor of `model` in the Graph's order, with its error against the tensor of the same name in `base`, if any.
std::vector<TensorError> compare_tensors(const model::LanguageModel& model, const model::LanguageModel* base,
                                         base::ThreadPool& pool);
/// "12 Q4_K, 5 F32", most first.
std::string types_text(std::span<const tensor::DType> types);

/// The table and the closing sentence, at most 100 columns. `all_tensors`: every tensor's error, else the worst three.
std::string to_text(const LanguageReport& report, bool all_tensors);
io::Json to_json(const LanguageReport& report);
Page page_of(const LanguageReport& report);
std::string verdict(const LanguageReport& report);

}  // namespace nibble::eval
