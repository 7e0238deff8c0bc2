#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "fit/blocks/quantize_blocks.h"
#include "io/gguf/imatrix.h"
#include "io/gguf/metadata.h"
#include "quant/language/plan.h"

namespace nibble::quant {

struct WriteOptions {
  bool force = false;
  std::vector<std::filesystem::path> inputs;  ///< files that the output must never be
  fit::BlockSearch search = fit::BlockSearch::kBest;
  bool measure = true;  ///< the error of every tensor that is quantized
};

/// What one tensor lost.
struct TensorResult {
  std::string name;
  std::optional<double> sqnr_db;  ///< of the weights, plain; absent where nothing was rounded to blocks
};

struct WriteResult {
  uint64_t file_bytes = 0;
  std::vector<TensorResult> tensors;
  int64_t without_importance = 0;  ///< tensors quantized that the importance matrix does not have
};

/// Writes the model as the plan says, tensor by tensor in pieces of rows: memory holds no more than a piece (a whole
/// matrix only where it is stored transposed). `metadata` is the file's, file type and provenance included. The file is
/// complete on the disk, and its header and sizes are read back, before it takes its name; on any failure nothing is
/// left.
///
/// The same bytes for any number of threads. Throws Error naming the tensor: kMalformed for values that are NaN or
/// infinite; kUsage, kIo as base::AtomicFile.
WriteResult write_language(const model::LanguageModel& model, const LanguagePlan& plan,
                           const io::gguf::Metadata& metadata, const io::gguf::ImportanceMatrix* importance,
                           const std::filesystem::path& path, const WriteOptions& options, base::ThreadPool& pool,
                           base::Progress& progress);

}  // namespace nibble::quant
