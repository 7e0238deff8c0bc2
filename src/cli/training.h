#pragma once
#include "cli/command.h"
#include "eval/html/page.h"
#include "quant/plan/plan.h"
#include "train/train.h"

namespace nibble::cli {

/// The data in two parts: what is trained on, and what says how well that went.
struct TrainingData {
  std::unique_ptr<data::Dataset> training, validation;
};

/// `validation` is what --val takes: a share ("5%"), a number of samples, the path of other data, or "none". A share or
/// number is the front of a shuffle with the data flags' seed, or `seed` where they have none.
TrainingData open_training_data(const std::filesystem::path& path, const std::string& validation, DataFlags flags,
                                uint64_t seed, const Network& network, Context& context);

/// One epoch in words: "3/10   loss 0.2082   training 91.62 %   validation 93.73 %".
std::string epoch_text(const train::Epoch& epoch, int64_t epochs);

/// What training won, in one sentence; empty without validation.
std::string verdict(const train::Outcome& outcome);

/// The whole training as JSON (the members of a report), and as a page.
io::Json::Object training_json(const train::Outcome& outcome, const train::Options& options);
eval::Page training_page(const train::Outcome& outcome, const train::Options& options, const quant::Plan& plan,
                         const std::string& file, int64_t float_bytes, int64_t bytes);

}  // namespace nibble::cli
