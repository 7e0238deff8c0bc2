#include "eval/evaluate.h"

#include <algorithm>

#include "base/error.h"

namespace nibble::eval {

Comparison evaluate(const graph::Graph* before, const graph::Graph& after, const data::Dataset& dataset,
                    const EvaluateOptions& options, base::ThreadPool& pool, base::Progress& progress) {
  Comparison c;
  const TaskSetting setting{
      after, dataset,       before != nullptr, ends_in_softmax(after) && (!before || ends_in_softmax(*before)),
      {},    options.limits};
  const int64_t fixed = dataset.fixed_batch(after);
  ChosenTask chosen;
  OutputErrors outputs(after);
  progress.begin("evaluate", dataset.size(), "samples");
  const auto next = batches_of(dataset, after, options.batch, pool, [&](int64_t done) {
    progress.advance(done);
    progress.check_cancelled();
  });
  answer(before, after, next, options.limits, pool, [&](const Answers& answers) {
    if (!chosen.task) chosen = make_task(options.task, answers, setting);
    c.samples += answers.data.size();
    chosen.task->add(answers);
    outputs.add(answers);
  });
  progress.end();
  c.skipped = dataset.skipped();
  if (c.samples == 0)
    base::fail_usage(
        "", "the data has no sample that can be used" +
                std::string(fixed > 1 ? ": the network takes batches of exactly " + std::to_string(fixed) : ""));
  if (before) c.outputs = outputs.result();
  c.task = chosen.task->result(c.outputs);
  c.task.name = chosen.name;
  c.task.chosen = chosen.why;
  if (before) {
    c.layer_samples = std::min(options.layer_samples, c.samples);
    if (fixed != tensor::kUnknown) c.layer_samples -= c.layer_samples % fixed;
    if (c.layer_samples > 0)
      c.layers =
          compare_layers(*before, after, dataset, c.layer_samples,
                         fixed == tensor::kUnknown ? std::min<int64_t>(options.batch, 8) : fixed, options.limits, pool);
  }
  return c;
}

}  // namespace nibble::eval
