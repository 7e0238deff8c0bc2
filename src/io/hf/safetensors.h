#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "io/named_tensor.h"

namespace nibble::io::hf {

/// The tensors of a safetensors file in the order of their bytes, as views. `owner` keeps the bytes alive.
///
/// Throws Error naming `place` and the tensor: kMalformed for a header that is not strict UTF-8 JSON, offsets with
/// holes or overlaps, sizes that do not match, bytes after the last tensor; kUnsupported for element types that nibble
/// does not know; kLimit. Source: safetensors README, "Format".
std::vector<NamedTensor> read_safetensors(base::Bytes bytes, std::shared_ptr<const void> owner,
                                          const std::string& place, const base::Limits& limits);

/// Writes tensors (no packed or blocked types, no Quantization) as such a file, part by part, in the order given. Names
/// must differ. Throws Error(kUnsupported) for an element type that the format does not have.
void write_safetensors(const std::vector<NamedTensor>& tensors, const std::function<void(base::Bytes)>& write);

}  // namespace nibble::io::hf
