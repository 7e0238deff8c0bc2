#include "nibble/dataset.h"

#include <algorithm>

#include "api/boundary.h"
#include "api/network_impl.h"
#include "api/threads.h"
#include "data/dataset.h"

namespace nibble {
namespace {

data::DatasetOptions options_for(const Network::Impl& network, const DatasetOptions& options) {
  return data::options_for(network.graph, network.description,
                           {options.preprocessing, options.audio, options.labels, "", options.shuffle, options.skip,
                            options.samples, options.skip_bad});
}

}  // namespace

struct Dataset::Impl {
  Impl(const std::filesystem::path& path, const Network& network, const DatasetOptions& options)
      : pool(checked_threads(options.threads)),
        dataset(data::open_dataset(path, options_for(network.impl(), options), base::Limits{})),
        batch(dataset->holds_runs() ? 1 : batch_size(network.impl().graph)),
        fixed(!dataset->holds_runs() && network.impl().graph.fixed_batch() != tensor::kUnknown) {}

  Batch read(int64_t begin, int64_t count) {
    const data::Batch from = dataset->batch(begin, dataset->holds_runs() ? std::min<int64_t>(1, count) : count, pool);
    Batch to;
    if (from.size() == 0) return to;
    for (const tensor::Tensor& input : from.inputs) to.inputs.push_back(to_array(input, "the data"));
    if (dataset->has_labels())
      for (const auto& label : from.labels) to.labels.push_back(label.value_or(-1));
    return to;
  }

  base::ThreadPool pool;
  std::unique_ptr<data::Dataset> dataset;
  int64_t batch;
  bool fixed;  ///< the network takes batches of exactly `batch` samples
};

Dataset::Dataset(const std::filesystem::path& path, const Network& network, const DatasetOptions& options)
    : impl_(at_boundary([&] { return std::make_unique<Impl>(path, network, options); })) {}
Dataset::~Dataset() = default;
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;

int64_t Dataset::size() const { return impl_->dataset->size(); }
bool Dataset::has_labels() const { return impl_->dataset->has_labels(); }
std::string Dataset::describe() const { return impl_->dataset->describe(); }
const std::vector<std::string>& Dataset::notes() const { return impl_->dataset->notes(); }

Batch Dataset::batch(int64_t begin, int64_t count) const {
  return at_boundary([&] {
    if (begin < 0 || count < 0) base::fail_usage("Dataset::batch", "takes no negative numbers");
    return impl_->read(begin, std::min(count, std::max<int64_t>(0, size() - begin)));
  });
}

NextBatch Dataset::batches(std::optional<int64_t> samples) const {
  const int64_t total = std::min(size(), samples.value_or(size()));
  return [impl = impl_.get(), at = int64_t{0}, total]() mutable -> std::optional<Batch> {
    return at_boundary([&]() -> std::optional<Batch> {
      while (at < total) {
        const int64_t count = std::min(impl->batch, total - at);
        at += count;
        if (impl->fixed && count < impl->batch) break;  // a fixed batch that cannot be filled
        Batch batch = impl->read(at - count, count);
        if (batch.inputs.empty()) continue;  // every sample of it was left out
        if (impl->fixed && batch.inputs[0].shape[0] < impl->batch) continue;
        return batch;
      }
      return std::nullopt;
    });
  };
}

}  // namespace nibble
