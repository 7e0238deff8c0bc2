#include "eval/answers.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "runtime/session.h"

namespace nibble::eval {
namespace {

using tensor::Tensor;

/// `"scores" of the quantized network`, for messages.
std::string place_of(const graph::Graph& graph, size_t output, const char* which) {
  return "output " + base::in_quotes(graph.value(graph.outputs[output]).name) + " of the " + which + "network";
}

void check_finite(const Tensor& t, const graph::Graph& graph, size_t output, const char* which) {
  if (t.dtype() != tensor::DType::f32) return;
  const auto values = t.values<float>();
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      base::fail_malformed(place_of(graph, output, which),
                           "is " + std::to_string(values[i]) + " at index " + std::to_string(i));
}

void check_alike(const std::vector<Tensor>& before, const std::vector<Tensor>& after, const graph::Graph& graph) {
  if (before.size() != after.size())
    base::fail_unsupported(
        "", "the networks have " + std::to_string(before.size()) + " and " + std::to_string(after.size()) + " outputs");
  const auto form = [](const Tensor& t) {
    return std::string(tensor::name_of(t.dtype())) + " " + tensor::to_string(t.shape());
  };
  if (!after.empty() && form(before[0]) != form(after[0]))
    base::fail_unsupported(place_of(graph, 0, ""), "differs in form between the networks: " + form(before[0]) +
                                                       " before and " + form(after[0]) + " after");
}

}  // namespace

bool Answers::comparable(size_t i) const {
  return !before.empty() && before[i].dtype() == after[i].dtype() && before[i].shape() == after[i].shape();
}

bool Answers::by_sample(size_t i) const { return after[i].rank() > 0 && after[i].shape()[0] == data.size(); }

bool Answers::rows_of_classes(size_t i) const {
  const Tensor& t = after[i];
  return t.dtype() == tensor::DType::f32 && t.rank() == 2 && by_sample(i) && t.shape()[1] > 1;
}

bool ends_in_softmax(const graph::Graph& graph) {
  const auto producers = graph.producers();
  const graph::NodeId id = producers[static_cast<size_t>(graph.outputs.at(0))];
  return id >= 0 && graph.node(id).op == "Softmax";
}

void answer(const graph::Graph* before, const graph::Graph& after, const NextBatch& next, const base::Limits& limits,
            base::ThreadPool& pool, const std::function<void(const Answers&)>& each) {
  runtime::SessionOptions options;
  options.limits = limits;
  runtime::Session session(after, pool, options);
  std::unique_ptr<runtime::Session> baseline;
  if (before) baseline = std::make_unique<runtime::Session>(*before, pool, options);
  while (const std::optional<data::Batch> data = next()) {
    const std::vector<Tensor> y = session.run(data->inputs);
    for (size_t i = 0; i < y.size(); ++i) check_finite(y[i], after, i, before ? "quantized " : "");
    std::vector<Tensor> x;
    if (baseline) {
      x = baseline->run(data->inputs);
      check_alike(x, y, after);
      for (size_t i = 0; i < x.size(); ++i) check_finite(x[i], *before, i, "baseline ");
    }
    each({*data, x, y});
  }
}

NextBatch batches_of(const data::Dataset& dataset, const graph::Graph& network, int64_t batch, base::ThreadPool& pool,
                     std::function<void(int64_t)> progress) {
  const int64_t fixed = dataset.fixed_batch(network);
  const int64_t count = fixed == tensor::kUnknown ? batch : fixed;
  return [&dataset, &pool, progress = std::move(progress), fixed, count,
          at = int64_t{0}]() mutable -> std::optional<data::Batch> {
    while (at < dataset.size()) {
      if (at > 0) progress(at);
      data::Batch data = dataset.batch(at, std::min(count, dataset.size() - at), pool);
      at += count;
      if (data.empty()) continue;                                                 // every sample of it was left out
      if (fixed != tensor::kUnknown && data.size() < fixed) return std::nullopt;  // a batch that cannot be filled
      return data;
    }
    progress(dataset.size());
    return std::nullopt;
  };
}

}  // namespace nibble::eval
