#include "nibble/compare.h"

#include <numeric>

#include "api/boundary.h"
#include "api/network_impl.h"
#include "api/threads.h"
#include "eval/answers.h"
#include "eval/output_errors.h"
#include "eval/tasks/class_answers.h"

namespace nibble {
namespace {

/// A caller's batch as the evaluation takes it; a negative label is none.
data::Batch to_batch(const Batch& from) {
  data::Batch to;
  for (size_t i = 0; i < from.inputs.size(); ++i)
    to.inputs.push_back(to_tensor(from.inputs[i], "input " + std::to_string(i)));
  const int64_t n = to.inputs.empty() || to.inputs[0].rank() == 0 ? 1 : to.inputs[0].shape()[0];
  if (!from.labels.empty() && static_cast<int64_t>(from.labels.size()) != n)
    base::fail_usage("compare", "a batch of " + std::to_string(n) + " samples has " +
                                    std::to_string(from.labels.size()) + " labels");
  to.indices.resize(static_cast<size_t>(n));
  std::iota(to.indices.begin(), to.indices.end(), int64_t{0});
  to.labels.resize(static_cast<size_t>(n));
  for (size_t i = 0; i < from.labels.size(); ++i)
    if (from.labels[i] >= 0) to.labels[i] = from.labels[i];
  return to;
}

Interval to_interval(const eval::Interval& interval) { return {interval.low, interval.high}; }

}  // namespace

Comparison compare(const Network& before, const Network& after, const NextBatch& data, int threads) {
  return at_boundary([&] {
    if (!data) base::fail_usage("compare", "needs a function that gives batches");
    base::ThreadPool pool(checked_threads(threads));
    const graph::Graph &a = before.impl().graph, &b = after.impl().graph;
    const bool probabilities = eval::ends_in_softmax(a) && eval::ends_in_softmax(b);
    std::optional<Batch> current;  // keeps the arrays alive that the batch views
    const auto next = [&]() -> std::optional<data::Batch> {
      current = data();
      if (!current) return std::nullopt;
      return to_batch(*current);
    };
    Comparison c;
    eval::ClassAnswers answers;
    eval::OutputErrors outputs(b);
    eval::answer(&a, b, next, base::Limits{}, pool, [&](const eval::Answers& batch) {
      if (batch.after[0].dtype() != tensor::DType::f32)
        base::fail_unsupported("compare", "the first output is of type " +
                                              std::string(tensor::name_of(batch.after[0].dtype())) +
                                              ", 32-bit floats can be compared");
      c.samples += batch.data.size();
      c.classes = batch.rows_of_classes(0);
      if (c.classes) answers.add(batch, 0, probabilities);
      outputs.add(batch);
    });
    if (c.samples == 0) base::fail_usage("compare", "the data has no samples");
    c.labelled = answers.change.samples;
    c.before_right = answers.before.top1;
    c.after_right = answers.after.top1;
    c.lost = answers.change.lost;
    c.won = answers.change.won;
    if (c.labelled > 0) {
      c.top1_change = answers.change.difference();
      c.top1_change_interval = to_interval(answers.change.interval());
      c.p_value = answers.change.p_value();
    }
    c.same_answer = answers.same_answer;
    c.kl_mean = eval::mean(answers.kl);
    c.kl_interval = to_interval(eval::bootstrap_mean_interval(answers.kl));
    c.relative_error = outputs.result().at(0).relative_error;
    return c;
  });
}

}  // namespace nibble
