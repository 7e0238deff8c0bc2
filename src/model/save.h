#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "model/matmul_nbits_form.h"

namespace nibble::model {

struct SaveOptions {
  bool force = false;                         ///< replace existing outputs
  std::vector<std::filesystem::path> inputs;  ///< files that an output must never be
  /// A second file with the same values as 8-bit codes, for runtimes without 4-bit kernels; empty: none.
  std::filesystem::path also_int8;
  OnnxStyle style = OnnxStyle::kQdq;  ///< of the main file; `also_int8` is always kQdq
  std::string producer = "nibble";
  /// Models larger than this put their tensors into NAME.data beside NAME (an ONNX file ends at 2 GiB).
  uint64_t largest_file = INT32_MAX;
};

struct SaveResult {
  uint64_t file_bytes = 0;  ///< of the model's file
  uint64_t data_bytes = 0;  ///< of the external data beside it, 0 if there is none
  int64_t opset = 0;        ///< opset that it was written in
  int64_t ir_version = 0;
  uint64_t int8_file_bytes = 0;  ///< of the file `also_int8`, with its data, 0 if there is none
};

/// Writes a Graph of the canonical opset as an ONNX file of the lowest opset from 21 up that has everything it uses.
/// Quantized constants are written as codes with DequantizeLinear (expand_quantized_constants). The file is complete on
/// the disk, read back and compared with what was meant (every node, attribute and constant, bit for bit) before it
/// takes its name; on any failure nothing is left.
///
/// Throws Error: kUsage (output exists, output is an input), kUnsupported (a format without an ONNX form), kIo (disk).
SaveResult save(const graph::Graph& g, const std::filesystem::path& path, const SaveOptions& options);

/// Bytes of the file that `save` would write, tensors included; the same Errors for what it refuses to write.
uint64_t saved_size(const graph::Graph& g, OnnxStyle style = OnnxStyle::kQdq);

/// The lowest opset from 21 up that has every operator, attribute and number type of `g`, a Graph of the canonical
/// opset.
int64_t lowest_opset(const graph::Graph& g);

/// The first difference between two Graphs, as one phrase for people ("constant \"w\" has other bytes"), or empty:
/// nodes in order, attributes, inputs, outputs, constants bit for bit. Values are compared by name; stated shapes of
/// inner values are not.
std::string first_difference(const graph::Graph& a, const graph::Graph& b);

}  // namespace nibble::model
