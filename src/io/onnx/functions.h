#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "base/limits.h"

namespace nibble::onnx {
class ModelProto;
}

namespace nibble::io::onnx {

class Unsupported;

/// Replaces every call of a function that `model` defines by the function's body, at any nesting, and drops the
/// functions. Inner names get the prefix `CALLER/`, made unique; attributes of the call (or the function's defaults)
/// take the place of references to them.
///
/// Throws Error(kMalformed) for functions that call themselves or are called wrongly, Error(kLimit) when more than
/// limits.nodes nodes come out. A function that imports another opset than `domains` is added to `unsupported`.
void inline_functions(nibble::onnx::ModelProto& model, std::map<std::string, int64_t>& domains,
                      const base::Limits& limits, Unsupported& unsupported, const std::string& place);

}  // namespace nibble::io::onnx
