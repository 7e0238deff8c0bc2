#include "nibble/network.h"

#include "api/boundary.h"
#include "api/network_impl.h"
#include "model/open.h"
#include "model/save.h"
#include "model/stored_weights.h"
#include "nibble/version.h"

namespace nibble {
namespace {

int64_t size_of(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

std::vector<ValueInfo> describe(const graph::Graph& graph, const std::vector<graph::ValueId>& ids) {
  std::vector<ValueInfo> infos;
  for (const graph::ValueId id : ids) {
    const graph::Value& v = graph.value(id);
    infos.push_back({v.name, std::string(name_of(v.dtype)), v.shape_known, v.shape});
  }
  return infos;
}

void count_weights(Network::Impl& impl) {
  for (const model::StoredWeight& w : model::stored_weights(impl.graph)) {
    impl.weights += w.elements;
    impl.weight_bytes += w.bytes;
  }
}

}  // namespace

Network make_network(Network::Impl impl) {
  impl.inputs = describe(impl.graph, impl.graph.inputs);
  impl.outputs = describe(impl.graph, impl.graph.outputs);
  const auto scheme = impl.graph.metadata.find("nibble.scheme");
  impl.scheme = scheme == impl.graph.metadata.end() ? std::string() : scheme->second;
  count_weights(impl);
  return Network(std::make_shared<const Network::Impl>(std::move(impl)));
}

int64_t batch_size(const graph::Graph& graph) {
  constexpr int64_t kUsual = 16;
  const int64_t fixed = graph.fixed_batch();
  return fixed == tensor::kUnknown ? kUsual : fixed;
}

Network::Network(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Network Network::open(const std::filesystem::path& path) {
  return at_boundary([&] {
    Impl impl;
    const model::OpenOptions options;
    impl.graph = model::open(path, options, impl.notes);
    impl.sources = {path};
    auto external = path;
    external += ".data";
    impl.file_bytes = size_of(path) + size_of(external);
    impl.description = data::description_of(path, impl.graph.metadata, options.limits);
    return make_network(std::move(impl));
  });
}

Saved Network::save(const std::filesystem::path& path, const SaveOptions& options) const {
  return at_boundary([&]() -> Saved {
    model::SaveOptions save;
    save.force = options.force;
    save.inputs = impl_->sources;
    save.also_int8 = options.also_int8;
    save.style = style_of(options.style);
    save.producer = std::string("nibble ") + version();
    const model::SaveResult saved = model::save(impl_->graph, path, save);
    return {saved.file_bytes + saved.data_bytes, saved.int8_file_bytes, saved.opset};
  });
}

const std::vector<ValueInfo>& Network::inputs() const { return impl_->inputs; }
const std::vector<ValueInfo>& Network::outputs() const { return impl_->outputs; }
const std::vector<std::string>& Network::classes() const { return impl_->description.classes; }
const std::string& Network::scheme() const { return impl_->scheme; }
const std::vector<std::string>& Network::notes() const { return impl_->notes; }
int64_t Network::weights() const { return impl_->weights; }
int64_t Network::file_bytes() const { return impl_->file_bytes; }
double Network::bits_per_weight() const {
  return impl_->weights ? 8.0 * static_cast<double>(impl_->weight_bytes) / static_cast<double>(impl_->weights) : 32.0;
}

}  // namespace nibble
