#include "io/hf/folder.h"

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "io/hf/safetensors.h"

namespace nibble::io::hf {
namespace {

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kSingle = "model.safetensors";

void add_file(const std::shared_ptr<const base::MappedFile>& file, const base::Limits& limits, Folder& folder) {
  auto tensors = read_safetensors(file->bytes(), file, base::printable(file->path().string(), 400), limits);
  folder.weight_files.push_back(file->path());
  folder.file_bytes += static_cast<int64_t>(file->bytes().size());
  for (NamedTensor& t : tensors) folder.tensors.push_back(std::move(t));
}

/// A part of that name in the folder itself. Links are followed: the cache of huggingface_hub is made of them.
std::shared_ptr<const base::MappedFile> open_part(const std::filesystem::path& folder, const std::string& name,
                                                  const std::string& place) {
  if (!std::filesystem::exists(folder / name))
    base::fail_io(place,
                  "names the file " + base::in_quotes(name) + ", which is not there; the download is incomplete");
  return base::MappedFile::open(folder / name);
}

/// The parts that the index names, in the order of their names; every tensor must be in the part that the index says.
void read_parts(const base::Limits& limits, Folder& folder) {
  const auto path = folder.path / kIndex;
  const std::string place = base::printable(path.string(), 400);
  auto part_of = read_index(read_json_file(path, limits), place);
  std::set<std::string> parts;
  for (const auto& [name, part] : part_of) parts.insert(part);
  for (const std::string& part : parts) {
    const size_t before = folder.tensors.size();
    add_file(open_part(folder.path, part, place), limits, folder);
    for (size_t i = before; i < folder.tensors.size(); ++i) {
      const auto it = part_of.find(folder.tensors[i].name);
      if (it == part_of.end() || it->second != part)
        base::fail_malformed(place, "does not say that tensor " + base::in_quotes(folder.tensors[i].name) + " is in " +
                                        base::in_quotes(part));
      part_of.erase(it);
    }
  }
  if (!part_of.empty())
    base::fail_malformed(place, "says that tensor " + base::in_quotes(part_of.begin()->first) + " is in " +
                                    base::in_quotes(part_of.begin()->second) +
                                    ", which does not have it; the download is incomplete");
}

}  // namespace

Json read_json_file(const std::filesystem::path& path, const base::Limits& limits) {
  const auto file = base::MappedFile::open(path);
  return parse_json(base::as_text(file->bytes()), base::printable(path.string(), 400), limits);
}

std::map<std::string, std::string> read_index(const Json& index, const std::string& place) {
  const Json* map = index.find("weight_map");
  if (!map) base::fail_malformed(place, "has no \"weight_map\"");
  std::map<std::string, std::string> part_of;
  for (const auto& [tensor, value] : map->object(place)) {
    const std::string& name = value.string(place);
    const std::filesystem::path part(name);
    if (part.filename() != part || part.extension() != ".safetensors" || name.find('\0') != std::string::npos)
      base::fail_malformed(
          place, "names the file " + base::in_quotes(name) + ", which is not a .safetensors file in its own folder");
    part_of[tensor] = name;
  }
  return part_of;
}

bool is_model_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) && std::filesystem::exists(path / "config.json", ignored);
}

Folder read_folder(const std::filesystem::path& path, const base::Limits& limits) {
  const std::string place = base::printable(path.string(), 400);
  if (!is_model_folder(path)) base::fail_usage(place, "is not a Hugging Face model folder: it has no config.json");
  Folder folder;
  folder.path = path;
  folder.config = read_json_file(path / "config.json", limits);
  if (std::filesystem::exists(path / "generation_config.json"))
    folder.generation_config = read_json_file(path / "generation_config.json", limits);
  if (std::filesystem::exists(path / kIndex))
    read_parts(limits, folder);
  else if (std::filesystem::exists(path / kSingle))
    add_file(base::MappedFile::open(path / kSingle), limits, folder);
  else if (std::filesystem::exists(path / "pytorch_model.bin") ||
           std::filesystem::exists(path / "pytorch_model.bin.index.json"))
    base::fail_unsupported(place, "has its weights in pickle files, which can run code and are never opened",
                           "convert them once: python -c \"from transformers import AutoModelForCausalLM as M; "
                           "M.from_pretrained('FOLDER').save_pretrained('OUT')\"");
  else
    base::fail_usage(place, "has no model.safetensors");
  std::set<std::string> names;
  for (const NamedTensor& t : folder.tensors)
    if (!names.insert(t.name).second) base::fail_malformed(place, "has tensor " + base::in_quotes(t.name) + " twice");
  return folder;
}

}  // namespace nibble::io::hf
