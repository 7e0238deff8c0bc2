// What of a training outlives it: checkpoints, and the record of its epochs.
#include "base/error.h"
#include "train/trainer.h"

namespace nibble::train {
namespace {

constexpr const char* kPlace = "the checkpoint";

const io::Json& member(const io::Json& json, const char* key) {
  const io::Json* found = json.find(key);
  if (!found) base::fail_malformed(kPlace, std::string("has no ") + key);
  return *found;
}
double number(const io::Json& json, const char* key) { return member(json, key).number(kPlace); }
int64_t integer(const io::Json& json, const char* key) { return member(json, key).integer(kPlace); }

Epoch epoch_from_json(const io::Json& json) {
  Epoch e;
  e.epoch = integer(json, "epoch");
  e.step = integer(json, "step");
  e.loss = number(json, "loss");
  e.label_loss = number(json, "label_loss");
  e.teacher_loss = number(json, "teacher_loss");
  e.feature_loss = number(json, "feature_loss");
  if (const io::Json* v = json.find("train_accuracy")) e.train_accuracy = v->number(kPlace);
  if (const io::Json* v = json.find("score")) e.score = v->number(kPlace);
  if (const io::Json* v = json.find("score_text")) e.score_text = v->string(kPlace);
  e.learning_rate = number(json, "learning_rate");
  e.seconds = number(json, "seconds");
  e.oscillating = number(json, "oscillating");
  e.frozen = integer(json, "frozen");
  e.bits = member(json, "bits").string(kPlace);
  return e;
}

}  // namespace

io::Json to_json(const Epoch& e) {
  io::Json::Object o{{"epoch", e.epoch},
                     {"step", e.step},
                     {"loss", e.loss},
                     {"label_loss", e.label_loss},
                     {"teacher_loss", e.teacher_loss},
                     {"feature_loss", e.feature_loss}};
  if (e.train_accuracy) o.emplace_back("train_accuracy", *e.train_accuracy);
  if (e.score) {
    o.emplace_back("score", *e.score);
    o.emplace_back("score_text", e.score_text);
  }
  o.emplace_back("learning_rate", e.learning_rate);
  o.emplace_back("seconds", e.seconds);
  o.emplace_back("oscillating", e.oscillating);
  o.emplace_back("frozen", e.frozen);
  o.emplace_back("bits", e.bits);
  return o;
}

void Trainer::save() const {
  io::Json::Array epochs;
  for (const Epoch& e : outcome_.epochs) epochs.push_back(to_json(e));
  io::Json::Object o{
      {"nibble", "training"},
      {"version", 1},
      {"options", to_text(options_)},
      {"scheme", quant::to_text(job_.plan.scheme)},
      {"samples", job_.data->size()},
      {"epoch", epoch_},
      {"step", step_},
      {"sums", io::Json::Array{sums_.label, sums_.teacher, sums_.feature, sums_.right, sums_.labelled, sums_.samples}},
      {"seconds", seconds()},
      {"best_epoch", best_epoch_},
      {"epochs", std::move(epochs)}};
  if (best_score_) o.emplace_back("best_score", *best_score_);
  Checkpoint c;
  c.json = std::move(o);
  add_copies(c.tensors, student_.state(), "student.");
  add_copies(c.tensors, optimizer_->state(), "optimizer.");
  add_copies(c.tensors, best_, "best.");
  write_checkpoint(watch_.checkpoint, c);
}

void Trainer::resume() {
  try {
    const Checkpoint c = read_checkpoint(watch_.resume, job_.limits);
    const auto same = [&](const char* key, const std::string& now_is) {
      const std::string& was = member(c.json, key).string(kPlace);
      if (was != now_is)
        base::fail_usage(kPlace, std::string("was made with other ") + key + ": " + base::printable(was, 300),
                         "now: " + now_is);
    };
    if (member(c.json, "nibble").string(kPlace) != "training") base::fail_malformed(kPlace, "is of another kind");
    if (integer(c.json, "version") != 1)
      base::fail_unsupported(kPlace, "was written by another version of nibble", "go on with the one that wrote it");
    same("options", to_text(options_));
    same("scheme", quant::to_text(job_.plan.scheme));
    if (integer(c.json, "samples") != job_.data->size())
      base::fail_usage(kPlace, "was made with " + std::to_string(integer(c.json, "samples")) +
                                   " training samples, now there are " + std::to_string(job_.data->size()));
    epoch_ = integer(c.json, "epoch");
    step_ = integer(c.json, "step");
    if (epoch_ < 0 || epoch_ > options_.epochs || step_ < 0 || step_ > steps_)
      base::fail_malformed(kPlace, "is at an epoch that this training does not have");
    const auto& sums = member(c.json, "sums").array(kPlace);
    if (sums.size() != 6) base::fail_malformed(kPlace, "has sums of another kind");
    sums_ = {sums[0].number(kPlace), sums[1].number(kPlace), sums[2].number(kPlace),
             sums[3].number(kPlace), sums[4].number(kPlace), sums[5].number(kPlace)};
    seconds_before_ = number(c.json, "seconds");
    best_epoch_ = integer(c.json, "best_epoch");
    if (best_epoch_ < 0 || best_epoch_ > epoch_) base::fail_malformed(kPlace, "has its best epoch after the last one");
    if (const io::Json* v = c.json.find("best_score")) best_score_ = v->number(kPlace);
    for (const io::Json& e : member(c.json, "epochs").array(kPlace)) outcome_.epochs.push_back(epoch_from_json(e));
    if (static_cast<int64_t>(outcome_.epochs.size()) != epoch_)
      base::fail_malformed(kPlace, "has the record of another number of epochs");
    for (const Stage& s : stages_)
      if (s.first_epoch < epoch_ || (s.first_epoch == epoch_ && step_ > 0)) enter(s);
    add_copies(best_, with_prefix(c.tensors, "best."), "");
    if (!best_.empty()) student_.load(best_);  // what will be written in the end fits too
    student_.load(with_prefix(c.tensors, "student."));
    optimizer_->load(with_prefix(c.tensors, "optimizer."));
  } catch (const base::Error& e) {
    throw e.within(base::printable(watch_.resume.string(), 400));
  }
}

Outcome train(const Job& job, const Options& options, const Module& module, const Watch& watch,
              base::ThreadPool& pool) {
  check(options);
  return Trainer(job, options, module, watch, pool).run();
}

}  // namespace nibble::train
