#pragma once
#include <cstdint>
#include <string>

#include "base/file.h"
#include "graph/graph.h"

namespace nibble::io::onnx {

struct WriteOptions {
  std::string producer = "nibble";
  /// Where tensors of at least `external_bytes` go instead of the model's own file, for models over 2 GiB; nullptr: all
  /// tensors are inside. Shape-like tensors (64-bit integers) always are.
  base::AtomicFile* data = nullptr;
  std::string data_name;  ///< the plain file name of `data` once it is committed
  int64_t external_bytes = 1024;
};

/// IR version that the releases of ONNX pair with an opset of the default domain (21: 10).
int64_t ir_version_of(int64_t opset);

/// Largest size that a protobuf message, and so a file without external data, can have.
inline constexpr uint64_t kLargestMessage = INT32_MAX;

/// Size in bytes that `write` gives the model's file.
uint64_t written_size(const graph::Graph& g, const WriteOptions& options = {});

/// Appends `g` as an ONNX model of opset `g.opset` to `file`, tensors as raw data straight from where they lie; the
/// same bytes for the same Graph, always. Committing the files, `options.data` first, is the caller's.
///
/// The Graph is written as it stands: constants with a Quantization must have been expanded
/// (model::expand_quantized_constants). Throws Error(kUnsupported) for a model over 2 GiB without external data,
/// Error(kIo).
void write(const graph::Graph& g, base::AtomicFile& file, const WriteOptions& options = {});

}  // namespace nibble::io::onnx
