#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "data/dataset.h"
#include "eval/tasks/task.h"
#include "quant/calibrate/calibrate.h"
#include "quant/plan/plan.h"
#include "train/options.h"

namespace nibble::train {

/// What is trained, and on what.
struct Job {
  const graph::Graph* teacher = nullptr;   ///< the float network as it was read
  const graph::Graph* prepared = nullptr;  ///< the float network that `plan` was made for
  quant::Plan plan;                        ///< calibrated
  graph::Graph quantized;                  ///< what quant::apply made of it
  const data::Dataset* data = nullptr;
  const data::Dataset* validation = nullptr;  ///< absent: the last epoch is what counts
  /// Batches for choosing ranges anew (gradual training); called once each time.
  std::function<quant::NextBatch()> calibration;
  bool from_scratch = false;  ///< the float network knows nothing: it is no measure of anything
  eval::TaskChoice task;      ///< how validation is scored
  base::Limits limits;
};

/// What one epoch did.
struct Epoch {
  int64_t epoch = 0, step = 0;  ///< counted from 1
  double loss = 0, label_loss = 0, teacher_loss = 0, feature_loss = 0;
  std::optional<double> train_accuracy;  ///< share of right answers on augmented training samples
  std::optional<double> score;           ///< of the validation; more is better
  std::string score_text;                ///< "94.27 %"
  double learning_rate = 0;              ///< of its last step
  double seconds = 0;                    ///< since the start, of all runs
  double oscillating = 0;                ///< share of weights whose code keeps turning back
  int64_t frozen = 0;
  std::string bits;  ///< "4/4": of weights and activations in this epoch
};
io::Json to_json(const Epoch& epoch);

/// The name of a score that says how much worse than the float network an answer is: 0 and below.
inline constexpr const char* kCost = "Cost";

struct Outcome {
  graph::Graph graph;  ///< quantized (or float, where floats were trained): the best epoch's
  std::vector<Epoch> epochs;
  int64_t best_epoch = 0;  ///< counted from 1; 0: no epoch was better than quantization without training
  std::string score_name;  ///< "top-1"
  std::optional<double> teacher_score, start_score;  ///< of the float network, and of the quantized one before training
  std::optional<double> final_score;                 ///< of `graph`
  std::string teacher_text, start_text, final_text;
  std::string stopped;  ///< why training ended early; empty if it did not
  double step_seconds = 0;
};

/// What is known once the first step has been tried.
struct Forecast {
  std::vector<Epoch> done;  ///< where a training goes on: the epochs that it has behind it
  int64_t samples = 0, steps = 0, parameters = 0, memory_bytes = 0;
  double seconds = 0;
  std::string score_name, teacher_text, start_text;
};

struct Watch {
  base::Progress* progress = nullptr;
  std::function<void(const Forecast&)> on_start;
  std::function<void(const Epoch&)> on_epoch;
  std::filesystem::path checkpoint;  ///< written after each epoch, and when training is interrupted; empty: none
  std::filesystem::path resume;      ///< the checkpoint to go on from; empty: from the start
};

/// Trains. The same result for the same job, options and module, whatever the number of threads; resuming gives what an
/// uninterrupted training gives. Throws Error: kUnsupported for operators without gradients and for what the module
/// cannot do, kUsage for data without samples or labels that are needed, kMalformed where a loss or gradient is no
/// number, naming step and place (the checkpoint keeps the last good epoch).
Outcome train(const Job& job, const Options& options, const Module& module, const Watch& watch, base::ThreadPool& pool);

}  // namespace nibble::train
