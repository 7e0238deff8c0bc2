#include "data/dataset.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "data/source.h"
#include "data/values.h"

namespace nibble::data {
namespace {

using tensor::Shape;
using tensor::Tensor;

bool fits(const Shape& shape, const Shape& wanted) {
  if (shape.size() != wanted.size()) return false;
  for (size_t d = 0; d < shape.size(); ++d)
    if (wanted[d] != tensor::kUnknown && wanted[d] != shape[d]) return false;
  return true;
}

/// `wanted` with its unknown sizes filled in, when `shape` differs from it only by dimensions of size 1.
std::optional<Shape> up_to_ones(const Shape& shape, const Shape& wanted) {
  Shape filled = wanted;
  size_t from = 0;
  for (int64_t& size : filled) {
    while (from < shape.size() && shape[from] == 1 && size != 1 && size != tensor::kUnknown) ++from;
    if (size == 1 && (from == shape.size() || shape[from] != 1)) continue;
    if (from == shape.size() || (size != tensor::kUnknown && size != shape[from])) return std::nullopt;
    size = shape[from++];
  }
  while (from < shape.size() && shape[from] == 1) ++from;
  return from == shape.size() ? std::optional(filled) : std::nullopt;
}

/// `order`, shuffled and cut as the options say.
std::vector<int64_t> select(std::vector<int64_t> order, const DatasetOptions& options, const std::string& what) {
  if (options.offset < 0 || (options.limit && *options.limit < 1))
    base::fail_usage(what, "the offset must be 0 or more and the limit 1 or more");
  if (options.offset >= static_cast<int64_t>(order.size()))
    base::fail_usage(what, "the offset " + std::to_string(options.offset) + " leaves no sample");
  if (options.seed) {
    base::Random random(*options.seed);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  }
  order.erase(order.begin(), order.begin() + options.offset);
  if (options.limit && *options.limit < static_cast<int64_t>(order.size()))
    order.resize(static_cast<size_t>(*options.limit));
  return order;
}

/// What to try when an image does not have the network's shape.
std::string advice_for(const Shape& wanted, const Preprocessing& p) {
  if (wanted.size() != 3) return "the network does not take images of this form";
  const auto size_advice = [](int64_t height, int64_t width) {
    if (height == tensor::kUnknown || width == tensor::kUnknown) return std::string("check order and layout");
    const std::string size = std::to_string(width) + "x" + std::to_string(height);
    return "--preprocess with resize=" + size + " or crop=" + size;
  };
  const auto assumed = assumed_preprocessing(wanted);
  if (assumed && assumed->layout != p.layout)
    return std::string("--preprocess with layout=") + (assumed->layout == Layout::kNchw ? "nchw" : "nhwc");
  if (assumed && assumed->channels() != p.channels())
    return std::string("--preprocess with order=") + (assumed->channels() == 1 ? "grey" : "rgb or order=bgr");
  return p.layout == Layout::kNchw ? size_advice(wanted[1], wanted[2]) : size_advice(wanted[0], wanted[1]);
}

}  // namespace

struct Dataset::Skipped {
  std::mutex mutex;
  std::set<int64_t> indices;
};

Dataset::Dataset() : skipped_(std::make_unique<Skipped>()) {}
Dataset::~Dataset() = default;

std::optional<Preprocessing> assumed_preprocessing(const Shape& shape) {
  if (shape.size() != 3) return std::nullopt;
  const auto is_channels = [](int64_t n) { return n == 1 || n == 3; };
  Preprocessing p;
  const bool planes = is_channels(shape[0]);
  if (!planes && !is_channels(shape[2])) return std::nullopt;
  p.layout = planes ? Layout::kNchw : Layout::kNhwc;
  p.order = shape[planes ? 0 : 2] == 1 ? ChannelOrder::kGrey : ChannelOrder::kRgb;
  const int64_t height = shape[planes ? 1 : 0], width = shape[planes ? 2 : 1];
  if (height != tensor::kUnknown && width != tensor::kUnknown) p.resize = {width, height};
  p.scale = 1.0 / 255.0;
  return p;
}

DatasetOptions options_for(const graph::Graph& network, const DataDescription& description, const DataChoice& choice) {
  DatasetOptions options;
  options.preprocessing =
      choice.preprocessing.empty() ? description.preprocessing : parse_preprocessing(choice.preprocessing);
  options.audio = choice.audio.empty() ? description.audio.value_or(Audio{}) : parse_audio(choice.audio);
  options.labels = parse_labels(choice.labels);
  options.references = parse_references(choice.references);
  options.inputs = inputs_of(network);
  options.class_names = description.classes;
  if (!network.outputs.empty()) {
    const graph::Value& output = network.value(network.outputs[0]);
    if (output.shape_known && output.shape.size() == 2 && output.shape[1] > 0) options.classes = output.shape[1];
  }
  options.seed = choice.seed;
  options.offset = choice.offset;
  options.limit = choice.limit;
  options.skip_bad = choice.skip_bad;
  return options;
}

std::unique_ptr<Dataset> open_dataset(const std::filesystem::path& path, const DatasetOptions& options,
                                      const base::Limits& limits) {
  std::unique_ptr<Dataset> set(new Dataset);
  set->options_ = options;
  set->limits_ = limits;
  set->source_ = open_source(path, options.inputs, {options.audio, options.labels.column}, limits);
  const Source& source = *set->source_;
  const std::optional<Shape>& wanted = options.inputs.at(0).shape;
  set->notes_ = source.notes();
  if (source.holds_images()) {
    if (options.inputs.size() > 1)
      base::fail_unsupported(source.what(), "the network has " + std::to_string(options.inputs.size()) + " inputs",
                             "give an .npz with an array of each input's name");
    set->preprocessing_ = options.preprocessing;
    if (!options.preprocessing) {
      set->preprocessing_ = wanted ? assumed_preprocessing(*wanted) : Preprocessing{};
      if (!set->preprocessing_)
        base::fail_unsupported(
            source.what(),
            "the network takes " + tensor::to_string(*wanted) + " a sample, which is no image of 1 or 3 channels",
            "give its data as .npy or .npz");
      set->notes_.push_back("no preprocessing is given; assumed: " + to_text(*set->preprocessing_) +
                            " (--preprocess or NAME.data.json says otherwise)");
    }
    check(*set->preprocessing_, "preprocessing", limits);
  } else if (options.preprocessing) {
    set->notes_.push_back("numbers are taken as they are; the preprocessing " + to_text(*options.preprocessing) +
                          " is for images and is not applied");
  }
  set->labels_ = find_labels(source, options.labels, options.class_names, options.classes, limits);
  std::vector<int64_t> available(static_cast<size_t>(source.size()));
  std::iota(available.begin(), available.end(), int64_t{0});
  if (options.references.kind != ReferenceOptions::From::kNone) {
    set->references_ = open_references(path, source, options.references, limits);
    const auto left_out = source.size() - static_cast<int64_t>(set->references_->samples().size());
    if (left_out > 0)
      set->notes_.push_back(std::to_string(left_out) + " of " + source.what() +
                            " are references or have none, and are no samples");
    available = set->references_->samples();
  }
  set->order_ = select(std::move(available), options, source.what());
  if (!source.holds_images() && !source.holds_runs() && wanted && !fits(source.array_shape(), *wanted) &&
      up_to_ones(source.array_shape(), *wanted))
    set->notes_.push_back("samples of shape " + tensor::to_string(source.array_shape()) + " are read as " +
                          tensor::to_string(*wanted));
  return set;
}

bool Dataset::holds_runs() const { return source_->holds_runs(); }
bool Dataset::sizes_vary() const {
  const std::optional<Shape>& wanted = options_.inputs[0].shape;
  const bool any_size = !wanted || std::find(wanted->begin(), wanted->end(), tensor::kUnknown) != wanted->end();
  return any_size && source_->sizes_vary() &&
         (!preprocessing_ || (preprocessing_->resize == Size{} && preprocessing_->crop == Size{}));
}
int64_t Dataset::fixed_batch(const graph::Graph& network) const {
  const int64_t fixed = network.fixed_batch();
  return holds_runs() || (sizes_vary() && fixed == tensor::kUnknown) ? 1 : fixed;
}

Tensor Dataset::fitted(Tensor values, const Input& input, int64_t at) const {
  if (!input.shape) return values;
  Shape wanted = *input.shape;
  if (holds_runs()) wanted.insert(wanted.begin(), tensor::kUnknown);  // the session knows the batch
  if (fits(values.shape(), wanted)) return values;
  if (!preprocessing_ && !holds_runs())
    if (auto shape = up_to_ones(values.shape(), wanted)) return values.reshaped(std::move(*shape));
  const std::string which = options_.inputs.size() > 1 ? "input " + base::in_quotes(input.name) + ": " : "";
  base::fail_unsupported(
      source_->place(at),
      which + "its shape is " + tensor::to_string(values.shape()) + ", the network takes " + tensor::to_string(wanted),
      preprocessing_ ? advice_for(wanted, *preprocessing_)
      : holds_runs() ? "each file holds the network's inputs as they are, batch dimension included"
                     : "arrays hold one input of the network per entry of their first dimension");
}

std::optional<Sample> Dataset::read(int64_t index, bool may_skip) const {
  NIBBLE_INVARIANT(index >= 0 && index < size());
  const int64_t at = order_[static_cast<size_t>(index)];
  Source::Reading decoded;
  try {
    decoded = source_->read(at, preprocessing_ ? preprocessing_->orientation : io::Orientation::kAsStored);
  } catch (const base::Error& e) {
    const bool undecodable = e.kind() == base::ErrorKind::kMalformed || e.kind() == base::ErrorKind::kLimit ||
                             e.kind() == base::ErrorKind::kUnsupported;
    if (may_skip && source_->holds_images() && undecodable) return std::nullopt;
    throw;
  }
  Sample sample;
  sample.name = source_->name(at);
  const std::vector<Input>& inputs = options_.inputs;
  if (const auto* image = std::get_if<io::Image>(&decoded)) {
    Tensor values = apply(*preprocessing_, *image, source_->place(at), limits_);
    sample.inputs.push_back(fitted(to_dtype(values, inputs[0].dtype, source_->place(at)), inputs[0], at));
  } else {
    const auto& arrays = std::get<std::vector<Tensor>>(decoded);
    for (size_t i = 0; i < inputs.size(); ++i)
      sample.inputs.push_back(fitted(to_dtype(arrays[i], inputs[i].dtype, source_->place(at)), inputs[i], at));
  }
  if (has_labels()) sample.label = labels_.of_sample[static_cast<size_t>(at)];
  if (references_) sample.reference = references_->read(at);
  return sample;
}

Sample Dataset::sample(int64_t index) const { return *read(index, false); }

Batch Dataset::batch(std::span<const int64_t> indices, base::ThreadPool& pool) const {
  std::vector<std::optional<Sample>> samples(indices.size());
  std::vector<std::exception_ptr> errors(indices.size());
  // Kept until all are read, so that which error is thrown does not depend on which thread met one first.
  pool.for_each(static_cast<int64_t>(indices.size()), [&](int64_t i, int) {
    const auto k = static_cast<size_t>(i);
    try {
      samples[k] = read(indices[k], options_.skip_bad);
    } catch (...) {
      errors[k] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);

  NIBBLE_INVARIANT(!holds_runs() || indices.size() <= 1);
  Batch batch;
  std::vector<const Sample*> taken;
  for (size_t k = 0; k < indices.size(); ++k) {
    if (!samples[k]) {
      const std::lock_guard lock(skipped_->mutex);
      skipped_->indices.insert(indices[k]);
      continue;
    }
    const Sample& s = *samples[k];
    if (taken.empty()) taken.push_back(&s);
    for (size_t i = 0; i < s.inputs.size(); ++i)
      if (s.inputs[i].shape() != taken[0]->inputs[i].shape())
        base::fail_unsupported(source_->place(order_[static_cast<size_t>(indices[k])]),
                               "its shape is " + tensor::to_string(s.inputs[i].shape()) + ", another sample's is " +
                                   tensor::to_string(taken[0]->inputs[i].shape()) + "; one batch needs one shape",
                               "--preprocess with resize or crop, or a batch size of 1");
    if (taken[0] != &s) taken.push_back(&s);
    batch.indices.push_back(indices[k]);
    batch.labels.push_back(s.label);
    batch.names.push_back(s.name);
    if (references_) batch.references.push_back(s.reference);
  }
  if (taken.empty()) return batch;
  if (holds_runs()) {
    batch.inputs = taken[0]->inputs;
    return batch;
  }
  for (size_t i = 0; i < options_.inputs.size(); ++i) {
    const Tensor& first = taken[0]->inputs[i];
    Shape shape = first.shape();
    shape.insert(shape.begin(), batch.size());
    Tensor joined(first.dtype(), shape, true);
    std::byte* to = joined.mutable_bytes().data();
    for (const Sample* s : taken) {
      const base::Bytes from = s->inputs[i].bytes();
      std::memcpy(to, from.data(), from.size());
      to += from.size();
    }
    batch.inputs.push_back(std::move(joined));
  }
  return batch;
}

Batch Dataset::batch(int64_t begin, int64_t count, base::ThreadPool& pool) const {
  std::vector<int64_t> indices;
  for (int64_t i = begin; i < begin + count && i < size(); ++i) indices.push_back(i);
  return batch(indices, pool);
}

int64_t Dataset::skipped() const {
  const std::lock_guard lock(skipped_->mutex);
  return static_cast<int64_t>(skipped_->indices.size());
}

std::string Dataset::describe() const {
  std::string text = source_->what();
  if (size() < source_->size())
    text += ", " + std::to_string(size()) + " of them" +
            (options_.seed ? " chosen with seed " + std::to_string(*options_.seed) : "") +
            (options_.offset ? " from number " + std::to_string(options_.offset) + " on" : "");
  // A reference is what the samples are measured against; that they have no classes then says nothing.
  if (references_) return text + "; " + references_->origin() + (has_labels() ? "; " + labels_.origin : "");
  return text + "; " + labels_.origin;
}

}  // namespace nibble::data
