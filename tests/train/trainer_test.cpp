#include "train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/evaluate.h"
#include "train/training_fixture.h"

namespace nibble::train {
namespace {

using test::quick;
using test::Training;

/// What the written and reopened file scores, as `nibble eval` does it.
double score_of_file(const Training& t, const Outcome& outcome) {
  io::Notes notes;
  const graph::Graph g = model::open(t.save(outcome), {}, notes);
  base::ThreadPool pool(1);
  base::NoProgress silent;
  eval::EvaluateOptions o;
  o.layer_samples = 0;
  return eval::evaluate(nullptr, g, *t.validation, o, pool, silent).task.figure->after;
}

TEST(Trainer, LearnsAndReportsWhatTheFileScores) {
  NIBBLE_REQUIRE_TRAINING();
  Options o = quick();
  o.epochs = 8;
  Training t(o, {.samples = 400, .validation = 200});
  int64_t seen = 0;
  t.watch.on_epoch = [&](const Epoch& e) {
    EXPECT_EQ(e.epoch, ++seen);
    EXPECT_EQ(e.step, seen * 10);
    EXPECT_NEAR(e.loss, e.label_loss + e.teacher_loss + e.feature_loss, 1e-12);
  };
  bool started = false;
  t.watch.on_start = [&](const Forecast& f) {
    started = true;
    EXPECT_EQ(f.samples, 400);
    EXPECT_EQ(f.steps, 80);
    EXPECT_GT(f.parameters, 8 * 2 * 9 + 8 * 9 + 8 * 3);
    EXPECT_GT(f.seconds, 0);
  };
  t.options.distillation = 0;  // the teacher is as random as its weights
  const Outcome outcome = t.run();
  EXPECT_TRUE(started);
  ASSERT_EQ(outcome.epochs.size(), 8u);
  EXPECT_LT(outcome.epochs.back().loss, 0.8 * outcome.epochs.front().loss);
  EXPECT_GT(*outcome.final_score, *outcome.start_score + 0.2);
  EXPECT_EQ(*outcome.final_score, score_of_file(t, outcome));
  const Epoch& best = outcome.epochs[static_cast<size_t>(outcome.best_epoch - 1)];
  EXPECT_EQ(*outcome.final_score, *best.score);
  for (const Epoch& e : outcome.epochs) EXPECT_LE(*e.score, *best.score);
}

struct Way {
  const char* name;
  void (*set)(Options&, Training::Setting&);
};
void PrintTo(const Way& w, std::ostream* out) { *out << w.name; }

/// Options that training is asked for together with everything else below: what they share is that none is refused, and
/// that threads, repetition and interruption change nothing.
const Way kWays[] = {
    {"defaults", [](Options&, Training::Setting&) {}},
    {"lsq_plus_affine",
     [](Options& o, Training::Setting& s) {
       o.quantizer = Quantizer::kLsqPlus;
       s.scheme = "W4A4:uint4,map=affine";
     }},
    {"pact", [](Options& o, Training::Setting&) { o.quantizer = Quantizer::kPact; }},
    {"ste", [](Options& o, Training::Setting&) { o.quantizer = Quantizer::kSte; }},
    {"sgd",
     [](Options& o, Training::Setting&) {
       o.optimizer = OptimizerKind::kSgd;
       o.weight_decay = 1e-3;
     }},
    {"sgd_without_momentum",
     [](Options& o, Training::Setting&) {
       o.optimizer = OptimizerKind::kSgd;
       o.momentum = 0;
     }},
    {"no_averages", [](Options& o, Training::Setting&) { o.averaging = 0; }},
    {"activations_later", [](Options& o, Training::Setting&) { o.gradual = Gradual::kActivations; }},
    {"bits_step_down", [](Options& o, Training::Setting&) { o.gradual = Gradual::kBits; }},
    {"floats_first", [](Options& o, Training::Setting&) { o.gradual = Gradual::kFloat; }},
    {"weights_only", [](Options&, Training::Setting& s) { s.scheme = "W4A16"; }},
    {"groups_with_offsets",
     [](Options& o, Training::Setting& s) {
       s.scheme = "W4A16:map=minmax,group=16";
       o.quantizer = Quantizer::kLsqPlus;
     }},
    {"floats", [](Options& o, Training::Setting&) { o.quantize = false; }},
    {"batch_norm_follows", [](Options& o, Training::Setting&) { o.batch_norm = BatchNorm::kFollow; }},
    {"batch_norm_frozen", [](Options& o, Training::Setting&) { o.batch_norm = BatchNorm::kFreeze; }},
    {"batch_norm_estimated_anew",
     [](Options& o, Training::Setting&) {
       o.batch_norm = BatchNorm::kFollow;
       o.reestimate_batches = 2;
     }},
    {"oscillations_fixed",
     [](Options& o, Training::Setting&) {
       o.freeze = 0.001;
       o.damping = 0.1;
       o.kurtosis = 0.01;
     }},
    {"features", [](Options& o, Training::Setting&) { o.features = 0.5; }},
    {"without_labels",
     [](Options& o, Training::Setting& s) {
       s.labels = false;
       o.distillation = 1;
     }},
    {"labels_alone",
     [](Options& o, Training::Setting&) {
       o.distillation = 0;
       o.label_smoothing = 0.1;
     }},
    {"clipped_gradients", [](Options& o, Training::Setting&) { o.clip_gradient = 0.1; }},
    {"without_validation", [](Options&, Training::Setting& s) { s.validation = 0; }},
    {"seven_at_a_time",
     [](Options&, Training::Setting& s) {
       s.batch = 7;
       s.samples = 160;
       s.validation = 63;
     }},
    {"one_at_a_time", [](Options&, Training::Setting& s) { s.batch = 1; }},
};

class Ways : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    NIBBLE_REQUIRE_TRAINING();
    options_ = quick();
    GetParam().set(options_, setting_);
  }
  Options options_;
  Training::Setting setting_;
};

TEST_P(Ways, AreTheSameBytesForAnyThreads) {
  Training t(options_, setting_);
  const Outcome outcome = t.run(1);
  const std::string once = t.bytes(outcome);
  EXPECT_EQ(t.bytes(t.run(2)), once);
  EXPECT_EQ(t.bytes(t.run(3)), once);
  EXPECT_EQ(t.bytes(t.run(1)), once);
  // Steps were made, in the bits that were asked for.
  ASSERT_EQ(outcome.epochs.size(), 3u);
  EXPECT_NE(model::first_difference(outcome.graph, t.network.quantized), "");
  EXPECT_EQ(outcome.epochs.back().bits, options_.quantize ? "full/full" : "16/16");
  for (const Epoch& e : outcome.epochs) EXPECT_TRUE(std::isfinite(e.loss) && e.loss > 0) << e.loss;
  if (t.validation && setting_.labels) {
    EXPECT_EQ(*outcome.final_score, score_of_file(t, outcome));
  }
  t.options.seed = 1;
  EXPECT_NE(t.bytes(t.run(2)), once);
}

// At every step: the checkpoint of what had been done until then leads to the same file, and to the same record.
TEST_P(Ways, GoOnWhereTheyWereStopped) {
  Training t(options_, setting_);
  const Outcome whole = t.run();
  const std::string want = t.bytes(whole);
  t.watch.checkpoint = t.folder.path() / "checkpoint";
  for (int64_t steps = 0;; ++steps) {
    t.watch.resume.clear();
    std::filesystem::remove(t.watch.checkpoint);
    try {
      t.run(2, steps);
      EXPECT_GE(steps, 12);  // three epochs of four steps
      break;
    } catch (const test::Stopped&) {
    }
    ASSERT_TRUE(std::filesystem::exists(t.watch.checkpoint)) << "after " << steps << " steps";
    t.watch.resume = t.watch.checkpoint;
    const Outcome rest = t.run(1);
    ASSERT_EQ(t.bytes(rest), want) << "stopped after " << steps << " steps";
    ASSERT_EQ(rest.epochs.size(), whole.epochs.size());
    EXPECT_EQ(rest.best_epoch, whole.best_epoch);
    EXPECT_EQ(rest.final_score, whole.final_score);
    for (size_t i = 0; i < whole.epochs.size(); ++i) {
      Epoch a = rest.epochs[i], b = whole.epochs[i];
      EXPECT_GE(a.seconds, 0);
      a.seconds = b.seconds = 0;
      EXPECT_EQ(io::to_text(to_json(a), 0), io::to_text(to_json(b), 0)) << "stopped after " << steps << " steps";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Trainer, Ways, testing::ValuesIn(kWays),
                         [](const testing::TestParamInfo<Way>& i) { return std::string(i.param.name); });

TEST(Trainer, GoesThroughItsStages) {
  NIBBLE_REQUIRE_TRAINING();
  const auto bits = [](Gradual gradual) {
    Options o = quick();
    o.epochs = 4;
    o.gradual = gradual;
    o.gradual_share = 0.5;
    std::vector<std::string> all;
    for (const Epoch& e : Training(o).run().epochs) all.push_back(e.bits);
    return all;
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(bits(Gradual::kNone), (List{"full/full", "full/full", "full/full", "full/full"}));
  EXPECT_EQ(bits(Gradual::kActivations), (List{"full/16", "full/16", "full/full", "full/full"}));
  EXPECT_EQ(bits(Gradual::kBits), (List{"8/8", "8/8", "full/full", "full/full"}));
  EXPECT_EQ(bits(Gradual::kFloat), (List{"16/16", "16/16", "full/full", "full/full"}));
}

TEST(Trainer, FoldsItsNormalisationsInTheEnd) {
  NIBBLE_REQUIRE_TRAINING();
  for (const BatchNorm b : {BatchNorm::kFold, BatchNorm::kFollow, BatchNorm::kFreeze}) {
    Options o = quick();
    o.epochs = 1;
    o.batch_norm = b;
    Training t(o);
    const Outcome outcome = t.run();
    for (graph::NodeId id = 0; id < outcome.graph.node_count(); ++id)
      EXPECT_FALSE(outcome.graph.node(id).is("BatchNormalization"));
    EXPECT_EQ(*outcome.final_score, score_of_file(t, outcome));
  }
}

TEST(Trainer, FixesWhatOscillates) {
  NIBBLE_REQUIRE_TRAINING();
  Options o = quick();
  o.epochs = 6;
  o.learning_rate = 0.2;  // far too much
  o.freeze = 0.004;
  const Outcome outcome = Training(o).run();
  EXPECT_GT(outcome.epochs.back().frozen, 0);
  o.freeze = 0;
  EXPECT_EQ(Training(o).run().epochs.back().frozen, 0);
}

// With a step of nothing every epoch scores the same, and the first one is as good as any: `>=` keeps the last.
TEST(Trainer, StopsEarlyWhereNothingGetsBetter) {
  NIBBLE_REQUIRE_TRAINING();
  Options o = quick();
  o.epochs = 30;
  o.learning_rate = 1;  // falls apart at once
  o.averaging = 0;
  o.patience = 2;
  Training t(o);
  t.watch.checkpoint = t.folder.path() / "checkpoint";
  const Outcome outcome = t.run();
  ASSERT_LT(outcome.epochs.size(), 30u);
  EXPECT_EQ(static_cast<int64_t>(outcome.epochs.size()) - outcome.best_epoch, 2);
  EXPECT_EQ(outcome.stopped, "2 epochs without a better validation");
  EXPECT_EQ(*outcome.final_score, score_of_file(t, outcome));
  // What was stopped stays so.
  t.watch.resume = t.watch.checkpoint;
  const Outcome again = t.run();
  EXPECT_EQ(again.epochs.size(), outcome.epochs.size());
  EXPECT_EQ(again.stopped, outcome.stopped);
  EXPECT_EQ(t.bytes(again), t.bytes(outcome));
}

}  // namespace
}  // namespace nibble::train
