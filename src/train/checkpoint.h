#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "io/json/json.h"
#include "io/named_tensor.h"

namespace nibble::train {

/// A training that can go on: what it knows as JSON, and its tensors. The file is a safetensors file whose tensor
/// `nibble.training` holds the JSON text as bytes.
struct Checkpoint {
  io::Json json;
  std::vector<io::NamedTensor> tensors;
};

/// Writes atomically; a reader sees the old file or the whole new one. Throws Error(kIo).
void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);
/// Throws Error: kMalformed for anything that is no checkpoint of nibble, kIo.
Checkpoint read_checkpoint(const std::filesystem::path& path, const base::Limits& limits);
/// The same from the file's bytes, which `owner` keeps alive; the tensors are views of them.
Checkpoint parse_checkpoint(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                            const base::Limits& limits);

/// Tensors whose names start with `prefix`, which is taken off.
std::vector<io::NamedTensor> with_prefix(const std::vector<io::NamedTensor>& tensors, const std::string& prefix);
/// Deep copies of `tensors` with `prefix` put before their names, added to `to`.
void add_copies(std::vector<io::NamedTensor>& to, const std::vector<io::NamedTensor>& tensors,
                const std::string& prefix);

}  // namespace nibble::train
