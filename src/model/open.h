#pragma once
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "graph/graph.h"
#include "io/onnx/read.h"

namespace nibble::model {

struct OpenOptions {
  base::Limits limits;
};

/// Opens a network file: read, one canonical opset (model::upgrade), quantized constants folded
/// (model::fold_quantized_constants), then shapes inferred, constants folded and the Graph cleaned up. What was assumed
/// is added to `notes`. Throws Error naming the file.
///
/// With `problems` it throws nothing but what is wrong with nibble itself: every Error that would have ended it is
/// added to them, one for each unsupported operator, and it goes on as far as the rest makes sense. The Graph is
/// complete when nothing was added; `notes` then say which constants nothing reads.
graph::Graph open(const std::filesystem::path& path, const OpenOptions& options, io::Notes& notes,
                  std::vector<base::Error>* problems = nullptr);

}  // namespace nibble::model
