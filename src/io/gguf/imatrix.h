#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/limits.h"

namespace nibble::io::gguf {

/// How strongly the columns of a product's weight are used: sums of squares of its inputs over all tokens seen.
struct ColumnUse {
  std::vector<float> sums;  ///< one a column
  double count = 0;         ///< tokens
};

/// An importance matrix as llama.cpp's tool of that name collects it, by weight ("blk.0.attn_q.weight").
struct ImportanceMatrix {
  std::map<std::string, ColumnUse> weights;
  std::vector<std::string> datasets;
  int64_t chunks = 0, chunk_size = 0;
};

/// Reads the GGUF form or the older binary form. Throws Error naming the file and the weight: kMalformed for sums that
/// are negative or not finite, sizes that do not fit; kUnsupported for weights of several matrices (mixtures of
/// experts).
ImportanceMatrix read_imatrix(const std::filesystem::path& path, const base::Limits& limits);
/// The same from bytes; `owner` keeps them alive meanwhile.
ImportanceMatrix read_imatrix_bytes(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                                    const base::Limits& limits);

/// Writes the GGUF form.
void write_imatrix(const ImportanceMatrix& matrix, base::AtomicFile& file);

/// What a search multiplies squared errors with: the mean square of each column's input. Empty for a weight that the
/// matrix does not have, and where no token was seen.
std::vector<float> column_weights(const ImportanceMatrix& matrix, const std::string& weight);

}  // namespace nibble::io::gguf
