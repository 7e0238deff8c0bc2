#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "graph/graph.h"

namespace nibble::io {

/// What a reader assumed, one sentence each; the caller shows them.
using Notes = std::vector<std::string>;

}  // namespace nibble::io

namespace nibble::io::onnx {

/// Reads an ONNX model. The tensors of the Graph are views of the file, which stays mapped as long as one of them
/// lives.
///
/// The Graph is as the file says, at the file's opset (graph.opset, 0 where no operator is of the default domain; other
/// domains in graph.domains), with these differences: "ai.onnx" is the domain ""; an input that is also an initializer
/// (always so before IR 4) is a constant and no longer an input; calls of the model's own functions are replaced by
/// their bodies; nodes are sorted where the file did not; documentation and annotations are dropped, and so are stated
/// types of inner values (shape inference computes them; those of network inputs and outputs are kept, names of
/// dimensions in Value::symbols).
///
/// A subgraph (If, Loop, Scan) is an attribute of its own Graph. A value in it that no node produces and that is
/// neither input nor constant stands for the value of that name in the graphs around it.
///
/// Throws Error: kMalformed (truncated, inconsistent, cyclic, unsafe external path), kUnsupported (everything that
/// nibble cannot hold, named at once), kLimit, kIo.
graph::Graph read(const std::filesystem::path& path, const base::Limits& limits, Notes& notes);

/// The same from memory that `owner` keeps alive; `place` names it in messages. External data is looked up below
/// `directory`, and refused where that is absent.
graph::Graph read_bytes(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                        const std::optional<std::filesystem::path>& directory, const base::Limits& limits,
                        Notes& notes);

/// Reads a file that holds one TensorProto (`input_0.pb` of ONNX's test cases).
tensor::Tensor read_tensor_file(const std::filesystem::path& path, const base::Limits& limits = {});

}  // namespace nibble::io::onnx
