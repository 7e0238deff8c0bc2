#include "train/trainer.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cmath>

#include "base/error.h"
#include "eval/evaluate.h"
#include "train/batch_norm.h"

namespace nibble::train {
namespace {

using tensor::Tensor;

/// Parameters are kept in units of their own size: what has grown to this many of them will never come back.
constexpr float kLargestParameter = 1e6f;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t{1024};
}

/// Every step takes and gives back the same memory: kept in the process, it need not be cleared by the system each time
/// (a sixth of a step's time on small images).
void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

int64_t slice_size(const Job& job, const Options& options) {
  const int64_t fixed = job.data->fixed_batch(job.quantized);
  if (fixed == tensor::kUnknown) return options.slice;
  const std::string exactly = "the network takes batches of exactly " + std::to_string(fixed);
  if (options.batch < fixed) base::fail_usage("--batch", exactly, "give a multiple of it");
  if (job.data->size() < fixed)
    base::fail_usage("", exactly + ", the training data hold " + std::to_string(job.data->size()) + " samples");
  return fixed;
}

std::vector<ParameterGroup> groups_of(const Student& student, const Options& options) {
  auto groups = student.parameters();
  groups[Student::kWeights].weight_decay = options.weight_decay;
  groups[Student::kWeightScales].rate_factor = groups[Student::kActivationScales].rate_factor = options.scale_rate;
  return groups;
}

}  // namespace

Trainer::Trainer(const Job& job, const Options& options, const Module& module, const Watch& watch,
                 base::ThreadPool& pool)
    : job_(job),
      options_(options),
      watch_(watch),
      pool_(pool),
      student_(job.quantized, *job.prepared, job.plan, options.quantizer),
      start_time_(now()) {
  keep_freed_memory();
  if (job.data->size() == 0) base::fail_usage("", "the training data hold no sample");
  if (options.features > 0) features_ = block_outputs(*job.teacher, job.quantized);
  trainable_ = student_.trainable(features_);
  const bool labels = job.data->has_labels() && trainable_.logits != graph::kNoValue;
  if (!labels && options.distillation == 0)
    base::fail_usage("",
                     job.data->has_labels() ? "the network's first output holds no classes, so labels do not help"
                                            : "the training data have no labels",
                     "train without them, from the float network's answers: --distill 1");
  std::string logits;
  if (trainable_.logits != graph::kNoValue) logits = job.quantized.value(trainable_.logits).name;
  if (options.distillation > 0 || options.features > 0)
    teacher_ = std::make_unique<Teacher>(*job.teacher, logits, features_, pool, job.limits);
  const int64_t slice = slice_size(job, options);
  batches_ = std::make_unique<Batches>(*job.data, options, teacher_.get(), slice,
                                       job.data->fixed_batch(job.quantized) != tensor::kUnknown, pool);
  steps_ = (job.data->size() + options.batch - 1) / options.batch;
  stages_ = stages_of(options, !job.plan.activations.empty());
  autograd_ = module.make_autograd(trainable_);
  measure_bias_units(job.data->batch(0, std::min(slice, job.data->size()), pool));
  optimizer_ = module.make_optimizer(options.optimizer, groups_of(student_, options), options.momentum);
}

std::vector<SliceResult> Trainer::run_slices(std::vector<Slice>& slices, bool batch_statistics, bool backward) const {
  const auto constants = student_.constants();
  const auto grids = student_.grids();
  const bool labelled = job_.data->has_labels() && trainable_.logits != graph::kNoValue;
  std::vector<SliceResult> results(slices.size());
  for (Slice& s : slices) {
    s.constants = constants;
    s.activations = grids;
    s.batch_statistics = batch_statistics;
    s.teacher_weight = labelled ? options_.distillation : 1.0;
    s.label_weight = labelled ? 1 - options_.distillation : 0.0;
    s.label_smoothing = options_.label_smoothing;
    s.temperature = options_.temperature;
    s.feature_weight = options_.features;
    if (!teacher_) s.teacher_weight = 0;
  }
  pool_.for_each(static_cast<int64_t>(slices.size()), [&](int64_t i, int) {
    const Slice& s = slices[static_cast<size_t>(i)];
    results[static_cast<size_t>(i)] = backward ? autograd_->run(s) : autograd_->forward(s);
  });
  return results;
}

void Trainer::fail_diverged(const std::string& what) const {
  base::fail_malformed(
      "epoch " + std::to_string(epoch_ + 1) + ", step " + std::to_string(step_ + 1),
      what + (epoch_ > 0 && !watch_.checkpoint.empty() ? "; " + base::printable(watch_.checkpoint.string()) +
                                                             " holds the network after epoch " + std::to_string(epoch_)
                                                       : ""),
      "a smaller --learning-rate, or --clip-gradient 1");
}

void Trainer::require_finite(std::span<const SliceResult> slices, std::span<const Tensor> gradients) const {
  for (const SliceResult& s : slices)
    if (!std::isfinite(s.loss())) fail_diverged("the loss is no finite number any more");
  for (size_t i = 0; i < gradients.size(); ++i)
    for (const float v : gradients[i].values<float>())
      if (!std::isfinite(v))
        fail_diverged("the gradient of " + base::in_quotes(student_.parameter_names()[i]) +
                      " is no finite number any more");
}

void Trainer::require_bounded() const {
  size_t i = 0;
  for (const ParameterGroup& group : student_.parameters())
    for (const Tensor& p : group.parameters) {
      for (const float v : p.values<float>())
        if (!(std::fabs(v) <= kLargestParameter))
          fail_diverged(base::in_quotes(student_.parameter_names()[i]) + " has left all bounds");
      ++i;
    }
}

void Trainer::step(std::span<const int64_t> indices) {
  auto batch = batches_->make(indices, epoch_);
  if (batch.slices.empty()) return;  // every sample of it was left out
  const auto results = run_slices(batch.slices, options_.batch_norm == BatchNorm::kFollow);
  const int64_t at = epoch_ * steps_ + step_;
  const Regularisation r{options_.damping * rising_share(at, planned_steps(), 0.25), options_.kurtosis};
  auto gradients = student_.gradients(results, r);
  require_finite(results, gradients);
  if (options_.clip_gradient > 0) {
    double squares = 0;
    for (const Tensor& g : gradients)
      for (const float v : g.values<float>()) squares += double{v} * double{v};
    if (const double norm = std::sqrt(squares); norm > options_.clip_gradient)
      for (Tensor& g : gradients)
        for (float& v : g.mutable_values<float>()) v *= static_cast<float>(options_.clip_gradient / norm);
  }
  optimizer_->step(gradients, learning_rate(at));
  require_bounded();
  Oscillation oscillation;
  // From ten times the frequency down to it: only what turns all the time is fixed early.
  if (options_.freeze > 0 && stage_.last)
    oscillation.freeze_above = options_.freeze * std::pow(10.0, 1 - rising_share(at, planned_steps(), 0.0));
  student_.finish_step(results, oscillation, options_.averaging);
  for (const SliceResult& s : results) {
    const auto share = static_cast<double>(batch.samples);
    sums_.label += s.label_loss * share;
    sums_.teacher += s.teacher_loss * share;
    sums_.feature += s.feature_loss * share;
    sums_.right += static_cast<double>(s.right);
  }
  for (size_t i = 0; i < batch.data.labels.size() && i < static_cast<size_t>(batch.samples); ++i)
    sums_.labelled += batch.data.labels[i] ? 1 : 0;
  sums_.samples += static_cast<double>(batch.samples);
}

graph::Graph Trainer::candidate() const {
  if (stage_.weight_bits != 0 || stage_.activation_bits != 0) return student_.float_activations();
  graph::Graph g = student_.graph();
  fold_into_codes(g);
  return g;
}

Trainer::Score Trainer::validate(const graph::Graph& graph) const {
  Score s;
  if (!job_.validation) return s;
  eval::EvaluateOptions o;
  o.task = job_.task;
  o.layer_samples = 0;
  o.limits = job_.limits;
  base::NoProgress silent;
  const eval::Comparison c =
      eval::evaluate(job_.from_scratch ? nullptr : job_.teacher, graph, *job_.validation, o, pool_, silent);
  if (c.task.figure && (c.task.figure->before || job_.from_scratch)) {
    s = {c.task.figure->before, c.task.figure->after, c.task.figure->label, c.task.figure->before_text,
         c.task.figure->after_text};
  } else if (c.task.drop) {  // the float network costs nothing
    s.teacher = 0;
    s.student = -c.task.drop->value;
    s.name = kCost;
    char text[160];
    std::snprintf(text, sizeof text, "%.4g %s", c.task.drop->value, c.task.drop->unit.c_str());
    s.student_text = text;
  }
  return s;
}

Forecast Trainer::try_a_step() {
  Forecast f;
  f.done = outcome_.epochs;
  f.samples = job_.data->size();
  f.steps = planned_steps();
  f.parameters = student_.parameter_count();
  const auto order = order_of_epoch(job_.data->size(), options_.seed, 0);
  const size_t size = std::min<size_t>(order.size(), static_cast<size_t>(options_.batch));
  double seconds = 0;
  for (int i = 0; i < 2; ++i) {  // the first meets cold caches
    const double start = now();
    auto batch = batches_->make(std::span(order).first(size), 0);
    if (batch.slices.empty()) break;
    const auto results = run_slices(batch.slices, options_.batch_norm == BatchNorm::kFollow);
    require_finite(results, student_.gradients(results, {}));
    seconds = now() - start;
  }
  outcome_.step_seconds = seconds;
  const double start = now();
  Score score = validate(job_.quantized);
  if (job_.from_scratch) score.student.reset(), score.student_text.clear();  // of random weights
  const double validation = now() - start;
  outcome_.score_name = score.name;
  outcome_.teacher_score = score.teacher;
  outcome_.teacher_text = score.teacher_text;
  outcome_.start_score = score.student;
  outcome_.start_text = score.student_text;
  f.score_name = score.name;
  f.teacher_text = score.teacher_text;
  f.start_text = score.student_text;
  f.seconds = seconds * static_cast<double>(f.steps) + validation * static_cast<double>(options_.epochs);
  f.memory_bytes = peak_memory_bytes();
  return f;
}

double Trainer::learning_rate(int64_t step) const {
  return options_.learning_rate * learning_rate_share(step, planned_steps(), options_.warm_up, options_.schedule);
}

double Trainer::seconds() const { return seconds_before_ + now() - start_time_; }

void Trainer::finish_epoch() {
  Epoch e;
  e.epoch = epoch_ + 1;
  e.step = e.epoch * steps_;
  const double n = std::max(1.0, sums_.samples);
  e.label_loss = sums_.label / n;
  e.teacher_loss = sums_.teacher / n;
  e.feature_loss = sums_.feature / n;
  e.loss = e.label_loss + e.teacher_loss + e.feature_loss;
  if (sums_.labelled > 0 && trainable_.logits != graph::kNoValue) e.train_accuracy = sums_.right / sums_.labelled;
  e.learning_rate = learning_rate(e.step - 1);
  e.oscillating = student_.oscillating();
  e.frozen = student_.frozen();
  const auto bits = [](int b) { return b == 0 ? std::string("full") : std::to_string(b); };
  e.bits = bits(stage_.weight_bits) + "/" + bits(stage_.activation_bits);
  student_.swap_averages();
  if (stage_.weight_bits != 8) {
    const Score score = validate(candidate());
    e.score = score.student;
    e.score_text = score.student_text;
  }
  if (stage_.last && (!e.score || !best_score_ || *e.score >= *best_score_)) {
    best_score_ = e.score;
    best_epoch_ = e.epoch;
    best_.clear();
    add_copies(best_, student_.state(), "");
  }
  student_.swap_averages();
  e.seconds = seconds();
  outcome_.epochs.push_back(e);
  sums_ = {};
  step_ = 0;
  ++epoch_;
  if (!watch_.checkpoint.empty()) save();
  if (watch_.on_epoch) watch_.on_epoch(e);
}

bool Trainer::stops_early() {
  if (options_.patience == 0 || !stage_.last || !best_score_ || epoch_ - best_epoch_ < options_.patience) return false;
  outcome_.stopped = std::to_string(options_.patience) + " epochs without a better validation";
  return true;
}

Outcome Trainer::run() {
  enter(stages_[0]);
  if (!watch_.resume.empty()) resume();
  const Forecast forecast = try_a_step();
  if (watch_.on_start) watch_.on_start(forecast);
  if (watch_.resume.empty() && options_.quantize && outcome_.start_score) {
    // Training has to be better than none.
    best_score_ = outcome_.start_score;
    add_copies(best_, student_.state(), "");
  }
  base::Progress& progress = *watch_.progress;
  progress.begin("train", planned_steps(), "steps");
  try {
    while (epoch_ < options_.epochs && !stops_early()) {
      for (const Stage& s : stages_)
        if (s.first_epoch == epoch_ && step_ == 0 && epoch_ > 0) enter(s);
      const auto order = order_of_epoch(job_.data->size(), options_.seed, epoch_);
      for (; step_ < steps_; ++step_) {
        progress.check_cancelled();
        const size_t begin = static_cast<size_t>(step_ * options_.batch);
        step(std::span(order).subspan(begin, std::min(order.size() - begin, static_cast<size_t>(options_.batch))));
        progress.advance(epoch_ * steps_ + step_ + 1);
      }
      finish_epoch();
    }
  } catch (const std::exception&) {
    throw;         // the checkpoint keeps the last good epoch
  } catch (...) {  // the user stops it: nothing is wrong with what there is
    if (!watch_.checkpoint.empty()) save();
    throw;
  }
  progress.end();
  student_.load(best_);
  if (options_.reestimate_batches > 0) reestimate_batch_norms();
  outcome_.graph = candidate();
  outcome_.best_epoch = best_epoch_;
  const Score score = validate(outcome_.graph);
  outcome_.final_score = score.student;
  outcome_.final_text = score.student_text;
  return std::move(outcome_);
}

}  // namespace nibble::train
