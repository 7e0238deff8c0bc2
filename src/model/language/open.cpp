#include "model/language/open.h"

#include "base/error.h"
#include "base/file.h"
#include "io/gguf/configuration.h"
#include "io/gguf/read.h"
#include "io/hf/configuration.h"
#include "io/hf/folder.h"

namespace nibble::model {
namespace {

std::string known_architectures() {
  std::string text;
  for (const arch::Architecture* a : arch::all_architectures())
    text += (text.empty() ? "" : "; ") + std::string(a->families);
  return text;
}

template <typename Tensors>
arch::NamedTensors named(const Tensors& tensors) {
  arch::NamedTensors all;
  for (const io::NamedTensor& t : tensors) all.emplace_back(t.name, t.tensor);
  return all;
}

LanguageModel open_folder(const std::filesystem::path& path, const base::Limits& limits,
                          std::vector<std::string>& notes) {
  const std::string place = base::printable((path / "config.json").string(), 400);
  const io::hf::Folder folder = io::hf::read_folder(path, limits);
  const io::hf::JsonConfiguration config(folder.config, place);
  if (folder.config.find("quantization_config"))
    base::fail_unsupported(place, "describes weights that are quantized already (\"quantization_config\")");
  const io::Json* classes = folder.config.find("architectures");
  if (!classes || !classes->if_array() || classes->if_array()->size() != 1)
    base::fail_malformed(place, "does not name one class in \"architectures\"");
  const std::string& name = classes->array(place)[0].string(place);
  const arch::Architecture* architecture = arch::find_hf_class(name);
  if (!architecture)
    base::fail_unsupported(place, "is of the class " + base::in_quotes(name), "known are: " + known_architectures());
  LanguageModel m;
  m.path = path;
  m.name = std::filesystem::weakly_canonical(path).filename().string();
  m.files = folder.weight_files;
  m.file_bytes = folder.file_bytes;
  m.model = arch::build(*architecture, architecture->from_config(config), arch::Source::kHf, named(folder.tensors),
                        place, notes);
  m.vocabulary = io::read_vocabulary(path, limits);
  return m;
}

LanguageModel open_gguf(const std::filesystem::path& path, const base::Limits& limits,
                        std::vector<std::string>& notes) {
  const std::string place = base::printable(path.string(), 400);
  io::gguf::File file = io::gguf::read(path, limits);
  const io::gguf::MetadataConfiguration metadata(file.metadata, place);
  const auto name = metadata.text("general.architecture");
  if (!name) base::fail_malformed(place, "does not say \"general.architecture\"");
  const arch::Architecture* architecture = arch::find_architecture(*name);
  if (!architecture)
    base::fail_unsupported(place, "is of the architecture " + base::in_quotes(*name),
                           "known are: " + known_architectures());
  int64_t vocabulary = 0;
  for (const io::NamedTensor& t : file.tensors)
    if (t.name == "token_embd.weight" && t.tensor.rank() == 2) vocabulary = t.tensor.shape()[0];
  if (vocabulary == 0) base::fail_malformed(place, "has no table of embeddings (\"token_embd.weight\")");
  LanguageModel m;
  m.path = path;
  m.name = metadata.text("general.name").value_or(path.stem().string());
  m.files = file.paths;
  m.file_bytes = file.file_bytes;
  m.model = arch::build(*architecture, architecture->from_metadata(metadata, *name, vocabulary), arch::Source::kGguf,
                        named(file.tensors), place, notes);
  m.vocabulary = io::read_vocabulary(file.metadata, place, limits);
  m.metadata = std::move(file.metadata);
  return m;
}

template <typename Count>
int64_t sum_of_constants(const arch::Model& model, Count&& count) {
  int64_t sum = 0;
  for (graph::ValueId v = 0; v < model.graph.value_count(); ++v)
    if (const graph::Value& value = model.graph.value(v); value.constant && value.role != graph::Role::kShape)
      sum += count(value.constant);
  return sum;
}

}  // namespace

bool is_language_model(const std::filesystem::path& path) {
  if (io::hf::is_model_folder(path)) return true;
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && std::filesystem::file_size(path, ignored) >= 4 &&
         io::gguf::is_gguf(base::MappedFile::open(path)->bytes());
}

LanguageModel open_language_model(const std::filesystem::path& path, const base::Limits& limits,
                                  std::vector<std::string>& notes) {
  LanguageModel m = io::hf::is_model_folder(path) ? open_folder(path, limits, notes) : open_gguf(path, limits, notes);
  const auto rows = static_cast<size_t>(m.model.sizes.vocabulary);
  if (m.vocabulary.size() > rows)
    base::fail_malformed(base::printable(path.string(), 400), "has " + std::to_string(m.vocabulary.size()) +
                                                                  " tokens and embeddings for " + std::to_string(rows));
  return m;
}

int64_t parameter_count(const arch::Model& model) {
  return sum_of_constants(model, [](const tensor::Tensor& t) { return t.elements(); });
}
int64_t stored_bytes(const arch::Model& model) {
  return sum_of_constants(model, [](const tensor::Tensor& t) { return static_cast<int64_t>(t.bytes().size()); });
}

}  // namespace nibble::model
