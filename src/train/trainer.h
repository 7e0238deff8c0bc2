#pragma once
#include <memory>
#include <vector>

#include "train/batches.h"
#include "train/checkpoint.h"
#include "train/student.h"
#include "train/teacher.h"
#include "train/train.h"

namespace nibble::train {

/// Bits of weights and activations from some epoch on.
struct Stage {
  int64_t first_epoch = 0;                   ///< counted from 0
  int weight_bits = 0, activation_bits = 0;  ///< 0: as planned
  bool last = false;
};
std::vector<Stage> stages_of(const Options& options, bool quantized_activations);

/// One training in progress; what `train` is made of.
class Trainer {
 public:
  Trainer(const Job& job, const Options& options, const Module& module, const Watch& watch, base::ThreadPool& pool);
  Outcome run();

 private:
  struct Score {
    std::optional<double> teacher, student;
    std::string name, teacher_text, student_text;
  };
  Score validate(const graph::Graph& candidate) const;
  graph::Graph candidate() const;
  std::vector<SliceResult> run_slices(std::vector<Slice>& slices, bool batch_statistics, bool backward = true) const;
  void measure_bias_units(const data::Batch& batch);
  Forecast try_a_step();
  void enter(const Stage& stage);
  void recalibrate();
  void step(std::span<const int64_t> indices);
  void require_finite(std::span<const SliceResult> slices, std::span<const tensor::Tensor> gradients) const;
  void require_bounded() const;  ///< parameters, after a step
  [[noreturn]] void fail_diverged(const std::string& what) const;
  void finish_epoch();
  bool stops_early();  ///< asked after each epoch, and where a training goes on
  void reestimate_batch_norms();
  void save() const;
  void resume();
  double seconds() const;  ///< since the start, of all runs
  int64_t planned_steps() const { return options_.epochs * steps_; }
  double learning_rate(int64_t step) const;  ///< `step` counted from the start of training

  const Job& job_;
  const Options& options_;
  const Watch& watch_;
  base::ThreadPool& pool_;
  Student student_;
  std::vector<std::string> features_;
  TrainableGraph trainable_;
  std::unique_ptr<Autograd> autograd_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Teacher> teacher_;
  std::unique_ptr<Batches> batches_;
  std::vector<Stage> stages_;
  Stage stage_;
  int64_t steps_ = 0;  ///< an epoch

  // What a checkpoint keeps.
  int64_t epoch_ = 0, step_ = 0;  ///< both counted from 0; step_ within the epoch
  struct Sums {
    double label = 0, teacher = 0, feature = 0, right = 0, labelled = 0, samples = 0;
  } sums_;
  double seconds_before_ = 0;
  std::vector<io::NamedTensor> best_;
  std::optional<double> best_score_;
  int64_t best_epoch_ = 0;
  Outcome outcome_;
  double start_time_ = 0;
};

}  // namespace nibble::train
