#pragma once
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "io/gguf/imatrix.h"
#include "model/language/open.h"

namespace nibble::quant {

struct ImportanceOptions {
  int64_t context = 512;
  int64_t chunks = 0;  ///< at most as many windows; 0: all
  base::Limits limits;
};

/// Runs the float model over windows of the text (the first token of each replaced by BOS where the model has one) and
/// sums the squares of what every product of weights is given, column by column: what llama.cpp's importance matrices
/// are. `name` is the text's, kept in the matrix.
///
/// Throws Error(kUsage) for a text shorter than one window.
io::gguf::ImportanceMatrix collect_importance(const model::LanguageModel& model, std::span<const int32_t> tokens,
                                              const std::string& name, const ImportanceOptions& options,
                                              base::ThreadPool& pool, base::Progress& progress);

/// Error(kMalformed) unless every weight of the matrix that the model has is of the model's width; weights that the
/// model does not have are counted in the result.
int64_t require_fitting(const io::gguf::ImportanceMatrix& matrix, const model::LanguageModel& model,
                        const std::string& place);

}  // namespace nibble::quant
