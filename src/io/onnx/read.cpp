#include "io/onnx/read.h"

#include "base/error.h"
#include "base/file.h"
#include "io/onnx/functions.h"
#include "io/onnx/graph_reader.h"
#include "io/onnx/onnx_schema.pb.h"
#include "io/onnx/tensor_reader.h"
#include "io/onnx/wire.h"

namespace nibble::io::onnx {
namespace schema = ::nibble::onnx;

namespace {

constexpr const char* kNoOnnx = "the file is damaged or no ONNX file";

template <typename Message>
void parse(Message& message, const std::string& bytes, const std::string& place) {
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    base::fail_malformed(place, "cannot be parsed as a protobuf message", kNoOnnx);
}

std::map<std::string, int64_t> read_domains(const schema::ModelProto& model, const std::string& place) {
  std::map<std::string, int64_t> domains;
  for (const auto& entry : model.opset_import()) {
    if (!is_clean_text(entry.domain()) || !domains.emplace(canonical_domain(entry.domain()), entry.version()).second)
      base::fail_malformed(place, "the domain " + base::in_quotes(entry.domain()) + " has two versions or is no text",
                           kNoOnnx);
    if (entry.version() < 1)
      base::fail_malformed(place, "the opset version " + std::to_string(entry.version()) + " is not positive", kNoOnnx);
  }
  return domains;
}

graph::Graph read_model(base::Bytes bytes, std::shared_ptr<const void> owner,
                        std::shared_ptr<const base::MappedFile> mapping, const std::string& place,
                        const std::optional<std::filesystem::path>& directory, const base::Limits& limits,
                        Notes& notes) {
  if (bytes.size() > size_t{INT32_MAX})
    base::fail_unsupported(place, "has more than 2 GiB, which an ONNX file cannot have",
                           "store its tensors as external data");
  Stripped stripped = strip_raw_data(bytes, WireRoot::kModel, limits, place);
  schema::ModelProto model;
  parse(model, stripped.message, place);
  stripped.message = {};
  if (stripped.unknown_fields)
    notes.push_back(place + ": " + std::to_string(stripped.unknown_fields) + " fields that are not known were ignored");
  if (!model.has_graph()) base::fail_malformed(place, "holds no network", kNoOnnx);
  auto domains = read_domains(model, place);

  Unsupported unsupported;
  inline_functions(model, domains, limits, unsupported, place);
  TensorReader tensors(std::move(stripped.raw), std::move(owner), directory, limits, notes);
  tensors.spans_are_mapped(std::move(mapping));
  const bool inputs_may_have_defaults = model.ir_version() >= 4;
  GraphReader reader(tensors, unsupported, limits, notes, place, domains, inputs_may_have_defaults);
  graph::Graph g = reader.read(model.graph());
  tensors.check_external_overlap();
  unsupported.fail_if_any(place);

  g.opset = domains.count("") ? domains.at("") : 0;
  domains.erase("");
  g.domains = std::move(domains);
  const auto checked = [&](const std::string& text) {
    if (!is_clean_text(text))
      base::fail_malformed(place, "the text " + base::in_quotes(text) + " is not UTF-8", kNoOnnx);
    return text;
  };
  g.producer = checked(model.producer_name());
  if (!model.producer_version().empty()) g.producer += " " + checked(model.producer_version());
  for (const auto& entry : model.metadata_props())
    if (!g.metadata.emplace(checked(entry.key()), checked(entry.value())).second)
      base::fail_malformed(place, "the metadata key " + base::in_quotes(entry.key()) + " is given twice", kNoOnnx);
  return g;
}

}  // namespace

graph::Graph read_bytes(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place,
                        const std::optional<std::filesystem::path>& directory, const base::Limits& limits,
                        Notes& notes) {
  return read_model(bytes, std::move(owner), nullptr, place, directory, limits, notes);
}

graph::Graph read(const std::filesystem::path& path, const base::Limits& limits, Notes& notes) {
  const auto file = base::MappedFile::open(path);
  return read_model(file->bytes(), file, file, base::printable(path.string(), 400), path.parent_path(), limits, notes);
}

tensor::Tensor read_tensor_file(const std::filesystem::path& path, const base::Limits& limits) {
  const std::string place = base::printable(path.string(), 400);
  const auto file = base::MappedFile::open(path, true);
  Stripped stripped = strip_raw_data(file->bytes(), WireRoot::kTensor, limits, place);
  schema::TensorProto proto;
  parse(proto, stripped.message, place);
  Notes notes;
  Unsupported unsupported;
  TensorReader reader(std::move(stripped.raw), file, path.parent_path(), limits, notes);
  tensor::Tensor tensor = reader.read(proto, place, unsupported);
  unsupported.fail_if_any(place);
  return tensor;
}

}  // namespace nibble::io::onnx
