#include "train/batches.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "train/moments.h"

namespace nibble::train {
namespace {

/// Rows [begin, begin + count) of a tensor, as a view.
tensor::Tensor rows(const tensor::Tensor& t, int64_t begin, int64_t count) {
  tensor::Shape shape = t.shape();
  const auto row = static_cast<int64_t>(t.bytes().size()) / std::max<int64_t>(1, shape[0]);
  shape[0] = count;
  return {t.dtype(), shape, t.bytes().subspan(static_cast<size_t>(begin * row), static_cast<size_t>(count * row)),
          std::make_shared<tensor::Tensor>(t)};
}

/// Adds the rows of `more` to `to`.
void append(tensor::Tensor& to, const tensor::Tensor& more) {
  if (!to || to.rank() == 0 || more.rank() == 0) {
    to = more;
    return;
  }
  tensor::Shape shape = to.shape();
  shape[0] += more.shape()[0];
  tensor::Tensor all(to.dtype(), shape, true);
  std::ranges::copy(more.bytes(), std::ranges::copy(to.bytes(), all.mutable_bytes().begin()).out);
  to = all;
}

/// What errors are measured by: the variance, and a little of the mean square, so that a value that hardly varies is
/// not measured by nothing. 1 for zeros.
double spread(const tensor::Tensor& t) {
  const Moments m = moments_of(t.values<float>());
  return m.mean_square > 0 ? m.variance() + 1e-3 * m.mean_square : 1.0;
}

}  // namespace

std::vector<int64_t> order_of_epoch(int64_t samples, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(samples));
  std::iota(order.begin(), order.end(), int64_t{0});
  base::Random random(seed, 0x0E70C000u + static_cast<uint64_t>(epoch));
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

Batches::Batches(const data::Dataset& data, const Options& options, Teacher* teacher, int64_t slice, bool exact,
                 base::ThreadPool& pool)
    : data_(data), options_(options), teacher_(teacher), slice_(slice), exact_(exact), pool_(pool) {
  if (data.preprocessing()) form_ = pixel_form(*data.preprocessing());
}

Teacher::Answers Batches::ask(const Batch& b) const {
  if (!exact_) return teacher_->answer(b.data.inputs);
  Teacher::Answers all;
  for (int64_t begin = 0; begin < b.samples; begin += slice_) {
    std::vector<tensor::Tensor> inputs;
    for (const auto& t : b.data.inputs) inputs.push_back(rows(t, begin, slice_));
    const Teacher::Answers some = teacher_->answer(inputs);
    all.outputs.resize(some.outputs.size());
    all.features.resize(some.features.size());
    for (size_t i = 0; i < some.outputs.size(); ++i) append(all.outputs[i], some.outputs[i]);
    for (size_t i = 0; i < some.features.size(); ++i) append(all.features[i], some.features[i]);
  }
  return all;
}

Batches::Batch Batches::make(std::span<const int64_t> indices, int64_t epoch) {
  Batch b;
  b.data = data_.batch(indices, pool_);
  if (b.data.empty()) return b;
  if (options_.augmentation != Augmentation{})
    augment(b.data.inputs.at(0), form_, options_.augmentation, options_.seed, b.data.indices, epoch, pool_);
  b.samples = b.data.size() - (exact_ ? b.data.size() % slice_ : 0);
  if (b.samples == 0) return b;
  if (teacher_) b.answers = ask(b);
  std::vector<double> output_variance, feature_variance;
  const int64_t size = b.samples;
  std::erase_if(b.answers.outputs, [&](const auto& t) { return t.rank() == 0 || t.shape()[0] != size; });
  for (const auto& t : b.answers.outputs) output_variance.push_back(spread(t));
  for (const auto& t : b.answers.features) feature_variance.push_back(spread(t));
  inputs_.clear();
  for (int64_t begin = 0; begin < size; begin += slice_) {
    const int64_t count = std::min(slice_, size - begin);
    inputs_.emplace_back();
    for (const auto& t : b.data.inputs) inputs_.back().push_back(rows(t, begin, count));
    Slice s;
    s.batch = size;
    if (data_.has_labels())
      s.labels = std::span(b.data.labels).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
    s.teacher_variance = output_variance;
    s.feature_variance = feature_variance;
    for (const auto& t : b.answers.outputs) s.teacher.push_back(rows(t, begin, count));
    for (const auto& t : b.answers.features) s.teacher_features.push_back(rows(t, begin, count));
    b.slices.push_back(std::move(s));
  }
  for (size_t i = 0; i < b.slices.size(); ++i) b.slices[i].inputs = inputs_[i];
  return b;
}

}  // namespace nibble::train
