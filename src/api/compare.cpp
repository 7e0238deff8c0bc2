#include "nibble/compare.h"

#include <algorithm>
#include <cmath>

#include "api/boundary.h"
#include "api/network_impl.h"
#include "api/threads.h"
#include "eval/statistics.h"
#include "runtime/session.h"

namespace nibble {
namespace {

/// Whether the first output already holds probabilities.
bool ends_in_softmax(const graph::Graph& graph) {
  const graph::NodeId id = graph.producers()[static_cast<size_t>(graph.outputs.at(0))];
  return id >= 0 && graph.node(id).op == "Softmax";
}

int64_t top_class(std::span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

std::span<const float> checked_floats(const tensor::Tensor& t, const char* which) {
  const std::string place = std::string("the network ") + which;
  if (t.dtype() != tensor::DType::f32)
    base::fail_unsupported(
        place, "its first output is of type " + std::string(name_of(t.dtype())) + ", 32-bit floats can be compared");
  const auto y = t.values<float>();
  for (size_t i = 0; i < y.size(); ++i)
    if (!std::isfinite(y[i]))
      base::fail_malformed(place, "its output is " + std::to_string(y[i]) + " at index " + std::to_string(i));
  return y;
}

struct Sums {
  Comparison c;
  std::vector<double> kl;
  double signal = 0, noise = 0;

  void add(std::span<const float> x, std::span<const float> y, const tensor::Shape& shape,
           const std::vector<int64_t>& labels, bool probabilities) {
    for (size_t i = 0; i < x.size(); ++i) {
      const double a = x[i], d = a - y[i];
      signal += a * a;
      noise += d * d;
    }
    const auto n = static_cast<size_t>(shape.empty() ? 1 : shape[0]);
    c.samples += static_cast<int64_t>(n);
    c.classes = shape.size() == 2 && shape[1] > 1;
    if (!c.classes) return;
    const auto classes = static_cast<size_t>(shape[1]);
    for (size_t i = 0; i < n; ++i) {
      const auto b = x.subspan(i * classes, classes), a = y.subspan(i * classes, classes);
      const int64_t was = top_class(b), is = top_class(a);
      c.same_answer += was == is;
      kl.push_back(probabilities ? eval::kl_divergence_of_probabilities(b, a) : eval::kl_divergence_of_logits(b, a));
      if (labels.empty() || labels[i] < 0) continue;
      ++c.labelled;
      c.before_right += was == labels[i];
      c.after_right += is == labels[i];
      c.lost += was == labels[i] && is != labels[i];
      c.won += was != labels[i] && is == labels[i];
    }
  }

  Comparison finish() {
    const eval::PairedChange change{c.labelled, c.lost, c.won};
    if (c.labelled > 0) {
      const eval::Interval interval = change.interval();
      c.top1_change = change.difference();
      c.top1_change_interval = {interval.low, interval.high};
      c.p_value = change.p_value();
    }
    if (!kl.empty()) {
      const eval::Interval interval = eval::bootstrap_mean_interval(kl);
      c.kl_mean = eval::mean(kl);
      c.kl_interval = {interval.low, interval.high};
    }
    c.relative_error = signal > 0 ? std::sqrt(noise / signal) : noise > 0 ? INFINITY : 0;
    return c;
  }
};

}  // namespace

Comparison compare(const Network& before, const Network& after, const NextBatch& data, int threads) {
  return at_boundary([&] {
    if (!data) base::fail_usage("compare", "needs a function that gives batches");
    base::ThreadPool pool(checked_threads(threads));
    runtime::Session a(before.impl().graph, pool), b(after.impl().graph, pool);
    const bool probabilities = ends_in_softmax(before.impl().graph) && ends_in_softmax(after.impl().graph);
    Sums sums;
    while (const std::optional<Batch> batch = data()) {
      std::vector<tensor::Tensor> inputs;
      for (size_t i = 0; i < batch->inputs.size(); ++i)
        inputs.push_back(to_tensor(batch->inputs[i], "input " + std::to_string(i)));
      const tensor::Tensor x = a.run(inputs).at(0), y = b.run(inputs).at(0);
      if (x.shape() != y.shape())
        base::fail_unsupported("", "the networks' first outputs differ in shape: " + tensor::to_string(x.shape()) +
                                       " and " + tensor::to_string(y.shape()));
      const int64_t n = x.rank() ? x.shape()[0] : 1;
      if (!batch->labels.empty() && static_cast<int64_t>(batch->labels.size()) != n)
        base::fail_usage("compare", "a batch of " + std::to_string(n) + " samples has " +
                                        std::to_string(batch->labels.size()) + " labels");
      sums.add(checked_floats(x, "before"), checked_floats(y, "after"), x.shape(), batch->labels, probabilities);
    }
    if (sums.c.samples == 0) base::fail_usage("compare", "the data has no samples");
    return sums.finish();
  });
}

}  // namespace nibble
