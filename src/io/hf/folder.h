#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/limits.h"
#include "io/json/json.h"
#include "io/named_tensor.h"

namespace nibble::io::hf {

/// A Hugging Face model folder: its configuration and its tensors, as views of the mapped files. Tokenizer files are
/// read by others.
struct Folder {
  std::filesystem::path path;
  Json config;             ///< config.json
  Json generation_config;  ///< generation_config.json, or null
  std::vector<NamedTensor> tensors;
  std::vector<std::filesystem::path> weight_files;
  int64_t file_bytes = 0;  ///< of the weight files
};

/// Reads config.json, and model.safetensors or the parts that model.safetensors.index.json names.
///
/// Throws Error: kUsage when the folder has no config.json; kUnsupported when its weights are in another form (pickle
/// files are never opened); kMalformed for parts that the index names outside the folder, tensors that are missing or
/// there twice, and whatever read_safetensors refuses.
Folder read_folder(const std::filesystem::path& path, const base::Limits& limits);

/// What model.safetensors.index.json says: the part of every tensor. Throws Error(kMalformed) for parts that are not
/// .safetensors files in the folder itself.
std::map<std::string, std::string> read_index(const Json& index, const std::string& place);

/// Whether `path` is a folder with a config.json.
bool is_model_folder(const std::filesystem::path& path);

/// A JSON file. Throws Error as parse_json does, kIo when it cannot be read.
Json read_json_file(const std::filesystem::path& path, const base::Limits& limits);

}  // namespace nibble::io::hf
