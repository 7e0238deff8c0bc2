#pragma once
#include <cstdint>
#include <string>

#include "train/augment.h"
#include "train/autograd.h"
#include "train/schedule.h"
#include "train/student.h"

namespace nibble::train {

/// What becomes of batch normalisation.
enum class BatchNorm : uint8_t {
  kFold,    ///< folded into the weights before training starts
  kFollow,  ///< stays, normalises with each slice's statistics and follows them; folded at the end
  kFreeze,  ///< stays, normalises with its running statistics; folded at the end
};

/// How a network is trained. The defaults suit fine-tuning a trained network as it comes.
struct Options {
  int64_t epochs = 10;
  int64_t batch = 128;
  int64_t slice = 32;  ///< samples that go through the network at once; decides results, threads do not
  uint64_t seed = 0;

  OptimizerKind optimizer = OptimizerKind::kAdam;
  double learning_rate = 5e-3;  ///< relative to each tensor's size
  double warm_up = 0.05;        ///< share of all steps
  Schedule schedule = Schedule::kCosine;
  double scale_rate = 1;  ///< learning rate of scales and zero points, as a factor
  double momentum = 0.9;  ///< of SGD
  double weight_decay = 0;
  double clip_gradient = 0;  ///< largest norm of all gradients together; 0: none

  bool quantize = true;  ///< off: floats are trained, in exactly the same way
  Quantizer quantizer = Quantizer::kLsq;
  Gradual gradual = Gradual::kNone;
  double gradual_share = 0.25;  ///< of the epochs, for each stage before the last
  BatchNorm batch_norm = BatchNorm::kFold;
  int64_t reestimate_batches = 0;  ///< batches that batch normalisation's statistics are taken from at the end

  double distillation = 0.7;  ///< weight of the float network's answers; the labels have the rest
  double temperature = 2;
  double features = 0;  ///< weight of its values at the ends of blocks
  double label_smoothing = 0;
  double damping = 0;  ///< rises over the last three quarters
  double kurtosis = 0;
  double freeze = 0;     ///< frequency of turning back from which a weight's code is fixed at the end; 0: never
  double averaging = 0;  ///< running averages of all parameters, which are then what is validated and written; 0: none

  Augmentation augmentation;
  int64_t patience = 0;  ///< epochs without a better validation after which training stops; 0: never
};

/// Everything that decides the result, as one line; the same for equal options. A checkpoint can go on under the
/// options that it was made with alone.
std::string to_text(const Options& options);

/// Names on the command line, and back. Throws Error(kUsage) naming what there is.
Quantizer parse_quantizer(std::string_view text);
Gradual parse_gradual(std::string_view text);
BatchNorm parse_batch_norm(std::string_view text);
OptimizerKind parse_optimizer(std::string_view text);
Schedule parse_schedule(std::string_view text);

/// Throws Error(kUsage) naming the option whose value makes no sense.
void check(const Options& options);

}  // namespace nibble::train
