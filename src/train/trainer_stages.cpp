// The stages of a training, and what is measured on data between its steps.
#include <algorithm>
#include <cmath>

#include "train/moments.h"
#include "train/trainer.h"

namespace nibble::train {

using tensor::Tensor;

std::vector<Stage> stages_of(const Options& o, bool quantized_activations) {
  if (!o.quantize) return {{0, 16, 16, true}};
  Gradual gradual = o.epochs > 1 ? o.gradual : Gradual::kNone;
  // Every stage has an epoch: only what the last one makes is written.
  const auto until = std::min<int64_t>(
      o.epochs - 1, std::max<int64_t>(1, std::llround(o.gradual_share * static_cast<double>(o.epochs))));
  if (gradual == Gradual::kActivations && !quantized_activations) gradual = Gradual::kNone;
  switch (gradual) {
    case Gradual::kNone:
      break;
    case Gradual::kActivations:
      return {{0, 0, 16, false}, {until, 0, 0, true}};
    case Gradual::kBits:
      return {{0, 8, 8, false}, {until, 0, 0, true}};
    case Gradual::kFloat:
      return {{0, 16, 16, false}, {until, 0, 0, true}};
  }
  return {{0, 0, 0, true}};
}

void Trainer::measure_bias_units(const data::Batch& batch) {
  if (batch.empty()) return;
  const auto biases = student_.biases();
  runtime::SessionOptions o;
  o.limits = job_.limits;
  for (const auto& [bias, value] : biases) o.watched.push_back(value);
  runtime::Session session(job_.quantized, pool_, o);
  std::map<std::string, float> spread;
  session.watch([&](const std::string& name, const Tensor& t) {
    const float deviation = moments_of(t.values<float>()).deviation();
    for (const auto& [bias, value] : biases)
      if (value == name) spread[bias] = deviation;
  });
  session.run(batch.inputs);
  student_.set_bias_units(spread);
}

void Trainer::recalibrate() {
  if (job_.plan.activations.empty() || !job_.calibration) return;
  const graph::Graph floats = student_.float_activations();
  std::vector<quant::Observed> values;
  for (const auto& a : job_.plan.activations) values.push_back({a.name, 1});
  base::NoProgress silent;
  quant::Calibration c = quant::calibrate(floats, values, job_.calibration(), 0, pool_, silent, job_.limits);
  c.prepared = quant::preparations_text(job_.plan.scheme);
  quant::Plan plan = job_.plan;
  quant::use_calibration(plan, c);
  student_.use_ranges(plan);
}

void Trainer::enter(const Stage& stage) {
  const Stage before = stage_;
  stage_ = stage;
  if (before.weight_bits == 16 && stage.weight_bits != 16) student_.refit_weights(job_.plan.scheme, pool_);
  student_.set_bits(stage.weight_bits, 16);
  if (before.activation_bits == 16 && stage.activation_bits != 16) recalibrate();
  student_.set_bits(stage.weight_bits, stage.activation_bits);
  student_.forget_averages();
}

void Trainer::reestimate_batch_norms() {
  if (trainable_.batch_norms.empty()) return;
  const auto order = order_of_epoch(job_.data->size(), options_.seed, options_.epochs);
  std::vector<std::vector<BatchStatistics>> seen;
  for (int64_t i = 0; i < std::min(options_.reestimate_batches, steps_); ++i) {
    watch_.progress->check_cancelled();
    const size_t begin = static_cast<size_t>(i * options_.batch);
    auto batch = batches_->make(
        std::span(order).subspan(begin, std::min(order.size() - begin, static_cast<size_t>(options_.batch))), 0);
    for (SliceResult& s : run_slices(batch.slices, true, false)) seen.push_back(std::move(s.batch_norms));
  }
  student_.set_batch_norms(seen);
}

}  // namespace nibble::train
