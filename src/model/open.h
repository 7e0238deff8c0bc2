#pragma once
#include <filesystem>

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
graph::Graph open(const std::filesystem::path& path, const OpenOptions& options, io::Notes& notes);

}  // namespace nibble::model
